//! Services that verify offline: what is pushed to them, and what they do without it.

use std::time::Duration;

use serde_json::json;
use tokend::{
    model::{Algorithm, KeyState, Revocation, RevocationTarget, UnixTime},
    proto::v1::revoke_token_request::Target,
};
use tokend_client::{Verifier, VerifyError};

use crate::{
    client_scene::{Way, clock, offline, online, rejected, watching},
    forge::Forge,
    harness::{ISSUER, START, TestServer, accepted, for_alice, reason, refused, seconds},
    jwks_stand_in::{Answer, JwksStandIn},
    key_calls::{kid, revoke, rotate},
    revoke_calls::{self, begin, subject},
    tls_harness::TestAuthority,
};

/// Verifies until the result is one that is `wanted`: what is pushed takes its way.
async fn until(verifier: &Verifier, token: &str, wanted: impl Fn(&Result<(), VerifyError>) -> bool) {
    while !wanted(&verifier.verify(token).await.map(|_| ())) {
        tokio::task::yield_now().await;
    }
}

/// Waits until so many of so many verifiers have the pending key.
async fn until_ready(server: &TestServer, expected: (i32, i32)) {
    loop {
        let keys = crate::key_calls::list(server).await;
        let pending = keys.iter().find(|key| key.state() == tokend::proto::v1::KeyState::Pending).unwrap();
        if (pending.verifiers_ready, pending.verifiers_total) == expected {
            return;
        }
        tokio::task::yield_now().await;
    }
}

fn is_revoked(result: &Result<(), VerifyError>) -> bool {
    matches!(result, Err(VerifyError::Rejected { reason, .. }) if reason.name() == "TOKEN_REVOKED")
}

const fn is_unavailable(result: &Result<(), VerifyError>) -> bool {
    matches!(result, Err(VerifyError::Unavailable(_)))
}

#[tokio::test]
async fn a_good_token_is_verified_without_a_call_and_its_claims_are_read() {
    let server = TestServer::start().await;
    let verifier = offline(&server).await;
    let request = tokend::proto::v1::IssueTokenRequest {
        claims_json: r#"{"tenant":"acme"}"#.to_owned(),
        ..for_alice()
    };
    let token = accepted(server.root.issue(request).await).access_token;
    // Cold, then from the cache.
    for _ in 0..2 {
        let claims = verifier.verify(&token).await.unwrap();
        assert_eq!((claims.subject(), claims.client_id()), ("alice", Some("root")));
        assert!(claims.has_scope("read") && claims.require_scope("write").is_err());
        let custom: serde_json::Value = claims.deserialize().unwrap();
        assert_eq!(custom["tenant"], "acme");
    }
    server.clock.advance(24 * 3600);
    assert_eq!(rejected(verifier.verify(&token).await), "TOKEN_EXPIRED", "the cache is no decision");
}

#[tokio::test]
async fn no_good_token_is_refused_while_keys_rotate() {
    let server = TestServer::start().await;
    let verifier = offline(&server).await;
    let mut tokens = vec![server.root.token().await];
    for _ in 0..4 {
        // As `await_verifiers` has it: a key signs when the verifiers have it.
        until_ready(&server, (1, 1)).await;
        rotate(&server, true).await;
        tokens.push(server.root.token().await);
        for token in &tokens {
            verifier.verify(token).await.unwrap();
        }
    }
    let signers: std::collections::BTreeSet<_> =
        tokens.iter().map(|token| crate::key_calls::header(token)["kid"].to_string()).collect();
    assert_eq!(signers.len(), 5);
}

