//! The settings of a verifier.

use std::{fmt::Write as _, path::PathBuf, sync::Arc, time::Duration};

use tonic::transport::Channel;

use super::{
    Verifier,
    cache::TokenCache,
    jwk_set::JwkSet,
    offline::Accepted,
    online::Online,
    trust::Trust,
    verifier::{AbortOnDrop, Way},
    watch::Watcher,
};
use crate::{BuildError, Clock, Credential, SystemClock, channel::in_runtime, random};

/// The default of the server's setting `staleness_bound`.
const WATCH_BOUND: Duration = Duration::from_secs(300);
/// The default of the server's setting `max_leeway`: revocations are kept for this time after the last of their tokens has expired.
const MOST_LEEWAY: Duration = Duration::from_secs(60);
/// A JWK set has no revocations, and its keys change rarely.
const JWK_SET_BOUND: Duration = Duration::from_secs(3600);

/// Builds a [`Verifier`].
#[derive(Debug)]
pub struct VerifierBuilder {
    mode: Mode,
    issuer: Option<String>,
    audiences: Vec<String>,
    leeway: Duration,
    staleness_bound: Option<Duration>,
    max_token_bytes: usize,
    cache_bytes: u64,
    verifier_id: Option<String>,
    credential: Option<Credential>,
    ca_file: Option<PathBuf>,
    clock: Arc<dyn Clock>,
}

#[derive(Debug)]
pub(super) enum Mode {
    Watch(Channel),
    JwkSet(String),
    Online(Channel, Credential),
}

impl VerifierBuilder {
    pub(super) fn new(mode: Mode) -> Self {
        Self {
            mode,
            issuer: None,
            audiences: Vec::new(),
            leeway: Duration::ZERO,
            staleness_bound: None,
            max_token_bytes: 8192,
            cache_bytes: 16 << 20,
            verifier_id: None,
            credential: None,
            ca_file: None,
            clock: Arc::new(SystemClock),
        }
    }

    /// The only accepted issuer (`iss`), exactly as the setting `issuer` of the tokend server has it. Required offline. Default
    /// online: the issuers that the client may verify.
    #[must_use]
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.issuer = Some(issuer.into());
        self
    }

    /// An accepted audience (`aud`): the name of this service. At least one is required.
    #[must_use]
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audiences.push(audience.into());
        self
    }

    /// The allowed clock difference when `exp`, `nbf` and `iat` are compared, in whole seconds, at most a minute.
    /// Default: zero, as of the server.
    #[must_use]
    pub const fn leeway(mut self, leeway: Duration) -> Self {
        self.leeway = leeway;
        self
    }

    /// The age of keys and revocations from which no token is accepted. Default: 5 minutes with the trust bundle, an hour with a JWK
    /// set that cannot be fetched. Not used online.
    #[must_use]
    pub const fn staleness_bound(mut self, bound: Duration) -> Self {
        self.staleness_bound = Some(bound);
        self
    }

    /// The longest accepted token, in bytes. Default: 8,192, as of the server.
    #[must_use]
    pub const fn max_token_bytes(mut self, bytes: usize) -> Self {
        self.max_token_bytes = bytes;
        self
    }

    /// The size of the cache of verified tokens, in bytes; 0 turns it off. Default: 16 MiB, about 8,000 tokens.
    #[must_use]
    pub const fn cache_bytes(mut self, bytes: u64) -> Self {
        self.cache_bytes = bytes;
        self
    }

    /// A name of this verifier with the trust bundle, for operators who wait until all verifiers have a new key: at most 128
    /// characters, unique, and the same after a restart. Default: a random name.
    #[must_use]
    pub fn verifier_id(mut self, id: impl Into<String>) -> Self {
        self.verifier_id = Some(id.into());
        self
    }

    /// The credential for the trust bundle, if the server's setting `trust_bundle_requires_credential` is on. Default: none.
    #[must_use]
    pub fn credential(mut self, credential: Credential) -> Self {
        self.credential = Some(credential);
        self
    }

    /// A PEM file with the certificate authorities of the JWK set's server, read once. Default: those of the system. Not used with a
    /// channel, which has its own.
    #[must_use]
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.ca_file = Some(path.into());
        self
    }

    /// The source of time. Default: [`SystemClock`].
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// The verifier. With the trust bundle it begins to watch, in a task that ends with the last clone of the verifier.
    ///
    /// # Errors
    /// [`BuildError`] if the issuer or the audience is missing, or a value is invalid; with the trust bundle also outside of a Tokio
    /// runtime.
    pub fn build(self) -> Result<Verifier, BuildError> {
        let Self { mode, issuer, audiences, leeway, max_token_bytes, cache_bytes, clock, .. } = self;
        if audiences.is_empty() {
            return Err(BuildError::Missing { setting: "audience" });
        }
        if leeway > MOST_LEEWAY {
            let problem = "must be at most a minute: revocations are not kept for longer";
            return Err(BuildError::Invalid { setting: "leeway", problem });
        }
        let required = || issuer.clone().ok_or(BuildError::Missing { setting: "issuer" });
        let accept = |issuer| Accepted { issuer, audiences: audiences.clone(), leeway, max_token_bytes };
        let (way, accepted, cached) = match mode {
            Mode::Watch(channel) => {
                let accepted = accept(required()?);
                in_runtime()?;
                let random = || {
                    let problem = "the system has no random numbers";
                    random::bytes().map_err(|_| BuildError::Invalid { setting: "verifier_id", problem })
                };
                let bound = self.staleness_bound.unwrap_or(WATCH_BOUND);
                let trust = Arc::new(Trust::new(Arc::clone(&clock), bound, random()?));
                let verifier_id = match self.verifier_id {
                    Some(id) => id,
                    None => hexadecimal(random()?),
                };
                let (credential, watched) = (self.credential, Arc::clone(&trust));
                let clock = Arc::clone(&clock);
                let watcher = Watcher { channel, credential, clock, verifier_id, trust: watched };
                let task = tokio::spawn(watcher.run()).abort_handle();
                (Way::Watch { trust, _task: AbortOnDrop(task) }, accepted, cache_bytes)
            }
            Mode::JwkSet(url) => {
                let accepted = accept(required()?);
                let bound = self.staleness_bound.unwrap_or(JWK_SET_BOUND);
                (
                    Way::JwkSet(Box::new(JwkSet::new(
                        &url,
                        self.ca_file.as_deref(),
                        Arc::clone(&clock),
                        bound,
                    )?)),
                    accepted,
                    cache_bytes,
                )
            }
            Mode::Online(channel, credential) => {
                let accepted = accept(issuer.clone().unwrap_or_default());
                let (clock, cache) = (Arc::clone(&clock), TokenCache::new(cache_bytes));
                let online = Online { channel, credential, clock, audiences, issuer, leeway, cache };
                (Way::Online(online), accepted, 0)
            }
        };
        Ok(Verifier::new(way, accepted, clock, cached))
    }
}

fn hexadecimal(bytes: [u8; 16]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
