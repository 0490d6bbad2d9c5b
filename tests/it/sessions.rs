//! What the stories of sessions begin with.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;
use tokend::proto::v1::{self, session_service_client::SessionServiceClient};
use tonic::{Code, Status};

use crate::harness::{TestClient, accepted, assert_refused, for_alice};

/// A request for a token for `alice` at `orders` and `billing` that allows `read` and `write`, with a session.
pub fn session_for_alice() -> v1::IssueTokenRequest {
    v1::IssueTokenRequest {
        audiences: vec!["orders".to_owned(), "billing".to_owned()],
        scopes: vec!["read".to_owned(), "write".to_owned()],
        include_refresh_token: true,
        ..for_alice()
    }
}

/// Begins a session, and answers its refresh token.
pub async fn begin(by: &TestClient) -> String {
    let answer = accepted(by.issue(session_for_alice()).await);
    assert!(!answer.refresh_token.is_empty());
    answer.refresh_token
}

/// The use of a refresh token.
pub fn using(refresh_token: &str) -> v1::RefreshTokenRequest {
    v1::RefreshTokenRequest { refresh_token: refresh_token.to_owned(), ..Default::default() }
}

/// The same in a request of this number.
pub fn using_in(refresh_token: &str, request: u32) -> v1::RefreshTokenRequest {
    let request_id = format!("00000000-0000-4000-8000-{request:012}");
    v1::RefreshTokenRequest { request_id, ..using(refresh_token) }
}

pub async fn refresh(
    by: &TestClient,
    request: v1::RefreshTokenRequest,
) -> Result<v1::RefreshTokenResponse, Status> {
    Ok(by.tokens().refresh_token(by.request(request)).await?.into_inner())
}

/// Uses a refresh token, which must be good, and answers the next.
pub async fn refreshed(by: &TestClient, refresh_token: &str) -> String {
    accepted(refresh(by, using(refresh_token)).await).refresh_token
}

/// Checks that a refresh token is invalid, without an error about reuse.
pub async fn assert_invalid(by: &TestClient, refresh_token: &str) {
    let answer = refresh(by, using(refresh_token)).await;
    assert_refused(answer, Code::Unauthenticated, "REFRESH_TOKEN_INVALID");
}

/// Checks that the use of a refresh token counts as a second one.
pub async fn assert_reused(by: &TestClient, refresh_token: &str) {
    let answer = refresh(by, using(refresh_token)).await;
    assert_refused(answer, Code::Unauthenticated, "REFRESH_TOKEN_REUSED");
}

/// What an access token says.
pub fn claims(token: &str) -> Value {
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    serde_json::from_slice(&payload).unwrap()
}

/// The session of an access token.
pub fn sid(token: &str) -> String {
    claims(token)["sid"].as_str().unwrap().to_owned()
}

pub async fn list(
    by: &TestClient,
    request: v1::ListSessionsRequest,
) -> Result<v1::ListSessionsResponse, Status> {
    let mut sessions = SessionServiceClient::new(by.channel.clone());
    Ok(sessions.list_sessions(by.request(request)).await?.into_inner())
}

/// Every session that lives.
pub async fn living(by: &TestClient) -> Vec<v1::Session> {
    accepted(list(by, v1::ListSessionsRequest::default()).await).sessions
}
