//! One credential a call, of a kind that its client may present, for as long as the client is there.

use std::num::NonZeroU32;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use tokend::{
    model::{Algorithm, AuthenticationMethod, ClientSecret, ClientSettings, SecretRecord},
    proto::v1,
};
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::{
    caller_tokens::{by, by_assertion, claims, issue_by, issue_with, public, put, unlimited},
    counting_store::CountingStore,
    harness::{START, TestServer, accepted, assert_refused, settings},
    made_keys::made,
    store_backends::at,
};

const INVALID: &str = "CREDENTIALS_INVALID";
const AUTHORIZATION: &str = "authorization";

/// The secret of the clients here, which may hold dots as a token does.
fn secret(client_id: &str) -> ClientSecret {
    ClientSecret::from_text(format!("tkd_{client_id}_a.b.c"))
}

/// Registers a client that has a secret, whether it may present it or not.
async fn with_secret(server: &TestServer, client_id: &str, settings: ClientSettings) -> String {
    let secret = secret(client_id);
    let record = SecretRecord {
        secret_id: client_id.to_owned(),
        digest: secret.digest(),
        create_time: at(START),
        expire_time: None,
    };
    put(&server.store, client_id, settings, vec![record]).await;
    server.rounds.make().await.unwrap();
    secret.reveal().to_owned()
}

/// An assertion of `client_id`.
fn assertion(client_id: &str, jwt_id: &str) -> String {
    made(Algorithm::Es256).token("k", &claims(client_id, jwt_id))
}

/// A client that may present both a secret and assertions.
async fn both(server: &TestServer) -> String {
    let mut settings = by_assertion(&[public(made(Algorithm::Es256), "k")]);
    settings.authentication.methods =
        vec![AuthenticationMethod::ClientSecret, AuthenticationMethod::PrivateKeyJwt];
    with_secret(server, "both", settings).await
}

#[tokio::test]
async fn two_credentials_are_one_too_many() {
    let server = TestServer::with(unlimited).await;
    let secret = both(&server).await;
    let bearer = format!("Bearer {secret}");
    let basic = format!("Basic {}", STANDARD.encode(format!("both:{secret}")));
    let jwt = |number: u32| format!("Bearer {}", assertion("both", &format!("doubled-{number}")));
    for value in [&bearer, &basic, &jwt(1)] {
        accepted(issue_with(&server, &[(AUTHORIZATION, value)]).await);
    }
    for (one, other) in [
        (bearer.clone(), bearer.clone()),
        (bearer.clone(), basic.clone()),
        (bearer.clone(), jwt(2)),
        (jwt(2), basic.clone()),
        (jwt(2), jwt(2)),
        (jwt(2), jwt(3)),
        (bearer.clone(), "Bearer x".to_owned()),
        ("Bearer x".to_owned(), bearer.clone()),
    ] {
        let answer = issue_with(&server, &[(AUTHORIZATION, &one), (AUTHORIZATION, &other)]).await;
        assert_refused(answer, Code::Unauthenticated, INVALID);
    }
    let joined = format!("{bearer}, {basic}");
    assert_refused(issue_with(&server, &[(AUTHORIZATION, &joined)]).await, Code::Unauthenticated, INVALID);
    // None of the assertions was used up.
    accepted(issue_with(&server, &[(AUTHORIZATION, &jwt(2))]).await);
}

#[tokio::test]
async fn what_a_proxy_says_of_a_certificate_is_not_heard() {
    let server = TestServer::with(unlimited).await;
    let mut settings = by(&[AuthenticationMethod::MutualTls]);
    settings.authentication.certificate.uris = vec!["spiffe://test/web".to_owned()];
    settings.authentication.certificate.dns_names = vec!["web.test".to_owned()];
    put(&server.store, "web", settings, Vec::new()).await;
    server.rounds.make().await.unwrap();
    let secret = server.root.secret.clone().unwrap();
    let bearer = format!("Bearer {}", secret.reveal());
    for (name, value) in [
        ("x-forwarded-client-cert", "By=spiffe://test/tokend;URI=spiffe://test/web;DNS=web.test"),
        ("x-client-cert", "web.test"),
        ("ssl-client-verify", "SUCCESS"),
        ("ssl-client-subject-dn", "CN=web.test"),
        ("x-ssl-client-cn", "web.test"),
        ("forwarded", "for=127.0.0.1"),
        ("proxy-authorization", bearer.as_str()),
        ("cookie", "authorization=web"),
    ] {
        let alone = issue_with(&server, &[(name, value)]).await;
        assert_refused(alone, Code::Unauthenticated, "CREDENTIALS_MISSING");
        // Nor is it a second credential.
        accepted(issue_with(&server, &[(name, value), (AUTHORIZATION, &bearer)]).await);
    }
}

#[tokio::test]
async fn a_client_is_not_talked_down_to_a_weaker_credential() {
    let server = TestServer::with(unlimited).await;
    let signer = with_secret(&server, "signer", by_assertion(&[public(made(Algorithm::Es256), "k")])).await;
    accepted(issue_by(&server, &assertion("signer", "a")).await);
    let basic = format!("Basic {}", STANDARD.encode(format!("signer:{signer}")));
    assert_refused(issue_by(&server, &signer).await, Code::Unauthenticated, INVALID);
    assert_refused(issue_with(&server, &[(AUTHORIZATION, &basic)]).await, Code::Unauthenticated, INVALID);
    // The other way round: keys that are still registered do not count.
    let mut settings = by_assertion(&[public(made(Algorithm::Es256), "k")]);
    settings.authentication.methods = vec![AuthenticationMethod::ClientSecret];
    let secret = with_secret(&server, "plain", settings).await;
    accepted(issue_by(&server, &secret).await);
    assert_refused(issue_by(&server, &assertion("plain", "a")).await, Code::Unauthenticated, INVALID);
}