#[tokio::test]
async fn whatever_is_revoked_is_refused_as_soon_as_it_is_pushed() {
    let server = TestServer::start().await;
    let verifier = offline(&server).await;
    for kind in ["token", "session", "subject", "client", "key"] {
        let begun = begin(&server.root).await;
        let token = &begun.access_token;
        verifier.verify(token).await.unwrap();
        let target = match kind {
            "token" => Target::JwtId(begun.jwt_id.clone()),
            "session" => Target::SessionId(begun.session_id.clone()),
            "subject" => subject("alice", None),
            "client" => Target::ClientId("root".to_owned()),
            _ => {
                accepted(revoke(&server, &kid(&server, KeyState::Active).await.unwrap()).await);
                until(&verifier, token, is_revoked).await;
                continue;
            }
        };
        accepted(revoke_calls::revoke(&server.root, target).await);
        until(&verifier, token, is_revoked).await;
        assert_eq!(reason(&refused(server.root.check(token).await)), "TOKEN_REVOKED", "{kind}");
        // What is issued from the next second on is good.
        server.clock.advance(2);
        verifier.verify(&server.root.token().await).await.unwrap();
    }
}

#[tokio::test]
async fn everything_that_was_issued_before_a_time_is_revoked() {
    let server = TestServer::start().await;
    let verifier = offline(&server).await;
    let token = server.root.token().await;
    verifier.verify(&token).await.unwrap();
    let at = |seconds| UnixTime::from_seconds(START + seconds);
    let target = RevocationTarget::Everything(at(1));
    let revocation = Revocation { target, revoke_time: at(0), expire_time: Some(at(3600)) };
    server.store.revoke(&revocation).await.unwrap();
    server.rounds.make().await.unwrap();
    until(&verifier, &token, is_revoked).await;
    server.clock.advance(1);
    verifier.verify(&server.root.token().await).await.unwrap();
}

#[tokio::test]
async fn subjects_that_are_sent_as_hashes_are_revoked_too() {
    let server = TestServer::with(|settings| settings.trust_privacy.hashes_subjects = true).await;
    let verifier = offline(&server).await;
    let token = server.root.token().await;
    verifier.verify(&token).await.unwrap();
    accepted(revoke_calls::revoke(&server.root, subject("bob", None)).await);
    accepted(revoke_calls::revoke(&server.root, subject("alice", None)).await);
    until(&verifier, &token, is_revoked).await;
}

#[tokio::test]
async fn nothing_is_accepted_before_the_state_is_there_or_when_it_is_too_old() {
    let server = TestServer::with(|settings| settings.watches.heartbeat = Duration::from_millis(2)).await;
    let token = server.root.token().await;
    let way = Way::to(server.grpc).await;
    way.cut();
    let verifier = watching(&server, way.addr).build().unwrap();
    assert!(is_unavailable(&verifier.verify(&token).await.map(|_| ())));
    assert_eq!(verifier.age(), None);
    way.mend();
    verifier.ready().await;
    verifier.verify(&token).await.unwrap();

    // The server goes on with its heartbeats, and has not read its store since.
    server.clock.advance(300);
    verifier.verify(&token).await.unwrap();
    server.clock.advance(1);
    assert!(is_unavailable(&verifier.verify(&token).await.map(|_| ())), "{:?}", verifier.age());
    // A token that is refused anyway is refused for its own reason.
    assert_eq!(rejected(verifier.verify("no token").await), "TOKEN_MALFORMED");
    server.rounds.make().await.unwrap();
    until(&verifier, &token, Result::is_ok).await;
}

#[tokio::test]
async fn a_lost_connection_is_resumed_and_misses_nothing() {
    let server = TestServer::start().await;
    let way = Way::to(server.grpc).await;
    let verifier = watching(&server, way.addr).build().unwrap();
    verifier.ready().await;
    let (lost, kept) = (begin(&server.root).await, server.root.token().await);
    way.cut();
    accepted(revoke_calls::revoke(&server.root, Target::JwtId(lost.jwt_id)).await);
    rotate(&server, true).await;
    // Without a connection the last state is in use, until it is too old.
    verifier.verify(&lost.access_token).await.unwrap();
    verifier.verify(&kept).await.unwrap();
    way.mend();
    until(&verifier, &lost.access_token, is_revoked).await;
    verifier.verify(&kept).await.unwrap();
    rotate(&server, true).await;
    until(&verifier, &server.root.token().await, Result::is_ok).await;
}

