//! The JWK set at a URL, fetched when it is needed and its `max-age` has passed.

use std::{fmt, path::Path, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_rustls::{ConfigBuilderExt as _, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use tokio::sync::Mutex;

use super::keys::Keys;
use crate::{BuildError, Clock};

/// How long a fetch may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The limit of a set, in bytes.
const MOST_BYTES: usize = 1024 * 1024;
/// The age of a response without `max-age`.
const USUAL_AGE: Duration = Duration::from_secs(300);
const LEAST_AGE: Duration = Duration::from_secs(10);
const MOST_AGE: Duration = Duration::from_secs(86_400);
/// The shortest interval between fetches for tokens with an unknown key: any caller can send such tokens.
const UNKNOWN_KEY_INTERVAL: Duration = Duration::from_secs(30);
/// The shortest interval of fetches after a failure.
const FAILURE_INTERVAL: Duration = Duration::from_secs(5);

/// A JWK set at a URL.
pub(super) struct JwkSet {
    uri: Uri,
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
    clock: Arc<dyn Clock>,
    staleness_bound: Duration,
    fetched: ArcSwap<Fetched>,
    /// The time of the last attempt. Held during a fetch.
    attempt: Mutex<Option<Duration>>,
}

/// The last set, with its times on the monotonic clock.
#[derive(Default, Clone)]
struct Fetched {
    keys: Arc<Keys>,
    /// When it was requested; none if there is no set yet.
    requested: Option<Duration>,
    max_age: Duration,
}

impl JwkSet {
    /// The set at `url`: https, or http to this machine.
    pub(super) fn new(
        url: &str,
        ca_file: Option<&Path>,
        clock: Arc<dyn Clock>,
        staleness_bound: Duration,
    ) -> Result<Self, BuildError> {
        let invalid = |problem: String| BuildError::Url { url: url.to_owned(), problem };
        let uri: Uri = url.parse().map_err(|error: http::uri::InvalidUri| invalid(error.to_string()))?;
        let is_local = matches!(uri.host(), Some("localhost" | "127.0.0.1" | "[::1]"));
        if uri.scheme_str() != Some("https") && !(is_local && uri.scheme_str() == Some("http")) {
            return Err(invalid(
                "must be https, or http to this machine: the keys decide who may call".to_owned(),
            ));
        }
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls(ca_file).map_err(invalid)?)
            .https_or_http()
            .enable_http1()
            .build();
        let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector);
        let (fetched, attempt) = (ArcSwap::default(), Mutex::default());
        Ok(Self { uri, client, clock, staleness_bound, fetched, attempt })
    }

    /// The keys, from memory if `max-age` has not passed. None if they are missing or too old, and cannot be fetched.
    pub(super) async fn keys(&self) -> Option<Arc<Keys>> {
        let fetched = self.fetched.load_full();
        if self.age_of(&fetched).is_some_and(|age| age <= fetched.max_age) {
            return Some(Arc::clone(&fetched.keys));
        }
        // One call fetches. Meanwhile the others use the previous keys, if these may still be used.
        match self.usable() {
            Some(keys) => match self.attempt.try_lock() {
                Ok(mut attempt) => self.fetch(&mut attempt, FAILURE_INTERVAL).await,
                Err(_) => return Some(keys),
            },
            None => {
                let mut attempt = self.attempt.lock().await;
                if self.usable().is_none() {
                    self.fetch(&mut attempt, FAILURE_INTERVAL).await;
                }
            }
        }
        self.usable()
    }

    /// The keys after a token with an unknown key: fetched again, unless that was done a short time ago.
    pub(super) async fn keys_after(&self, seen: &Keys) -> Option<Arc<Keys>> {
        let mut attempt = self.attempt.lock().await;
        if self.fetched.load().keys.generation == seen.generation {
            self.fetch(&mut attempt, UNKNOWN_KEY_INTERVAL).await;
        }
        drop(attempt);
        self.usable()
    }

    /// The time since the set was fetched; none if it was not.
    pub(super) fn age(&self) -> Option<Duration> {
        self.age_of(&self.fetched.load())
    }

    fn age_of(&self, fetched: &Fetched) -> Option<Duration> {
        Some(self.clock.monotonic().saturating_sub(fetched.requested?))
    }

    /// The keys, if they are not too old.
    fn usable(&self) -> Option<Arc<Keys>> {
        let fetched = self.fetched.load();
        let longest = fetched.max_age.max(self.staleness_bound);
        self.age_of(&fetched).filter(|age| *age <= longest).map(|_| Arc::clone(&fetched.keys))
    }

    /// Fetches the set, unless the last attempt was less than `interval` ago.
    async fn fetch(&self, attempt: &mut Option<Duration>, interval: Duration) {
        let now = self.clock.monotonic();
        if attempt.is_some_and(|last| now < last + interval) {
            return;
        }
        *attempt = Some(now);
        let fetch = tokio::time::timeout(TIMEOUT, self.get());
        let problem = match fetch.await.unwrap_or_else(|_| Err(format!("no response within {TIMEOUT:?}"))) {
            Ok((text, max_age)) => match self.fetched.load().keys.with_set(&text) {
                Ok(keys) => {
                    let keys = keys.map_or_else(|| Arc::clone(&self.fetched.load().keys), Arc::new);
                    self.fetched.store(Arc::new(Fetched { keys, requested: Some(now), max_age }));
                    return;
                }
                Err(problem) => problem,
            },
            Err(problem) => problem,
        };
        tracing::warn!(url = %self.uri, problem, "the JWK set could not be fetched; the keys in memory stay in use");
    }

    async fn get(&self) -> Result<(String, Duration), String> {
        let request = Request::get(self.uri.clone())
            .header(header::ACCEPT, "application/jwk-set+json, application/json")
            .body(Empty::new())
            .map_err(|error| error.to_string())?;
        let response = self.client.request(request).await.map_err(|error| error.to_string())?;
        let (head, body) = response.into_parts();
        if head.status != StatusCode::OK {
            return Err(format!("the response has the status {}", head.status));
        }
        let body = Limited::new(body, MOST_BYTES).collect().await.map_err(|error| error.to_string())?;
        let text = String::from_utf8(body.to_bytes().into()).map_err(|_| "it is not UTF-8".to_owned())?;
        Ok((text, max_age(&head.headers)))
    }
}

