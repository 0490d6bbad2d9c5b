//! Two requests of the HTTP API of Vault: `transit/encrypt` and `transit/decrypt`.

use std::{fmt, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderValue, Request, header::CONTENT_TYPE};
use http_body_util::{BodyExt as _, Full, Limited};
use serde::{Deserialize, de::DeserializeOwned};
use tokio::time::Instant;
use zeroize::{Zeroize as _, Zeroizing};

use super::{
    Patience, Retry, SealingError, VaultSettings,
    vault_answer::{Attempt, failed},
};
use crate::{
    files,
    https_client::{HttpsClient, HttpsError, error_chain, https_client, read_token},
    random, spans,
};

/// The limit of a response, in bytes. A wrapped key has about 100 bytes.
const LONGEST_ANSWER: usize = 64 * 1024;

/// A client for one Transit key.
pub(super) struct VaultHttp {
    client: HttpsClient,
    settings: VaultSettings,
}

/// A response of Vault.
#[derive(Deserialize)]
struct Answer<T> {
    data: T,
}

#[derive(Deserialize)]
struct Ciphertext {
    ciphertext: String,
}

#[derive(Deserialize)]
struct Plaintext {
    plaintext: String,
}

impl VaultHttp {
    /// Creates the client, without a request.
    ///
    /// # Errors
    /// When the certificate authorities cannot be read.
    pub(super) fn new(settings: &VaultSettings) -> Result<Self, SealingError> {
        let plain = settings.addr.scheme() == "http";
        let client = https_client(plain, settings.ca_file.as_deref(), settings.retry.attempt);
        let client = client.map_err(|error| {
            let setting = match error {
                HttpsError::Authorities(_) => "vault_ca_file",
                HttpsError::Tls(_) => "vault_addr",
            };
            SealingError::Setting { setting, problem: error.to_string() }
        })?;
        Ok(Self { client, settings: settings.clone() })
    }

    /// Encrypts `plaintext`.
    pub(super) async fn encrypt(&self, plaintext: &[u8], patience: Patience) -> Result<String, SealingError> {
        let plaintext = Zeroizing::new(STANDARD.encode(plaintext));
        let Ciphertext { ciphertext } = self.post("encrypt", ("plaintext", &plaintext), patience).await?;
        Ok(ciphertext)
    }

    /// Decrypts `ciphertext`.
    pub(super) async fn decrypt(
        &self,
        ciphertext: &str,
        patience: Patience,
    ) -> Result<Zeroizing<Vec<u8>>, SealingError> {
        let Plaintext { mut plaintext } = self.post("decrypt", ("ciphertext", ciphertext), patience).await?;
        let bytes = STANDARD.decode(&plaintext);
        plaintext.zeroize();
        bytes.map(Zeroizing::new).map_err(|_| SealingError::Setting {
            setting: "vault_addr",
            problem: "the response to decrypt is not base64".to_owned(),
        })
    }

    /// Sends `POST transit/OPERATION/KEY` with `field` as the only field, and retries after temporary failures.
    async fn post<T: DeserializeOwned>(
        &self,
        operation: &str,
        field: (&str, &str),
        patience: Patience,
    ) -> Result<T, SealingError> {
        let Retry { first_pause, longest_pause, patience: longest, .. } = self.settings.retry;
        let start = Instant::now();
        let mut pause = first_pause;
        loop {
            let attempt = match self.attempt(operation, field).await {
                Ok(answer) => return Ok(answer),
                Err(attempt) => attempt,
            };
            let wait = jittered(pause)?.max(attempt.after.unwrap_or_default()).min(longest_pause);
            if !attempt.again || patience == Patience::Brief || start.elapsed() + wait > longest {
                return Err(attempt.error);
            }
            tracing::warn!(error = %attempt.error, wait_ms = wait.as_millis(), "the request to Vault failed and is retried");
            tokio::time::sleep(wait).await;
            pause = pause.saturating_mul(2).min(longest_pause);
        }
    }

    async fn attempt<T: DeserializeOwned>(&self, operation: &str, field: (&str, &str)) -> Result<T, Attempt> {
        // The token file may be missing because an agent has not written it yet.
        let token = read_token(&self.settings.token_file)
            .await
            .map_err(|problem| Attempt::again("vault_token_file", problem))?;
        let what = format!("{operation} by {}", self.settings.addr);
        let request = self.request(operation, field, &token)?;
        let exchange = async {
            let answer = self.client.request(request).await.map_err(|error| error_chain(&error))?;
            let (head, body) = answer.into_parts();
            let body =
                Limited::new(body, LONGEST_ANSWER).collect().await.map_err(|error| error.to_string())?;
            Ok::<_, String>((head, body.to_bytes()))
        };
        let (head, body) = match tokio::time::timeout(self.settings.retry.attempt, exchange).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(problem)) => {
                return Err(Attempt::again("vault_addr", format!("{what} failed: {problem}")));
            }
            Err(_) => {
                let seconds = self.settings.retry.attempt.as_secs_f32();
                return Err(Attempt::again("vault_addr", format!("{what}: no response within {seconds} s")));
            }
        };
        if !head.status.is_success() {
            return Err(failed(&what, head.status, &head.headers, &body, &[&token, field.1]));
        }
        // Without the text of the parser, which might quote the response.
        serde_json::from_slice::<Answer<T>>(&body).map(|answer| answer.data).map_err(|_| {
            Attempt::last("vault_addr", format!("{what}: unexpected response; check `vault_addr`"))
        })
    }

    fn request(
        &self,
        operation: &str,
        (name, value): (&str, &str),
        token: &str,
    ) -> Result<Request<Full<Bytes>>, Attempt> {
        let VaultSettings { addr, mount, key, namespace, .. } = &self.settings;
        let mut body = Zeroizing::new(Vec::with_capacity(value.len() + 64));
        // Neither text contains characters that JSON escapes: both are base64, or a ciphertext of Vault.
        let value = serde_json::to_string(value).map(Zeroizing::new).map_err(unsendable)?;
        body.extend_from_slice(format!("{{\"{name}\":").as_bytes());
        body.extend_from_slice(value.as_bytes());
        body.push(b'}');
        let token = HeaderValue::from_str(token).map(|mut token| {
            token.set_sensitive(true);
            token
        });
        let token = token.map_err(|_| {
            let path = files::printable(&self.settings.token_file);
            Attempt::last("vault_token_file", format!("{path} does not contain a token"))
        })?;
        let base = addr.as_str().trim_end_matches('/');
        let mut request = Request::post(format!("{base}/v1/{mount}/{operation}/{key}"))
            .header(CONTENT_TYPE, "application/json")
            .header("x-vault-request", "true")
            .header("x-vault-token", token);
        if let Some(namespace) = namespace {
            request = request.header("x-vault-namespace", namespace);
        }
        if let Some(headers) = request.headers_mut() {
            spans::inject(headers);
        }
        request.body(Full::new(Bytes::from_owner(body))).map_err(unsendable)
    }
}

impl fmt::Debug for VaultHttp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VaultHttp").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// A random duration between half of `pause` and `pause`, so that replicas do not retry at the same time.
fn jittered(pause: Duration) -> Result<Duration, SealingError> {
    let [random] = random::bytes::<1>()?;
    Ok(pause.mul_f64(0.5 + f64::from(random) / 510.0))
}

fn unsendable(error: impl fmt::Display) -> Attempt {
    Attempt::last("vault_addr", format!("the request is invalid: {error}"))
}
