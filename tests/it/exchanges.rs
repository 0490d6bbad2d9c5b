//! What asks for exchanges and introspection.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use prost::Message as _;
use serde_json::Value;
use tokend::{model::Algorithm, proto::v1};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::{
    forge::Forge,
    harness::{TestClient, TestServer, accepted, assert_refused, for_alice, reason, refused, seconds},
};

pub const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
pub const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

/// A request to exchange this subject token, without an actor.
pub fn exchange_of(subject_token: &str) -> v1::ExchangeTokenRequest {
    v1::ExchangeTokenRequest {
        subject_token: subject_token.to_owned(),
        subject_token_type: ACCESS_TOKEN.to_owned(),
        ..Default::default()
    }
}

/// The same with this actor token.
pub fn exchange_by(subject_token: &str, actor_token: &str) -> v1::ExchangeTokenRequest {
    v1::ExchangeTokenRequest {
        actor_token: actor_token.to_owned(),
        actor_token_type: ACCESS_TOKEN.to_owned(),
        ..exchange_of(subject_token)
    }
}

impl TestClient {
    pub async fn exchange(
        &self,
        request: v1::ExchangeTokenRequest,
    ) -> Result<v1::ExchangeTokenResponse, Status> {
        Ok(self.tokens().exchange_token(self.request(request)).await?.into_inner())
    }

    /// What is said of the token to a caller that names these audiences.
    pub async fn introspect(
        &self,
        token: &str,
        audiences: &[&str],
    ) -> Result<v1::IntrospectTokenResponse, Status> {
        let audiences = audiences.iter().map(ToString::to_string).collect();
        let request = v1::IntrospectTokenRequest { token: token.to_owned(), audiences, ..Default::default() };
        Ok(self.tokens().introspect_token(self.request(request)).await?.into_inner())
    }
}

/// A client of this id with these permissions.
pub async fn client(server: &TestServer, client_id: &str, permissions: v1::Permissions) -> TestClient {
    let client_id = client_id.to_owned();
    server.client(v1::Client { client_id, permissions: Some(permissions), ..Default::default() }).await
}

pub fn texts(list: &[&str]) -> Vec<String> {
    list.iter().map(ToString::to_string).collect()
}

/// What a token says, after the server has said that it is good for one of its audiences.
pub async fn said(server: &TestServer, token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap();
    let audience = claims["aud"].as_str().or_else(|| claims["aud"][0].as_str()).unwrap();
    let request = v1::VerifyTokenRequest {
        token: token.to_owned(),
        audiences: vec![audience.to_owned()],
        ..Default::default()
    };
    accepted(server.root.verify(request).await);
    claims
}

/// What the service `orders` may do: exchange tokens of any subject that are for it, for tokens at `billing` that allow to read.
pub fn orders_may() -> v1::Permissions {
    v1::Permissions {
        methods: texts(&["TokenService/ExchangeToken", "TokenService/IssueToken"]),
        audiences: texts(&["billing", "stock", "orders"]),
        scopes: texts(&["read", "write"]),
        claims: texts(&["tenant"]),
        exchange_subjects: texts(&["alice", "user-*"]),
        exchange_actors: texts(&["*"]),
        impersonate: true,
        ..Default::default()
    }
}

/// A token for `alice` at `orders` that allows much.
pub async fn alices(server: &TestServer) -> String {
    let request = v1::IssueTokenRequest {
        scopes: texts(&["read", "write", "delete"]),
        ttl: seconds(600),
        claims_json: r#"{"tenant":"acme","big":9007199254740993}"#.to_owned(),
        ..for_alice()
    };
    accepted(server.root.issue(request).await).access_token
}

/// A token of the server's own key that says this.
pub async fn forged(server: &TestServer, payload: &Value) -> String {
    let forge = Forge::of(&server.store).await;
    forge.sign(Algorithm::Es256, forge.header(Algorithm::Es256), payload.to_string())
}

/// The field that a refusal names in its ErrorInfo.
pub fn field(status: &Status) -> String {
    status.get_details_error_info().unwrap().metadata.remove("field").unwrap_or_default()
}

/// Checks that policy denies a call for this reason, and names this field.
#[track_caller]
pub fn assert_denied<T>(answer: Result<T, Status>, expected: &str, at: &str) {
    let status = assert_refused(answer, Code::PermissionDenied, expected);
    assert_eq!(field(&status), at, "{}", status.message());
}

/// Checks that a bad token is not active, and that nothing comes of it, for a client that may exchange whatever is good.
pub async fn good_for_nothing(server: &TestServer, good: &str, name: &str, token: &str, expected: &str) {
    if token.is_empty() {
        return;
    }
    let told = accepted(server.root.introspect(token, &["orders"]).await);
    assert_eq!(told.encoded_len(), 0, "{name}: more is told than that it is not good");
    if expected == "TOKEN_AUDIENCE_MISMATCH" {
        return;
    }
    for request in [exchange_of(token), exchange_by(good, token)] {
        let status = refused(server.root.exchange(request).await);
        assert_eq!((status.code(), reason(&status).as_str()), (Code::InvalidArgument, expected), "{name}");
    }
}
