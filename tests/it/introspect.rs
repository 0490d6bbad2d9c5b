//! IntrospectToken: which callers see which tokens, and that no caller learns why a token is inactive.

use prost::Message as _;
use serde_json::json;
use tokend::{model::Algorithm, proto::v1};
use tonic::Code;

use crate::{
    counting_store::CountingStore,
    exchanges::{client, texts},
    forge::{Forge, payload},
    harness::{
        START, TestClient, TestServer, accepted, assert_refused, fields, for_alice, seconds, settings,
    },
    made_keys::{made, pem_request, verify_only, with},
};

const ES256: Algorithm = Algorithm::Es256;

fn may_introspect(verify_audiences: &[&str]) -> v1::Permissions {
    v1::Permissions {
        methods: texts(&["TokenService/IntrospectToken", "TokenService/IssueToken"]),
        audiences: texts(&["*"]),
        subjects: texts(&["*"]),
        verify_audiences: texts(verify_audiences),
        ..Default::default()
    }
}

/// Whether the token is said to be good.
async fn is_active(caller: &TestClient, token: &str, audiences: &[&str]) -> bool {
    let answer = accepted(caller.introspect(token, audiences).await);
    if !answer.active {
        assert_eq!(answer.encoded_len(), 0, "more is told than that it is not good");
    }
    answer.active
}

