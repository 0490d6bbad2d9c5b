//! How a client authenticates to tokend.

use std::{fmt, fs::File, io::Read as _, path::Path, path::PathBuf, sync::Arc};

use http::HeaderValue;
use zeroize::Zeroizing;

use super::{access_token::bearer, assertion::AssertionKey};
use crate::{Clock, TokenError};

/// The limit of a credential file, in bytes. Tokens of Kubernetes have about 1,000 bytes, PEM files of RSA keys about 3,000.
const LONGEST_FILE: u64 = 64 * 1024;

/// The credential of a client of tokend. Files are read for each call of tokend, so that a replaced file is in use from the next
/// call on. It has no `Debug` with the secret.
#[derive(Clone)]
pub struct Credential(Kind);

#[derive(Clone)]
enum Kind {
    Secret(Arc<Zeroizing<String>>),
    /// A file with a client secret or with a token.
    File(PathBuf),
    Certificate,
    Assertion(Arc<AssertionKey>),
}

impl Credential {
    /// A client secret (method `client_secret`).
    pub fn secret(secret: impl Into<String>) -> Self {
        Self(Kind::Secret(Arc::new(Zeroizing::new(secret.into()))))
    }

    /// A file with a client secret (method `client_secret`). White space around the secret is ignored.
    pub fn secret_file(path: impl Into<PathBuf>) -> Self {
        Self(Kind::File(path.into()))
    }

    /// A file with a token of a trusted issuer (method `workload_identity`), for example a projected token of Kubernetes.
    pub fn token_file(path: impl Into<PathBuf>) -> Self {
        Self(Kind::File(path.into()))
    }

    /// The client certificate of the connection (method `mutual_tls`): no header is sent. Configure the certificate on the
    /// [`Endpoint`](tonic::transport::Endpoint).
    pub const fn certificate() -> Self {
        Self(Kind::Certificate)
    }

    /// An assertion (method `private_key_jwt`, RFC 7523) for each call of tokend.
    pub fn private_key_jwt(key: AssertionKey) -> Self {
        Self(Kind::Assertion(Arc::new(key)))
    }

    /// The value of the `authorization` header for one call; none for a certificate.
    pub(crate) async fn authorization(&self, clock: &dyn Clock) -> Result<Option<HeaderValue>, TokenError> {
        let (path, value) = match &self.0 {
            Kind::Certificate => return Ok(None),
            Kind::Secret(secret) => ("(secret in memory)".into(), bearer(secret)),
            Kind::File(path) => (path.display().to_string(), bearer(read_file(path).await?.trim())),
            Kind::Assertion(key) => {
                let pem = read_file(key.path()).await?;
                (key.path().display().to_string(), bearer(&key.assertion(&pem, clock.now())?))
            }
        };
        match value {
            Some(value) => Ok(Some(value)),
            None => Err(unusable(path, "it must be one line of ASCII")),
        }
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            Kind::Secret(_) => "Credential(secret)",
            Kind::File(_) => "Credential(file)",
            Kind::Certificate => "Credential(certificate)",
            Kind::Assertion(_) => "Credential(private_key_jwt)",
        })
    }
}

pub(super) fn unusable(path: String, problem: impl Into<String>) -> TokenError {
    TokenError::Credential { path, problem: problem.into() }
}

/// Reads a file on a thread that may block: the file can be on a network file system.
async fn read_file(path: &Path) -> Result<Zeroizing<String>, TokenError> {
    let place = path.to_owned();
    let read = move || {
        let mut text = Zeroizing::new(String::new());
        File::open(&place)?.take(LONGEST_FILE).read_to_string(&mut text)?;
        Ok(text)
    };
    let read = tokio::task::spawn_blocking(read).await.map_err(std::io::Error::other).flatten();
    let text = read.map_err(|error| unusable(path.display().to_string(), error.to_string()))?;
    if text.trim().is_empty() { Err(unusable(path.display().to_string(), "it is empty")) } else { Ok(text) }
}
