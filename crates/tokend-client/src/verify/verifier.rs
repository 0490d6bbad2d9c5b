//! The verifier of access tokens.

use std::{fmt, sync::Arc, time::Duration};

use tokend_jose::{Compact, InvalidToken, Reason};
use tokio::{task::AbortHandle, time::sleep};
use tonic::transport::Channel;

use super::{
    Claims, VerifierBuilder,
    builder::Mode,
    cache::TokenCache,
    jwk_set::JwkSet,
    keys::Keys,
    offline::{Accepted, Problem},
    online::Online,
    revocations::SubjectHash,
    trust::Trust,
};
use crate::{AuthLayer, Clock, Credential, VerifyError};

/// The pause between attempts to fetch the first JWK set, in [`Verifier::ready`].
const READY_PAUSE: Duration = Duration::from_secs(1);

/// Verifies access tokens for one service. Cheap to clone: all clones share keys, revocations and the cache.
///
/// | way | rejects revoked tokens | needs |
/// |---|---|---|
/// | [`Verifier::watch`] | yes, by push | a stream from tokend; no call per token |
/// | [`Verifier::jwk_set`] | no | the URL of the JWK set; no credential |
/// | [`Verifier::online`] | yes, within `cache_ttl` | a call of tokend for each new token |
#[derive(Clone)]
pub struct Verifier(Arc<Inner>);

struct Inner {
    way: Way,
    accepted: Accepted,
    clock: Arc<dyn Clock>,
    cache: TokenCache<Note>,
}

pub(super) enum Way {
    Watch { trust: Arc<Trust>, _task: AbortOnDrop },
    JwkSet(Box<JwkSet>),
    Online(Online),
}

/// What is noted about a cached token.
struct Note {
    /// The keys with which the token was verified.
    generation: u64,
    /// The hash of the subject, with a trust bundle.
    subject: SubjectHash,
}

/// Ends a task with its owner.
pub(super) struct AbortOnDrop(pub(super) AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Verifier {
    /// Verifies offline with the trust bundle of the tokend server of `channel`: keys and revocations are pushed. Requires
    /// [`issuer`](VerifierBuilder::issuer) and [`audience`](VerifierBuilder::audience).
    pub fn watch(channel: Channel) -> VerifierBuilder {
        VerifierBuilder::new(Mode::Watch(channel))
    }

    /// Verifies offline with the JWK set at `url` alone: revoked tokens are accepted until they expire. Requires
    /// [`issuer`](VerifierBuilder::issuer) and [`audience`](VerifierBuilder::audience).
    pub fn jwk_set(url: impl Into<String>) -> VerifierBuilder {
        VerifierBuilder::new(Mode::JwkSet(url.into()))
    }

    /// Verifies with VerifyToken of the tokend server of `channel`, and reuses a response for its `cache_ttl`. Requires
    /// [`audience`](VerifierBuilder::audience). The client with `credential` must be allowed to verify tokens for it.
    pub fn online(channel: Channel, credential: Credential) -> VerifierBuilder {
        VerifierBuilder::new(Mode::Online(channel, credential))
    }

    pub(super) fn new(way: Way, accepted: Accepted, clock: Arc<dyn Clock>, cache_bytes: u64) -> Self {
        Self(Arc::new(Inner { way, accepted, clock, cache: TokenCache::new(cache_bytes) }))
    }

    /// Verifies a token.
    ///
    /// # Errors
    /// [`VerifyError::Rejected`] with the reason, or [`VerifyError::Unavailable`] if keys and revocations are missing or too old, or
    /// tokend cannot be reached.
    pub async fn verify(&self, token: &str) -> Result<Claims, VerifyError> {
        let Inner { way, accepted, .. } = &*self.0;
        match way {
            Way::Watch { trust, .. } => {
                self.verify_with(token, &trust.keys(), Some(trust)).map_err(Into::into)
            }
            Way::JwkSet(set) => {
                const NO_KEYS: VerifyError =
                    VerifyError::Unavailable(std::borrow::Cow::Borrowed("the JWK set could not be fetched"));
                let keys = set.keys().await.ok_or(NO_KEYS)?;
                match self.verify_with(token, &keys, None) {
                    Err(Failure::Problem(Problem::KeyUnknown)) => {
                        let keys = set.keys_after(&keys).await.ok_or(NO_KEYS)?;
                        self.verify_with(token, &keys, None).map_err(Into::into)
                    }
                    result => result.map_err(Into::into),
                }
            }
            Way::Online(online) => {
                // What is no token is not worth a call.
                Compact::parse(token, accepted.max_token_bytes)?;
                online.verify(token).await
            }
        }
    }

    /// Waits until tokens can be verified: until the trust bundle, or the JWK set, was received once.
    pub async fn ready(&self) {
        match &self.0.way {
            Way::Watch { trust, .. } => trust.complete().await,
            Way::JwkSet(set) => {
                while set.keys().await.is_none() {
                    sleep(READY_PAUSE).await;
                }
            }
            Way::Online(_) => {}
        }
    }

    /// The age of keys and revocations, for metrics and readiness checks; none before they were received, and for online verification.
    pub fn age(&self) -> Option<Duration> {
        match &self.0.way {
            Way::Watch { trust, .. } => trust.age(),
            Way::JwkSet(set) => set.age(),
            Way::Online(_) => None,
        }
    }

    /// A layer that verifies the token of each request, for tonic and axum servers.
    pub fn layer(&self) -> AuthLayer {
        AuthLayer::new(self.clone())
    }

    /// Verifies with keys in memory, in the order of VerifyToken. Nothing in it can wait.
    fn verify_with(&self, token: &str, keys: &Keys, trust: Option<&Arc<Trust>>) -> Result<Claims, Failure> {
        let Inner { accepted, clock, cache, .. } = &*self.0;
        let known = cache.get(token).filter(|entry| entry.note.generation == keys.generation);
        let (claims, subject, is_new) = match known {
            Some(entry) => (entry.claims.clone(), entry.note.subject, false),
            None => {
                let claims = accepted.examine(token, keys).map_err(|problem| unless_stale(problem, trust))?;
                let subject = trust.map(|trust| trust.subject_hash(claims.registered())).unwrap_or_default();
                (claims, subject, true)
            }
        };
        accepted.check_times(claims.registered(), clock.now()).map_err(Problem::Invalid)?;
        if let Some(trust) = trust {
            if trust.revokes(claims.registered(), &subject) {
                return Err(
                    Problem::Invalid(InvalidToken::new(Reason::Revoked, "the token was revoked")).into()
                );
            }
            if trust.is_stale() {
                return Err(Failure::Stale);
            }
        }
        if is_new {
            cache.insert(token, claims.clone(), Note { generation: keys.generation, subject });
        }
        Ok(claims)
    }
}

/// Why a token is not accepted.
enum Failure {
    Problem(Problem),
    Stale,
}

/// A key that is unknown may have been published since: then the state says nothing about the token.
fn unless_stale(problem: Problem, trust: Option<&Arc<Trust>>) -> Failure {
    match problem {
        Problem::KeyUnknown if trust.is_some_and(|trust| trust.is_stale()) => Failure::Stale,
        problem => Failure::Problem(problem),
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<Failure> for VerifyError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Problem(problem) => problem.into(),
            Failure::Stale => Self::Unavailable("the keys and revocations are missing or too old".into()),
        }
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").field("accepted", &self.0.accepted).finish_non_exhaustive()
    }
}
