//! Clients that prove who they are by tokens, and the tokens that they present.

use std::{num::NonZeroU32, sync::Arc};

use serde_json::{Value, json};
use tokend::{
    model::{
        Algorithm, AssertionKeys, Authentication, AuthenticationMethod, Client, ClientRecord, ClientSettings,
        SecretRecord,
    },
    proto::v1,
    server::Settings,
    store::Store,
};
use tonic::{Request, Status};

use crate::{
    forge::{PrivateKey, b64},
    harness::{ISSUER, START, TestServer, everything, for_alice},
    made_keys::{MadeKey, with},
    store_backends::{at, id},
};

/// Limits that no test reaches unless it means to.
pub const fn unlimited(settings: &mut Settings) {
    settings.callers.failures_per_minute = NonZeroU32::new(1_000_000).unwrap();
}

/// The settings of a client that may do everything, once it has proved who it is by one of `methods`.
pub fn by(methods: &[AuthenticationMethod]) -> ClientSettings {
    let authentication = Authentication { methods: methods.to_vec(), ..Authentication::default() };
    ClientSettings { authentication, ..everything() }
}

/// The settings of a client that signs assertions with one of `keys`.
pub fn by_assertion(keys: &[Value]) -> ClientSettings {
    let mut settings = by(&[AuthenticationMethod::PrivateKeyJwt]);
    settings.authentication.assertion_keys = Some(AssertionKeys::JwksJson(json!({"keys": keys}).to_string()));
    settings
}

/// Puts a client into the store.
pub async fn put(store: &Arc<Store>, client_id: &str, settings: ClientSettings, secrets: Vec<SecretRecord>) {
    let (create_time, update_time) = (at(START), at(START));
    let client =
        Client { client_id: id(client_id), settings, create_time, update_time, revision: 1, mac: None };
    store.put_client(&ClientRecord { client, secrets }).await.unwrap();
}

/// Registers a client without a secret, and has the server know of it.
pub async fn register(server: &TestServer, client_id: &str, settings: ClientSettings) {
    put(&server.store, client_id, settings, Vec::new()).await;
    server.rounds.make().await.unwrap();
}

/// The public JWK of a key, under this id.
pub fn public(key: &MadeKey, kid: &str) -> Value {
    with(&key.public_jwk, "kid", kid)
}

/// What an assertion of `client_id` claims.
pub fn claims(client_id: &str, jwt_id: &str) -> Value {
    json!({
        "iss": client_id, "sub": client_id, "aud": ISSUER, "exp": START + 60, "iat": START, "jti": jwt_id,
    })
}

/// A token of these texts, signed by `key` with `algorithm`.
pub fn signed(key: &MadeKey, algorithm: Algorithm, header: &str, payload: &str) -> String {
    let input = format!("{}.{}", b64(header), b64(payload));
    let signature = PrivateKey::parse(algorithm, &key.pkcs8).sign(algorithm, &input);
    format!("{input}.{signature}")
}

/// IssueToken with these header values, by name.
pub async fn issue_with(
    server: &TestServer,
    headers: &[(&'static str, &str)],
) -> Result<v1::IssueTokenResponse, Status> {
    let mut request = Request::new(for_alice());
    for (name, value) in headers {
        request.metadata_mut().append(*name, value.parse().unwrap());
    }
    Ok(server.root.tokens().issue_token(request).await?.into_inner())
}

/// IssueToken by a token.
pub async fn issue_by(server: &TestServer, token: &str) -> Result<v1::IssueTokenResponse, Status> {
    issue_with(server, &[("authorization", &format!("Bearer {token}"))]).await
}