/// TLS with the certificate authorities in `ca_file`, by default those of the system.
fn tls(ca_file: Option<&Path>) -> Result<ClientConfig, String> {
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let builder = match ca_file {
        Some(path) => {
            let roots = authorities(path).map_err(|problem| format!("{}: {problem}", path.display()))?;
            builder.with_root_certificates(roots)
        }
        None => builder.with_native_roots().map_err(|error| {
            format!("the system's certificate authorities cannot be read: {error}; set ca_file")
        })?,
    };
    Ok(builder.with_no_client_auth())
}

fn authorities(path: &Path) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| error.to_string())? {
        roots.add(certificate.map_err(|error| error.to_string())?).map_err(|error| error.to_string())?;
    }
    if roots.is_empty() { Err("the file contains no certificate".to_owned()) } else { Ok(roots) }
}

/// `max-age` (RFC 9111 section 5.2.2.1), from 10 seconds to a day.
fn max_age(headers: &HeaderMap) -> Duration {
    let directives = headers.get_all(header::CACHE_CONTROL).into_iter();
    let directives = directives.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    let seconds = directives.filter_map(|directive| {
        let (name, value) = directive.split_once('=')?;
        let seconds = value.trim().trim_matches('"').parse().ok()?;
        name.trim().eq_ignore_ascii_case("max-age").then_some(seconds)
    });
    seconds.map(Duration::from_secs).next().unwrap_or(USUAL_AGE).clamp(LEAST_AGE, MOST_AGE)
}

impl fmt::Debug for JwkSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwkSet").field("uri", &self.uri).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_age_is_that_of_the_response_within_limits() {
        for (values, seconds) in [
            (&["max-age=60"][..], 60),
            (&["public, Max-Age=\"90\""], 90),
            (&["no-transform", "must-revalidate, max-age = 30"], 30),
            (&["s-maxage=5, max-age=x"], 300),
            (&["max-age=0"], 10),
            (&["max-age=99999999"], 86_400),
            (&[], 300),
        ] {
            let headers = values.iter().map(|value| (header::CACHE_CONTROL, value.parse().ok()));
            let headers = headers.filter_map(|(name, value)| Some((name, value?))).collect();
            assert_eq!(max_age(&headers).as_secs(), seconds, "{values:?}");
        }
    }
}
