//! What stories about keys ask of a server.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;
use tempfile::TempDir;
use tokend::{
    model::{Algorithm, KeyState},
    proto::v1,
    store::{self, Location, Store},
};
use tonic::{Response, Status};

use crate::harness::{TestServer, accepted, for_alice};

pub const HOUR: i64 = 3600;
pub const DAY: i64 = 24 * HOUR;

/// The key ids of the JWK set, in its order.
pub async fn published(server: &TestServer) -> Vec<String> {
    let set: Value = serde_json::from_str(&server.get("/.well-known/jwks.json").await.2).unwrap();
    let keys = set["keys"].as_array().unwrap().iter();
    keys.map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

/// The ES256 key of that state.
pub async fn kid(server: &TestServer, state: KeyState) -> Option<String> {
    let set = server.store.keys().await.unwrap();
    set.of(Algorithm::Es256, state).next().map(|key| key.key_id.to_string())
}

/// A token for `alice`.
pub async fn issue(server: &TestServer) -> v1::IssueTokenResponse {
    accepted(server.root.issue(for_alice()).await)
}

/// The header of a token.
pub fn header(token: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap()).unwrap()
}

/// Rotates the default algorithm's keys.
pub async fn rotate(server: &TestServer, immediately: bool) -> Vec<v1::Key> {
    let request = server.root.request(v1::RotateKeysRequest { immediately, ..Default::default() });
    accepted(server.root.keys().rotate_keys(request).await).into_inner().keys
}

/// Revokes a key.
pub async fn revoke(server: &TestServer, key_id: &str) -> Result<v1::Key, Status> {
    let reason = "found in a log".to_owned();
    let request = v1::RevokeKeyRequest { key_id: key_id.to_owned(), reason, ..Default::default() };
    let answer = server.root.keys().revoke_key(server.root.request(request)).await;
    answer.map(|answer| answer.into_inner().key.unwrap())
}

/// Takes in a key.
pub async fn import(server: &TestServer, request: v1::ImportKeyRequest) -> Result<v1::Key, Status> {
    let answer = server.root.keys().import_key(server.root.request(request)).await;
    answer.map(|answer: Response<v1::ImportKeyResponse>| answer.into_inner().key.unwrap())
}

/// Every key.
pub async fn list(server: &TestServer) -> Vec<v1::Key> {
    let request = server.root.request(v1::ListKeysRequest::default());
    accepted(server.root.keys().list_keys(request).await).into_inner().keys
}

/// A store in a file, for a server that stops and starts again.
pub async fn file(folder: &TempDir) -> Arc<Store> {
    store::open(&Location::Sqlite(folder.path().join("tokend.db"))).await.unwrap()
}