#[tokio::test]
async fn operators_see_which_verifiers_have_the_pending_key() {
    let server = TestServer::start().await;
    let verifier = watching(&server, server.grpc).verifier_id("gateway").build().unwrap();
    verifier.ready().await;
    until_ready(&server, (1, 1)).await;
    // The watch ends with the verifier.
    drop(verifier);
    until_ready(&server, (0, 0)).await;
}

#[tokio::test]
async fn a_server_with_secrets_only_publishes_no_key_and_its_tokens_are_unknown() {
    let server = TestServer::with(|settings| {
        settings.keys.algorithms = vec![Algorithm::Hs256];
        settings.keys.shared_secret = Some(tokend::keys::SharedSecret(zeroize::Zeroizing::new(vec![8; 32])));
    })
    .await;
    let token = server.root.token().await;
    assert_eq!(rejected(offline(&server).await.verify(&token).await), "TOKEN_KEY_UNKNOWN");
    online(&server).verify(&token).await.unwrap();
}

#[tokio::test]
async fn what_a_key_holder_could_sign_wrongly_is_refused_alike_offline_and_online() {
    let server = TestServer::start().await;
    let (offline, online) = (offline(&server).await, online(&server));
    let forge = Forge::of(&server.store).await;
    let good = forge.payload();
    let with = |name: &str, value: serde_json::Value| {
        let mut claims = good.clone();
        claims[name] = value;
        forge.token(Algorithm::Es256, &claims)
    };
    for (token, expected) in [
        (with("aud", json!("billing")), "TOKEN_AUDIENCE_MISMATCH"),
        (with("iss", json!("https://other.test")), "TOKEN_ISSUER_MISMATCH"),
        (with("exp", json!(START)), "TOKEN_EXPIRED"),
        (with("iat", json!(START + 121)), "TOKEN_NOT_YET_VALID"),
        (with("nbf", json!(START + 1)), "TOKEN_NOT_YET_VALID"),
        (with("jti", json!("")), "TOKEN_CLAIM_INVALID"),
        (with("sub", json!(7)), "TOKEN_CLAIM_INVALID"),
    ] {
        assert_eq!(rejected(offline.verify(&token).await), expected);
        assert_eq!(rejected(online.verify(&token).await), expected);
    }
    let token = forge.token(Algorithm::Es256, &good);
    let (read, answered) = (offline.verify(&token).await.unwrap(), online.verify(&token).await.unwrap());
    assert_eq!(read.registered(), answered.registered());
    assert_eq!(read.json(), answered.json());
}

#[tokio::test]
async fn a_jwk_set_alone_is_enough_and_is_fetched_again_for_an_unknown_key() {
    let server = TestServer::start().await;
    let url = format!("http://{}/.well-known/jwks.json", server.http);
    let verifier = Verifier::jwk_set(url).issuer(ISSUER).audience("orders").clock(clock(&server));
    let verifier = verifier.build().unwrap();
    let token = server.root.token().await;
    verifier.verify(&token).await.unwrap();
    // Two rotations at once: the set in memory has no key of the second.
    rotate(&server, true).await;
    rotate(&server, true).await;
    let new = server.root.token().await;
    assert_eq!(rejected(verifier.verify(&new).await), "TOKEN_KEY_UNKNOWN", "it was fetched just now");
    server.clock.advance(30);
    verifier.verify(&new).await.unwrap();
    verifier.verify(&token).await.unwrap();
}