#[tokio::test]
async fn a_client_that_is_disabled_or_deleted_is_gone_with_the_next_call_on_an_open_connection() {
    let server = TestServer::with(unlimited).await;
    let secret = both(&server).await;
    // One connection for all calls.
    accepted(issue_by(&server, &secret).await);
    accepted(issue_by(&server, &assertion("both", "1")).await);
    let mut disabled = by_assertion(&[public(made(Algorithm::Es256), "k")]);
    disabled.disabled = true;
    disabled.authentication.methods.push(AuthenticationMethod::ClientSecret);
    with_secret(&server, "both", disabled).await;
    assert_refused(issue_by(&server, &secret).await, Code::Unauthenticated, INVALID);
    assert_refused(issue_by(&server, &assertion("both", "2")).await, Code::Unauthenticated, INVALID);
    both(&server).await;
    // What was refused then was not used up.
    accepted(issue_by(&server, &assertion("both", "2")).await);
    let delete = v1::DeleteClientRequest { client_id: "both".to_owned(), ..Default::default() };
    accepted(server.root.clients().delete_client(server.root.request(delete)).await);
    assert_refused(issue_by(&server, &secret).await, Code::Unauthenticated, INVALID);
    assert_refused(issue_by(&server, &assertion("both", "3")).await, Code::Unauthenticated, INVALID);
}

#[tokio::test]
async fn of_all_credentials_only_a_good_assertion_asks_the_store() {
    let mut settings = settings();
    unlimited(&mut settings);
    let (server, store) = CountingStore::serve(settings).await;
    store.set_down(true);
    let secret = server.root.secret.clone().unwrap();
    let basic = format!("Basic {}", STANDARD.encode(format!("root:{}", secret.reveal())));
    let before = store.calls();
    for _ in 0..20 {
        accepted(issue_by(&server, secret.reveal()).await);
        accepted(issue_with(&server, &[(AUTHORIZATION, &basic)]).await);
        assert_refused(issue_by(&server, "tkd_root_wrong").await, Code::Unauthenticated, INVALID);
        assert_refused(issue_by(&server, &assertion("root", "a")).await, Code::Unauthenticated, INVALID);
        assert_refused(issue_by(&server, &assertion("nobody", "a")).await, Code::Unauthenticated, INVALID);
    }
    assert_eq!(store.calls(), before);
}

#[tokio::test]
async fn too_many_wrong_secrets_are_told_to_wait_and_the_good_one_passes() {
    let server = TestServer::with(|settings| {
        settings.callers.failures_per_minute = NonZeroU32::new(2).unwrap();
    })
    .await;
    let secret = server.root.secret.clone().unwrap();
    // At least those two; how many in all depends on whether the address is known.
    let mut borne = 0;
    let status = loop {
        match issue_by(&server, "tkd_root_wrong").await {
            Err(status) if status.code() == Code::Unauthenticated => borne += 1,
            answer => break assert_refused(answer, Code::ResourceExhausted, "RATE_LIMITED"),
        }
    };
    assert!((2..=10).contains(&borne), "{borne} were borne");
    let wait = status.get_details_retry_info().unwrap().retry_delay.unwrap();
    assert!((1..=30).contains(&wait.as_secs()), "{wait:?}");
    for _ in 0..5 {
        accepted(issue_by(&server, secret.reveal()).await);
        assert_refused(issue_by(&server, "tkd_root_wrong").await, Code::ResourceExhausted, "RATE_LIMITED");
    }
    server.clock.advance(i64::try_from(wait.as_secs()).unwrap());
    let answer = issue_by(&server, "tkd_root_wrong").await;
    assert_refused(answer, Code::Unauthenticated, INVALID);
    let (_, _, metrics) = server.get("/metrics").await;
    let line = r#"tokend_authentications_total{method="client_secret",result="rate_limited"} 6"#;
    assert!(metrics.contains(line), "{metrics}");
}

#[tokio::test]
async fn authentications_are_counted_by_method_and_result() {
    let server = TestServer::with(unlimited).await;
    let secret = both(&server).await;
    accepted(issue_by(&server, &secret).await);
    accepted(issue_by(&server, &assertion("both", "1")).await);
    for _ in 0..2 {
        assert_refused(issue_by(&server, &assertion("both", "1")).await, Code::Unauthenticated, INVALID);
        assert_refused(issue_by(&server, "tkd_both_x").await, Code::Unauthenticated, INVALID);
        assert_refused(issue_with(&server, &[]).await, Code::Unauthenticated, "CREDENTIALS_MISSING");
    }
    let (_, _, metrics) = server.get("/metrics").await;
    for line in [
        r#"tokend_authentications_total{method="client_secret",result="ok"} 1"#,
        r#"tokend_authentications_total{method="client_secret",result="refused"} 2"#,
        r#"tokend_authentications_total{method="private_key_jwt",result="ok"} 1"#,
        r#"tokend_authentications_total{method="private_key_jwt",result="refused"} 2"#,
        r#"tokend_authentications_total{method="none",result="refused"} 2"#,
        r#"tokend_authentications_total{method="mutual_tls",result="ok"} 0"#,
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
}
