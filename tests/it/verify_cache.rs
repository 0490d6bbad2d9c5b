//! Stories of the verified-token cache: it saves the signature check, and no other check.

use tokend::{
    model::KeyState,
    proto::v1::{self, revoke_token_request::Target},
};
use tonic::Code;

use crate::{
    harness::{TestClient, TestServer, accepted, assert_refused, for_alice, seconds},
    key_calls::{self, kid},
    revoke_calls::{revoke, subject},
};

/// Hits of the cache so far.
async fn hits(server: &TestServer) -> u64 {
    let (.., metrics) = server.get("/metrics").await;
    let line = metrics.lines().find_map(|line| line.strip_prefix("tokend_verify_cache_hits_total "));
    line.unwrap().parse().unwrap()
}

/// A token that is in the cache.
async fn cached_token(server: &TestServer) -> v1::IssueTokenResponse {
    let answer = accepted(server.root.issue(for_alice()).await);
    accepted(server.root.check(&answer.access_token).await);
    let before = hits(server).await;
    accepted(server.root.check(&answer.access_token).await);
    assert_eq!(hits(server).await, before + 1, "the second call finds the token in the cache");
    answer
}

/// A client that may verify tokens for these audiences.
async fn verifier(server: &TestServer, client_id: &str, audience: &str) -> TestClient {
    let permissions = v1::Permissions {
        methods: vec!["TokenService/VerifyToken".to_owned()],
        verify_audiences: vec![audience.to_owned()],
        ..Default::default()
    };
    let client =
        v1::Client { client_id: client_id.to_owned(), permissions: Some(permissions), ..Default::default() };
    server.client(client).await
}

#[tokio::test]
async fn the_same_answer_comes_from_the_cache() {
    let server = TestServer::start().await;
    let token = accepted(server.root.issue(for_alice()).await).access_token;
    let first = accepted(server.root.check(&token).await);
    server.clock.advance(20);
    let again = accepted(server.root.check(&token).await);
    assert_eq!(hits(&server).await, 1);
    assert!(first == again, "the answers differ");
}

#[tokio::test]
async fn a_cached_token_is_refused_when_its_key_is_revoked() {
    let server = TestServer::start().await;
    let token = cached_token(&server).await;
    accepted(key_calls::revoke(&server, &token.key_id).await);
    assert_refused(server.root.check(&token.access_token).await, Code::InvalidArgument, "TOKEN_REVOKED");
}

#[tokio::test]
async fn a_cached_token_is_refused_when_it_or_its_subject_is_revoked() {
    let server = TestServer::start().await;
    let [one, other] = [cached_token(&server).await, cached_token(&server).await];
    accepted(revoke(&server.root, Target::JwtId(one.jwt_id)).await);
    assert_refused(server.root.check(&one.access_token).await, Code::InvalidArgument, "TOKEN_REVOKED");
    accepted(server.root.check(&other.access_token).await);
    accepted(revoke(&server.root, subject("alice", None)).await);
    assert_refused(server.root.check(&other.access_token).await, Code::InvalidArgument, "TOKEN_REVOKED");
}

#[tokio::test]
async fn a_cached_token_is_refused_when_it_has_expired() {
    let server = TestServer::start().await;
    let request = v1::IssueTokenRequest { ttl: seconds(60), ..for_alice() };
    let token = accepted(server.root.issue(request).await).access_token;
    let lifetime = accepted(server.root.check(&token).await).cache_ttl;
    assert_eq!(lifetime, seconds(30));
    server.clock.advance(59);
    assert_eq!(accepted(server.root.check(&token).await).cache_ttl, seconds(1));
    server.clock.advance(1);
    assert_refused(server.root.check(&token).await, Code::InvalidArgument, "TOKEN_EXPIRED");
}

#[tokio::test]
async fn what_one_caller_had_verified_is_checked_for_the_next_caller() {
    let server = TestServer::start().await;
    let token = cached_token(&server).await.access_token;
    let orders = verifier(&server, "orders", "orders").await;
    accepted(orders.check(&token).await);
    let billing = verifier(&server, "billing", "billing").await;
    assert_refused(billing.check(&token).await, Code::PermissionDenied, "AUDIENCE_NOT_ALLOWED");
    let own = v1::VerifyTokenRequest { token: token.clone(), ..Default::default() };
    assert_refused(billing.verify(own).await, Code::InvalidArgument, "TOKEN_AUDIENCE_MISMATCH");
    let scopes = vec!["read".to_owned(), "write".to_owned()];
    let request =
        v1::VerifyTokenRequest { token: token.clone(), required_scopes: scopes, ..Default::default() };
    assert_refused(orders.verify(request).await, Code::InvalidArgument, "TOKEN_SCOPE_INSUFFICIENT");
    assert!(hits(&server).await >= 4, "all of them found the token in the cache");
}

#[tokio::test]
async fn no_other_spelling_of_a_cached_token_is_accepted() {
    let server = TestServer::start().await;
    let token = cached_token(&server).await.access_token;
    let (rest, signature) = token.rsplit_once('.').unwrap();
    let (first, others) = signature.split_at(1);
    let other = if first == "A" { "B" } else { "A" };
    for (changed, reason) in [
        (format!("{rest}.{other}{others}"), "TOKEN_SIGNATURE_INVALID"),
        (format!("{token}="), "TOKEN_MALFORMED"),
        (format!(" {token}"), "TOKEN_MALFORMED"),
        (rest.to_owned(), "TOKEN_MALFORMED"),
    ] {
        assert_refused(server.root.check(&changed).await, Code::InvalidArgument, reason);
    }
    accepted(server.root.check(&token).await);
}

#[tokio::test]
async fn a_response_holds_the_fields_that_the_mask_names() {
    let server = TestServer::start().await;
    let token = cached_token(&server).await.access_token;
    let ask = async |paths: &[&str]| {
        let read_mask =
            prost_types::FieldMask { paths: paths.iter().map(|path| (*path).to_owned()).collect() };
        let request = v1::VerifyTokenRequest {
            token: token.clone(),
            audiences: vec!["orders".to_owned()],
            read_mask: Some(read_mask),
            ..Default::default()
        };
        server.root.verify(request).await
    };
    let whole = accepted(ask(&[]).await);
    assert!(whole == accepted(server.root.check(&token).await), "an empty mask names all fields");
    let some = accepted(ask(&["claims_json", "audiences"]).await);
    let expected = v1::VerifyTokenResponse {
        claims_json: whole.claims_json.clone(),
        audiences: whole.audiences.clone(),
        ..Default::default()
    };
    assert!(some == expected, "other fields than those that were named");
    let yes = accepted(ask(&["cache_ttl"]).await);
    assert!(yes.token_claims.is_none() && yes.claims.is_none() && yes.cache_ttl == whole.cache_ttl);
    assert_refused(ask(&["claims.sub"]).await, Code::InvalidArgument, "FIELD_INVALID");
}

#[tokio::test]
async fn a_rotation_leaves_cached_tokens_good() {
    let server = TestServer::start().await;
    let token = cached_token(&server).await;
    key_calls::rotate(&server, true).await;
    assert_ne!(kid(&server, KeyState::Active).await.unwrap(), token.key_id);
    accepted(server.root.check(&token.access_token).await);
    // A change that is none of its key's leaves the token in the cache.
    verifier(&server, "orders", "orders").await;
    let before = hits(&server).await;
    accepted(server.root.check(&token.access_token).await);
    assert_eq!(hits(&server).await, before + 1);
}
