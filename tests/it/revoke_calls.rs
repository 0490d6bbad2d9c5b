//! What stories about revocations ask of a server, and what its store then holds.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;
use tokend::{
    model::{ChangeSequence, Revocation},
    proto::v1::{
        self,
        revoke_token_request::{SubjectTarget, Target},
    },
    store::Store,
};
use tonic::Status;

use crate::harness::{TestClient, TestServer, accepted, for_alice};

/// A token of a session: the access token, the refresh token, and the ids of both.
pub struct Begun {
    pub access_token: String,
    pub refresh_token: String,
    pub jwt_id: String,
    pub session_id: String,
}

/// Begins a session of `alice`.
pub async fn begin(by: &TestClient) -> Begun {
    let request = v1::IssueTokenRequest { include_refresh_token: true, ..for_alice() };
    let answer = accepted(by.issue(request).await);
    let session_id = payload(&answer.access_token)["sid"].as_str().unwrap().to_owned();
    let (access_token, refresh_token) = (answer.access_token, answer.refresh_token);
    Begun { access_token, refresh_token, jwt_id: answer.jwt_id, session_id }
}

/// The payload of a token.
pub fn payload(token: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap()).unwrap()
}

pub fn subject(subject: &str, issued_before: Option<i64>) -> Target {
    let issued_before_time = issued_before.map(|seconds| prost_types::Timestamp { seconds, nanos: 0 });
    Target::Subject(SubjectTarget { subject: subject.to_owned(), issued_before_time })
}

/// A request to revoke that.
pub fn revocation_of(target: Target) -> v1::RevokeTokenRequest {
    v1::RevokeTokenRequest { target: Some(target), ..Default::default() }
}

/// Asks for a revocation, and answers since when it holds.
pub async fn ask(by: &TestClient, request: v1::RevokeTokenRequest) -> Result<i64, Status> {
    let answer = by.tokens().revoke_token(by.request(request)).await?.into_inner();
    Ok(answer.revoke_time.unwrap().seconds)
}

pub async fn revoke(by: &TestClient, target: Target) -> Result<i64, Status> {
    ask(by, revocation_of(target)).await
}

/// What the store holds, in the order in which it was made.
pub async fn stored(store: &Store) -> Vec<Revocation> {
    let page = store.revocations(ChangeSequence(0), 1000).await.unwrap();
    page.records.into_iter().map(|record| record.revocation).collect()
}

/// Registers a client that may have any token, call any method, and revoke that besides its own.
pub async fn revoker(
    server: &TestServer,
    client_id: &str,
    methods: &[&str],
    subjects: &[&str],
    clients: &[&str],
) -> TestClient {
    let texts = |texts: &[&str]| texts.iter().map(ToString::to_string).collect();
    let permissions = v1::Permissions {
        methods: texts(methods),
        audiences: texts(&["*"]),
        scopes: texts(&["*"]),
        subjects: texts(&["*"]),
        revoke_subjects: texts(subjects),
        revoke_clients: texts(clients),
        ..Default::default()
    };
    let client =
        v1::Client { client_id: client_id.to_owned(), permissions: Some(permissions), ..Default::default() };
    server.client(client).await
}