#[tokio::test]
async fn a_good_token_is_told_with_all_its_claims() {
    let server = TestServer::start().await;
    let orders = client(&server, "orders", may_introspect(&["orders"])).await;
    let request = v1::IssueTokenRequest { claims_json: r#"{"tenant":"acme"}"#.to_owned(), ..for_alice() };
    let token = accepted(server.root.issue(request).await).access_token;
    let verified = accepted(server.root.check(&token).await);
    let answer = accepted(orders.introspect(&token, &[]).await);
    assert!(answer.active);
    assert_eq!(answer.token_type, "Bearer");
    assert_eq!(answer.token_claims, verified.token_claims);
    assert_eq!(answer.claims, verified.claims);
    assert_eq!(answer.token_claims.unwrap().subject, "alice");
}

#[tokio::test]
async fn who_is_told_of_a_token() {
    let server = TestServer::start().await;
    // It is for `orders`, and `root` had it issued.
    let token = server.root.token().await;
    let table = [
        (&["orders"][..], &[][..], true),
        (&["ord*"], &[], true),
        (&["orders", "billing"], &["orders"], true),
        (&["orders", "billing"], &["billing", "orders"], true),
        (&["*"], &["orders"], true),
        // Asking for one is not asking for the other.
        (&["orders", "billing"], &["billing"], false),
        (&["billing"], &[], false),
        (&["order"], &[], false),
        (&[], &[], false),
        // A bare `*` is not an audience of a client's own.
        (&["*"], &[], false),
        (&["*"], &["*"], false),
    ];
    for (index, (own, named, told)) in table.into_iter().enumerate() {
        let caller = client(&server, &format!("caller-{index}"), may_introspect(own)).await;
        assert_eq!(is_active(&caller, &token, named).await, told, "{own:?} {named:?}");
    }
}

#[tokio::test]
async fn a_caller_is_told_of_what_was_issued_to_it() {
    let server = TestServer::start().await;
    let app = client(&server, "app", may_introspect(&[])).await;
    let own = accepted(app.issue(for_alice_without_scopes()).await).access_token;
    assert!(is_active(&app, &own, &[]).await);
    assert!(!is_active(&app, &server.root.token().await, &[]).await);
    // A caller that names an audience may be about to accept the token for it.
    let orders = client(&server, "gateway", may_introspect(&["gateway"])).await;
    let for_orders = accepted(orders.issue(for_alice_without_scopes()).await).access_token;
    assert!(is_active(&orders, &for_orders, &[]).await);
    assert!(!is_active(&orders, &for_orders, &["gateway"]).await);
}

fn for_alice_without_scopes() -> v1::IssueTokenRequest {
    v1::IssueTokenRequest { scopes: Vec::new(), ..for_alice() }
}

#[tokio::test]
async fn a_client_id_in_another_issuers_token_is_no_client_here() {
    let server = TestServer::start().await;
    let app = client(&server, "app", may_introspect(&[])).await;
    let key = made(ES256);
    let mut request = verify_only(pem_request(key.public_pem(), "ES256"));
    request.issuer = "https://old.test".to_owned();
    let request = server.root.request(request);
    let imported = accepted(server.root.keys().import_key(request).await).into_inner().key.unwrap();
    let claims = json!({
        "iss": "https://old.test", "sub": "alice", "aud": "orders", "exp": START + 60, "client_id": "app",
    });
    let token = key.token(&imported.key_id, &claims);
    accepted(server.root.check(&token).await);
    assert!(is_active(&server.root, &token, &["orders"]).await);
    assert!(!is_active(&app, &token, &[]).await);
}

#[tokio::test]
async fn all_that_is_wrong_with_a_token_is_one_answer() {
    let server = TestServer::start().await;
    let forge = Forge::of(&server.store).await;
    let orders = client(&server, "orders", may_introspect(&["orders"])).await;
    let good = server.root.token().await;
    let forged = |payload: &serde_json::Value| forge.sign(ES256, forge.header(ES256), payload.to_string());
    let claim = |name: &str, value: serde_json::Value| forged(&with(&payload(), name, value));
    assert!(is_active(&orders, &forged(&payload()), &[]).await, "the forge works");
    let (head, signature) = good.rsplit_once('.').unwrap();
    let header = |text: &str| forge.sign(ES256, text, payload().to_string());
    let other_key = made(ES256).token("nobody", &payload());
    let stolen_kid = made(ES256).token(forge.kid(ES256), &payload());
    let bad = [
        "garbage".to_owned(),
        "..".to_owned(),
        " ".to_owned(),
        "a".repeat(8193),
        format!("{good}A"),
        format!("Bearer {good}"),
        format!("{head}.{}", signature.chars().rev().collect::<String>()),
        format!("{head}."),
        header(r#"{"alg":"none","typ":"JWT"}"#),
        header(&format!(r#"{{"alg":"HS256","kid":"{}","typ":"JWT"}}"#, forge.kid(ES256))),
        header(&format!(r#"{{"alg":"ES256","kid":"{}","typ":"JWT","crit":["x"]}}"#, forge.kid(ES256))),
        other_key,
        stolen_kid,
        claim("exp", json!(START)),
        claim("exp", json!("soon")),
        claim("nbf", json!(START + 1)),
        claim("iat", json!(START + 121)),
        claim("aud", json!("billing")),
        claim("aud", json!([])),
        claim("iss", json!("https://elsewhere.test")),
        claim("sub", json!(null)),
        claim("act", json!("nobody")),
        "tkr_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".to_owned(),
        "tkr_".to_owned(),
    ];
    assert!(bad.len() >= 20);
    for token in bad {
        let answer = accepted(orders.introspect(&token, &[]).await);
        assert_eq!(answer.encode_to_vec(), Vec::<u8>::new(), "{token}");
    }
    // Time and the loss of its key make the good one like them.
    assert!(is_active(&orders, &good, &[]).await);
    let short = v1::IssueTokenRequest { ttl: seconds(5), ..for_alice() };
    let short = accepted(server.root.issue(short).await).access_token;
    server.clock.advance(5);
    assert!(!is_active(&orders, &short, &[]).await);
    let request = v1::RevokeKeyRequest {
        key_id: forge.kid(ES256).to_owned(),
        reason: "leaked".to_owned(),
        ..Default::default()
    };
    accepted(server.root.keys().revoke_key(server.root.request(request)).await);
    assert!(!is_active(&orders, &good, &[]).await);
}

#[tokio::test]
async fn what_is_refused() {
    let server = TestServer::start().await;
    let token = server.root.token().await;
    let orders = client(&server, "orders", may_introspect(&["orders"])).await;
    let status = assert_refused(orders.introspect("", &[]).await, Code::InvalidArgument, "FIELD_INVALID");
    assert_eq!(fields(&status), ["token"]);
    let status = orders.introspect(&token, &["orders", "a\u{7}"]).await;
    // Policy comes first.
    assert_refused(status, Code::PermissionDenied, "AUDIENCE_NOT_ALLOWED");
    let denied = orders.introspect(&token, &["orders", "billing"]).await;
    let status = assert_refused(denied, Code::PermissionDenied, "AUDIENCE_NOT_ALLOWED");
    assert!(status.message().contains("may not verify audience \"billing\""), "{}", status.message());
    let nobody = client(&server, "nobody", v1::Permissions::default()).await;
    assert_refused(nobody.introspect(&token, &[]).await, Code::PermissionDenied, "METHOD_NOT_ALLOWED");
    let anonymous = TestClient { secret: None, ..orders };
    assert_refused(anonymous.introspect(&token, &[]).await, Code::Unauthenticated, "CREDENTIALS_MISSING");
}

#[tokio::test]
async fn a_failure_is_neither_yes_nor_no() {
    let (server, store) = CountingStore::serve(settings()).await;
    let good = server.root.token().await;
    let unknown = made(ES256).token("nobody", &payload());
    store.set_down(true);
    // The one needs no look into the store.
    assert!(is_active(&server.root, &good, &["orders"]).await);
    let answer = server.root.introspect(&unknown, &["orders"]).await;
    assert_refused(answer, Code::Unavailable, "STORE_UNAVAILABLE");
}

#[tokio::test]
async fn a_refresh_token_is_told_of_to_its_client_alone() {
    let server = TestServer::start().await;
    let mut may = may_introspect(&["orders"]);
    may.methods.push("TokenService/RefreshToken".to_owned());
    may.scopes = texts(&["read"]);
    let app = client(&server, "app", may.clone()).await;
    let other = client(&server, "other", may).await;
    let begun = v1::IssueTokenRequest { include_refresh_token: true, ..for_alice() };
    let begun = accepted(app.issue(begun).await);
    let first = begun.refresh_token.as_str();
    let answer = accepted(app.introspect(first, &[]).await);
    let claims = v1::TokenClaims {
        issuer: crate::harness::ISSUER.to_owned(),
        subject: "alice".to_owned(),
        audiences: texts(&["orders"]),
        expire_time: begun.refresh_token_expire_time,
        issue_time: begun.issue_time,
        client_id: "app".to_owned(),
        scopes: texts(&["read"]),
        ..Default::default()
    };
    assert!(answer.active && answer.claims.is_none());
    assert_eq!((answer.token_claims, answer.token_type.as_str()), (Some(claims), "refresh_token"));
    // The service of the audience may see access tokens, and never refresh tokens.
    assert!(!is_active(&other, first, &[]).await && !is_active(&server.root, first, &["orders"]).await);
    assert!(is_active(&app, first, &["orders"]).await);
    let turned = format!("{}A", &first[..first.len() - 1]);
    let turned = if turned == first { format!("{}B", &first[..first.len() - 1]) } else { turned };
    assert!(!is_active(&app, &turned, &[]).await && !is_active(&app, &format!("{first}A"), &[]).await);
    // Asking does not use it up; using it does, and asking about it then ends nothing.
    let refresh = |token: &str| {
        let request = v1::RefreshTokenRequest { refresh_token: token.to_owned(), ..Default::default() };
        let request = app.request(request);
        async { accepted(app.tokens().refresh_token(request).await).into_inner().refresh_token }
    };
    server.clock.advance(60);
    let second = refresh(first).await;
    assert!(!is_active(&app, first, &[]).await);
    let answer = accepted(app.introspect(&second, &[]).await);
    assert_eq!(answer.token_claims.unwrap().issue_time.unwrap().seconds, START + 60);
    let third = refresh(&second).await;
    assert!(is_active(&app, &third, &[]).await);
    server.clock.advance(7 * 86_400);
    assert!(!is_active(&app, &third, &[]).await);
}

#[tokio::test]
async fn a_refresh_token_is_not_good_or_bad_by_a_failure() {
    let (server, store) = CountingStore::serve(settings()).await;
    let begun = v1::IssueTokenRequest { include_refresh_token: true, ..for_alice() };
    let refresh_token = accepted(server.root.issue(begun).await).refresh_token;
    assert!(is_active(&server.root, &refresh_token, &[]).await);
    store.set_down(true);
    assert_refused(server.root.introspect(&refresh_token, &[]).await, Code::Unavailable, "STORE_UNAVAILABLE");
    // This one cannot be a refresh token, whatever the store says.
    assert!(!is_active(&server.root, "tkr_short", &[]).await);
}