#[tokio::test]
async fn a_jwk_set_is_kept_for_its_max_age_and_used_longer_if_it_cannot_be_fetched() {
    let server = TestServer::start().await;
    let set = server.get("/.well-known/jwks.json").await.2;
    let stand_in = JwksStandIn::start(Answer::Set(set)).await;
    let verifier = Verifier::jwk_set(stand_in.uri()).issuer(ISSUER).audience("orders").clock(clock(&server));
    let verifier = verifier.build().unwrap();
    let request = tokend::proto::v1::IssueTokenRequest { ttl: seconds(8 * 3600), ..for_alice() };
    let token = accepted(server.root.issue(request).await).access_token;
    for (advance, answer, requests) in [
        (0, None, 1),
        (300, None, 1),
        (1, None, 2),
        (301, Some(Answer::Nothing), 3),
        (1, None, 3),
        (4, None, 4),
    ] {
        server.clock.advance(advance);
        if let Some(answer) = answer {
            stand_in.answer(answer);
        }
        verifier.verify(&token).await.unwrap();
        assert_eq!(stand_in.requests(), requests, "after {advance} s");
    }
    server.clock.advance(3600);
    assert!(is_unavailable(&verifier.verify(&token).await.map(|_| ())));
}

#[tokio::test]
async fn a_jwk_set_comes_from_a_server_of_the_trusted_authority_only() {
    let server = TestServer::start().await;
    let token = server.root.token().await;
    let stand_in = JwksStandIn::start(Answer::Set(server.get("/.well-known/jwks.json").await.2)).await;
    let (authority, other) = (TestAuthority::new(), TestAuthority::new());
    stand_in.certificate(&authority.server());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    let verifier = || {
        let verifier = Verifier::jwk_set(stand_in.uri()).issuer(ISSUER).audience("orders");
        verifier.ca_file(&file).clock(clock(&server)).build()
    };
    assert!(verifier().unwrap_err().to_string().contains(file.to_str().unwrap()));
    for (ca, is_trusted) in [(&authority.pem, true), (&other.pem, false)] {
        std::fs::write(&file, ca).unwrap();
        let result = verifier().unwrap().verify(&token).await.map(|_| ());
        assert!(if is_trusted { result.is_ok() } else { is_unavailable(&result) }, "{result:?}");
    }
}

#[test]
fn a_jwk_set_is_fetched_over_tls_or_from_this_machine() {
    for (url, is_good) in [
        ("https://id.example.com/.well-known/jwks.json", true),
        ("http://localhost:8080/.well-known/jwks.json", true),
        ("http://id.example.com/.well-known/jwks.json", false),
        ("http://localhost.example.com/.well-known/jwks.json", false),
        ("id.example.com", false),
    ] {
        let built = Verifier::jwk_set(url).issuer(ISSUER).audience("orders").build();
        assert_eq!(built.is_ok(), is_good, "{url}");
    }
}

#[tokio::test]
async fn a_verifier_must_know_its_issuer_and_its_audience() {
    let server = TestServer::start().await;
    let verifier = || Verifier::watch(crate::client_scene::channel(server.grpc));
    let error = verifier().issuer(ISSUER).build().unwrap_err().to_string();
    assert_eq!(error, "audience is missing: call `.audience(…)` on the builder");
    let error = verifier().audience("orders").build().unwrap_err().to_string();
    assert_eq!(error, "issuer is missing: call `.issuer(…)` on the builder");
    let leeway = verifier().issuer(ISSUER).audience("orders").leeway(Duration::from_secs(61));
    assert!(leeway.build().unwrap_err().to_string().starts_with("leeway: must be at most a minute"));
}

#[tokio::test]
async fn online_a_response_is_reused_for_its_cache_ttl() {
    let server = TestServer::start().await;
    let verifier = online(&server);
    let begun = begin(&server.root).await;
    verifier.verify(&begun.access_token).await.unwrap();
    accepted(revoke_calls::revoke(&server.root, Target::JwtId(begun.jwt_id)).await);
    server.clock.advance(29);
    verifier.verify(&begun.access_token).await.unwrap();
    server.clock.advance(1);
    assert_eq!(rejected(verifier.verify(&begun.access_token).await), "TOKEN_REVOKED");
}
