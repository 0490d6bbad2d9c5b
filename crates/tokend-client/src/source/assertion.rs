//! Assertions of a client (RFC 7523 section 3), signed with its private key.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Serialize;
use serde_json::json;
use tokend_jose::{Algorithm, ImportedKey, KeyId, KeyMaterial, Signer, Source, UnixTime, import, join};

use super::credential::unusable;
use crate::{TokenError, random};

/// The lifetime of an assertion. It is sent at once.
const LIFETIME: Duration = Duration::from_secs(60);

/// The private key of a client, in a file, and what its assertions claim.
#[derive(Debug, Clone)]
pub struct AssertionKey {
    path: PathBuf,
    client_id: String,
    issuer: String,
    key_id: Option<String>,
    algorithm: Option<Algorithm>,
}

#[derive(Serialize)]
struct Header<'a> {
    alg: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<&'a str>,
    typ: &'a str,
}

impl AssertionKey {
    /// The key of the client `client_id` in the file `path`: PEM, or a JWK. `issuer` is the issuer of the tokend server, exactly as its
    /// setting `issuer` has it.
    pub fn file(path: impl Into<PathBuf>, client_id: impl Into<String>, issuer: impl Into<String>) -> Self {
        let (client_id, issuer) = (client_id.into(), issuer.into());
        Self { path: path.into(), client_id, issuer, key_id: None, algorithm: None }
    }

    /// The `kid` of the key. Default: that of the JWK, or none, which is enough for a client with one key for the algorithm.
    #[must_use]
    pub fn key_id(mut self, key_id: impl Into<String>) -> Self {
        self.key_id = Some(key_id.into());
        self
    }

    /// The algorithm. Required for a key that fits several, such as an RSA key in PEM.
    #[must_use]
    pub const fn algorithm(mut self, algorithm: Algorithm) -> Self {
        self.algorithm = Some(algorithm);
        self
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// A new assertion, signed with the key in `text`.
    pub(super) fn assertion(&self, text: &str, now: UnixTime) -> Result<String, TokenError> {
        let failed = |problem: &str| unusable(self.path.display().to_string(), problem);
        let text = text.trim();
        let source = if text.starts_with('{') { Source::Jwk(text) } else { Source::Pem(text) };
        let mut imported = import(source, self.algorithm).map_err(|error| failed(&error.to_string()))?;
        let (Some(key), true) = (imported.keys.pop(), imported.keys.is_empty()) else {
            return Err(failed("it must have exactly one key"));
        };
        let ImportedKey { key_id, algorithm, private: Some(private), .. } = key else {
            return Err(failed("it has no private key"));
        };
        let material = KeyMaterial::parse(algorithm, &private).map_err(|error| failed(&error.to_string()))?;
        let signer = Signer::in_memory(algorithm, Arc::new(material));
        let key_id = self.key_id.as_deref().or(key_id.as_ref().map(KeyId::as_str));
        let header = Header { alg: algorithm.name(), kid: key_id, typ: "client-authentication+jwt" };
        let header = serde_json::to_string(&header).map_err(|error| failed(&error.to_string()))?;
        let jwt_id = random::bytes().map_err(|_| failed("the system has no random numbers"))?;
        let claims = json!({
            "iss": self.client_id, "sub": self.client_id, "aud": self.issuer,
            "exp": now.after(LIFETIME).seconds(), "jti": URL_SAFE_NO_PAD.encode(jwt_id),
        });
        join(&URL_SAFE_NO_PAD.encode(header), claims.to_string().as_bytes(), |input| signer.sign(input))
            .map_err(|error| failed(&error.to_string()))
    }
}
