//! Stories of sessions that operators end, by the roles that are named for it.

use serde_json::Value;
use tokend::proto::v1::{self, revoke_token_request::Target, session_service_client::SessionServiceClient};
use tonic::{Code, Status};

use crate::{
    exchanges::texts,
    harness::{TestClient, TestServer, accepted, assert_refused, for_alice},
    sessions::{refresh, using},
};

async fn end(by: &TestClient, session_id: &str) -> Result<v1::EndSessionResponse, Status> {
    let request = v1::EndSessionRequest {
        session_id: session_id.to_owned(),
        reason: "laptop lost".to_owned(),
        ..Default::default()
    };
    let mut sessions = SessionServiceClient::new(by.channel.clone());
    Ok(sessions.end_session(by.request(request)).await?.into_inner())
}

async fn revoke(by: &TestClient, target: Target) -> Result<(), Status> {
    let request = v1::RevokeTokenRequest { target: Some(target), ..Default::default() };
    by.tokens().revoke_token(by.request(request)).await.map(drop)
}

/// A session of `root` about `alice`: its answer and its id.
async fn begun(server: &TestServer) -> (v1::IssueTokenResponse, String) {
    let request = v1::IssueTokenRequest { include_refresh_token: true, ..for_alice() };
    let issued = accepted(server.root.issue(request).await);
    let verified = accepted(server.root.check(&issued.access_token).await);
    let claims: Value = serde_json::from_str(&verified.claims_json).unwrap();
    (issued, claims["sid"].as_str().unwrap().to_owned())
}

async fn with(server: &TestServer, id: &str, roles: &[&str], methods: &[&str]) -> TestClient {
    let permissions =
        v1::Permissions { roles: texts(roles), methods: texts(methods), ..v1::Permissions::default() };
    let client =
        v1::Client { client_id: id.to_owned(), permissions: Some(permissions), ..Default::default() };
    server.client(client).await
}

#[tokio::test]
async fn the_roles_for_it_end_a_session_of_any_client() {
    let server = TestServer::start().await;
    for role in ["session-admin", "admin"] {
        let operator = with(&server, &format!("by-{role}"), &[role], &[]).await;
        let (issued, session_id) = begun(&server).await;
        let ended = accepted(end(&operator, &session_id).await);
        assert_eq!(ended.end_time.unwrap().seconds, server.clock.seconds());
        assert_refused(server.root.check(&issued.access_token).await, Code::InvalidArgument, "TOKEN_REVOKED");
        let again = refresh(&server.root, using(&issued.refresh_token)).await;
        assert_refused(again, Code::Unauthenticated, "REFRESH_TOKEN_INVALID");
        // A second revocation changes nothing; and a session that never existed is not found.
        accepted(end(&operator, &session_id).await);
        accepted(end(&operator, "AAAAAAAAAAAAAAAAAAAAAA").await);
    }
    let line = "tokend_revocations_made_total{target=\"session\"} ";
    assert!(server.get("/metrics").await.2.contains(line));
}

#[tokio::test]
async fn other_roles_end_no_session_and_a_method_alone_ends_the_callers_own() {
    let server = TestServer::start().await;
    let (issued, session_id) = begun(&server).await;
    for role in ["viewer", "client-admin", "user-admin", "key-admin"] {
        let operator = with(&server, &format!("by-{role}"), &[role], &[]).await;
        assert_refused(end(&operator, &session_id).await, Code::PermissionDenied, "METHOD_NOT_ALLOWED");
        let token = Target::SessionId(session_id.clone());
        assert_refused(revoke(&operator, token).await, Code::PermissionDenied, "METHOD_NOT_ALLOWED");
    }
    // `session-admin` is for sessions: tokens are not its.
    let operator = with(&server, "sessions", &["session-admin"], &[]).await;
    let subject = || {
        Target::Subject(v1::revoke_token_request::SubjectTarget {
            subject: "alice".to_owned(),
            ..Default::default()
        })
    };
    assert_refused(revoke(&operator, subject()).await, Code::PermissionDenied, "METHOD_NOT_ALLOWED");
    // A client that had all methods of the service before ends no session of others by that.
    let service = with(&server, "service", &[], &["SessionService/*"]).await;
    assert_refused(end(&service, &session_id).await, Code::PermissionDenied, "SUBJECT_NOT_ALLOWED");
    accepted(server.root.check(&issued.access_token).await);
    let malformed = end(&server.root, "no id").await;
    assert_refused(malformed, Code::InvalidArgument, "FIELD_INVALID");
    accepted(end(&server.root, &session_id).await);
}

#[tokio::test]
async fn the_role_admin_revokes_whatever_there_is() {
    let server = TestServer::start().await;
    let admin = with(&server, "ops", &["admin"], &[]).await;
    let (issued, session_id) = begun(&server).await;
    let targets = [
        Target::Token(issued.access_token.clone()),
        Target::JwtId(issued.jwt_id.clone()),
        Target::SessionId(session_id),
        Target::ClientId("root".to_owned()),
        Target::Subject(v1::revoke_token_request::SubjectTarget {
            subject: "alice".to_owned(),
            ..Default::default()
        }),
    ];
    for target in targets {
        accepted(revoke(&admin, target).await);
    }
    assert_refused(server.root.check(&issued.access_token).await, Code::InvalidArgument, "TOKEN_REVOKED");
    // It still has no tokens.
    assert_refused(admin.issue(for_alice()).await, Code::PermissionDenied, "METHOD_NOT_ALLOWED");
}

#[tokio::test]
async fn introspection_holds_the_claims_as_they_were_signed() {
    let server = TestServer::start().await;
    let claims_json = r#"{"n":12345678901234567890}"#.to_owned();
    let request = v1::IssueTokenRequest { claims_json, include_refresh_token: true, ..for_alice() };
    let issued = accepted(server.root.issue(request).await);
    let introspect = async |token: &str| {
        let request = v1::IntrospectTokenRequest { token: token.to_owned(), ..Default::default() };
        accepted(server.root.tokens().introspect_token(server.root.request(request)).await).into_inner()
    };
    let verified = accepted(server.root.check(&issued.access_token).await);
    let answer = introspect(&issued.access_token).await;
    assert!(answer.active && answer.claims_json.contains("12345678901234567890"), "{}", answer.claims_json);
    assert_eq!(answer.claims_json, verified.claims_json);
    // A refresh token holds none, and nothing is told of a bad token.
    assert_eq!(introspect(&issued.refresh_token).await.claims_json, "");
    let bad = introspect(&format!("{}x", issued.access_token)).await;
    assert!(!bad.active && bad.claims_json.is_empty());
}
