//! The check itself: one credential, of a kind that its client may present.

use std::{net::IpAddr, sync::Arc};

use http::HeaderMap;

use super::{
    Authenticated, AuthenticationError, AuthenticationMetrics, CallerSettings, Unproven, assertion,
    certificate,
    credential::Credential,
    failures::{Attempt, Failures},
    jwt::UnprovenToken,
    workload,
};
use crate::{
    access::{
        Directory, UsedAssertions,
        snapshot::Snapshot,
        trusted_issuers::{KeysMissing, TrustedIssuer, TrustedIssuers},
    },
    clock::Clock,
    jose::Decoys,
    model::{AuthenticationMethod, Client, ClientId, Peer, Refusal, UnixTime},
    random::RandomError,
};

/// Checks who calls.
pub struct Authenticator {
    settings: CallerSettings,
    directory: Arc<Directory>,
    used: Arc<UsedAssertions>,
    issuers: Arc<TrustedIssuers>,
    metrics: Arc<AuthenticationMetrics>,
    failures: Failures,
    decoys: Decoys,
    clock: Arc<dyn Clock>,
}

/// A client that proved who it is.
type Proved = (Arc<Client>, AuthenticationMethod);

/// What a look at the snapshot comes to.
enum Looked<'h> {
    Proved(Proved),
    /// A token is to be checked.
    Token(&'h str),
}

impl Authenticator {
    /// Checks callers against `directory`.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn new(
        settings: CallerSettings,
        directory: Arc<Directory>,
        used: Arc<UsedAssertions>,
        issuers: Arc<TrustedIssuers>,
        metrics: Arc<AuthenticationMetrics>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, RandomError> {
        let failures = Failures::new(settings.failures_per_minute);
        Ok(Self { settings, directory, used, issuers, metrics, failures, decoys: Decoys::generate()?, clock })
    }

    /// The caller, by exactly one credential: an `authorization` value with a client secret or a token, or a certificate
    /// whose names are a client's.
    ///
    /// # Errors
    /// Why nobody knows who calls.
    pub async fn authenticate(
        &self,
        headers: &HeaderMap,
        peer: Option<&Peer>,
    ) -> Result<Authenticated, AuthenticationError> {
        let now = self.clock.now();
        let address = peer.map(|peer| peer.address);
        let looked = self.look(&self.directory.now(), headers, peer, now);
        let outcome = match looked {
            Ok(Looked::Proved(proved)) => Ok(proved),
            // Boxed, since it needs far more room than the way of a secret.
            Ok(Looked::Token(text)) => Box::pin(self.token(text, address, now)).await,
            Err(error) => Err(self.limited(error, address)),
        };
        let method = match &outcome {
            Ok((_, method)) => Some(*method),
            Err(error) => error.method(),
        };
        self.metrics.count(method, outcome.as_ref().err());
        outcome.map(|(client, method)| Authenticated { client, method })
    }

    /// The client of an earlier call on the same stream as it is now.
    ///
    /// # Errors
    /// When the client was deleted since, disabled, or may not present such a credential any more.
    pub(crate) fn again(&self, before: &Authenticated) -> Result<Authenticated, AuthenticationError> {
        let method = before.method;
        let known = self.directory.now().by_id(before.client.client_id.as_str()).map(Arc::clone);
        let same = known.filter(|known| known.client.create_time == before.client.create_time);
        let gone = || {
            Unproven::new(Some(method), "the client was deleted")
                .naming(Some(before.client.client_id.clone()))
        };
        let (client, method) = allowed(Arc::clone(&same.ok_or_else(gone)?.client), method)?;
        Ok(Authenticated { client, method })
    }

    /// What can be said from memory: without a signature check, the store or a lock.
    fn look<'h>(
        &self,
        snapshot: &Snapshot,
        headers: &'h HeaderMap,
        peer: Option<&Peer>,
        now: UnixTime,
    ) -> Result<Looked<'h>, AuthenticationError> {
        let certificate = certificate::client(snapshot, peer, now);
        let credential = match (Credential::of(headers, self.settings.max_token_bytes)?, certificate) {
            (None, None) => return Err(AuthenticationError::Missing),
            (Some(_), Some(_)) => {
                let check = "there is a client's certificate, and an authorization value too";
                return Err(Unproven::new(None, check).into());
            }
            (None, Some(client)) => {
                return Ok(Looked::Proved(allowed(client?, AuthenticationMethod::MutualTls)?));
            }
            (Some(credential), None) => credential,
        };
        let client = match &credential {
            Credential::Bearer { digest, .. } => {
                digest.as_ref().and_then(|digest| snapshot.by_secret(digest, now))
            }
            Credential::Basic { client_id, digest } => snapshot
                .by_secret(digest, now)
                .filter(|client| client.client_id.as_str() == client_id.as_str()),
        };
        match (client, &credential) {
            (Some(client), _) => {
                Ok(Looked::Proved(allowed(Arc::clone(client), AuthenticationMethod::ClientSecret)?))
            }
            (None, Credential::Bearer { token: Some(token), .. }) => Ok(Looked::Token(token)),
            (None, _) => {
                let method = Some(AuthenticationMethod::ClientSecret);
                let unproven = Unproven::new(method, "the secret is none of a client's, or has ended");
                Err(unproven.naming(credential.names()).into())
            }
        }
    }

    /// Whoever proves itself by a token.
    async fn token(
        &self,
        text: &str,
        address: Option<IpAddr>,
        now: UnixTime,
    ) -> Result<Proved, AuthenticationError> {
        let token = match UnprovenToken::parse(text, self.settings.max_token_bytes) {
            Ok(token) => token,
            Err(refusal) => {
                return Err(self.limited(Unproven::new(None, refusal.detail).into(), address));
            }
        };
        let issuer = token.issuer().unwrap_or_default().to_owned();
        let attempt = Attempt::new(address, Some(&issuer));
        // An unproven name: it chooses with whose keys the token is checked.
        let trusted = self.issuers.find(&issuer);
        let client_id = ClientId::parse(issuer.as_str()).ok().filter(|_| trusted.is_none());
        let method = match trusted {
            Some(_) => AuthenticationMethod::WorkloadIdentity,
            None => AuthenticationMethod::PrivateKeyJwt,
        };
        if let Err(retry_after) = self.failures.may_cost(attempt, self.clock.steady()) {
            let unproven = Unproven::new(Some(method), "it was not looked at").naming(client_id);
            return Err(AuthenticationError::RateLimited { unproven, retry_after });
        }
        let outcome = match trusted {
            Some(trusted) => self.workload(token, trusted, now).await,
            None => self.assertion(token, &issuer, now).await,
        };
        match outcome {
            Ok(proved) => {
                self.failures.proved(attempt, self.clock.steady());
                Ok(proved)
            }
            Err(AuthenticationError::Invalid(unproven)) => {
                let named = unproven.client_id.clone().or(client_id);
                Err(self.counted(unproven.naming(named), attempt))
            }
            Err(error) => Err(error),
        }
    }

    /// A client by an assertion, which is used up.
    async fn assertion(
        &self,
        token: UnprovenToken<'_>,
        issuer: &str,
        now: UnixTime,
    ) -> Result<Proved, AuthenticationError> {
        const METHOD: AuthenticationMethod = AuthenticationMethod::PrivateKeyJwt;
        let known = self.directory.now().by_id(issuer).map(Arc::clone);
        let assertion = assertion::check(token, known.as_ref(), &self.decoys, &self.settings, now)
            .map_err(|refusal| Unproven::refused(METHOD, &refusal))?;
        // Before it is used up: a client that may not present it is told nothing, and nothing is written.
        let proved = allowed(assertion.client, METHOD)?;
        match self.used.use_once(&assertion.digest, assertion.forget_time).await {
            Ok(true) => Ok(proved),
            Ok(false) => Err(Unproven::new(Some(METHOD), "the assertion was used before").into()),
            Err(error) => Err(AuthenticationError::Store(error)),
        }
    }

    /// A client by a token of a trusted issuer.
    async fn workload(
        &self,
        token: UnprovenToken<'_>,
        trusted: &Arc<TrustedIssuer>,
        now: UnixTime,
    ) -> Result<Proved, AuthenticationError> {
        const METHOD: AuthenticationMethod = AuthenticationMethod::WorkloadIdentity;
        let refused = |refusal: Refusal| Unproven::refused(METHOD, &refusal);
        let issuer = trusted.settings.issuer.as_str();
        let held = trusted.keys(token.header.key_id.as_deref(), token.header.algorithm).await;
        let held = held.map_err(|KeysMissing| AuthenticationError::IssuerKeys(issuer.to_owned()))?;
        let token = workload::check(token, &trusted.settings, &held, self.settings.leeway, now);
        let token = token.map_err(refused)?;
        let client = workload::client(&token, self.directory.now().by_issuer(issuer)).map_err(refused)?;
        Ok(allowed(client, METHOD)?)
    }

    /// Counts what failed on sight.
    fn limited(&self, error: AuthenticationError, address: Option<IpAddr>) -> AuthenticationError {
        match error {
            AuthenticationError::Invalid(unproven) => {
                let name = unproven.client_id.as_ref().map(ClientId::as_str);
                let attempt = Attempt::new(address, name);
                self.counted(unproven, attempt)
            }
            // Without a credential there is nothing to guess, and nothing that costs.
            error => error,
        }
    }

    fn counted(&self, unproven: Unproven, attempt: Attempt) -> AuthenticationError {
        match self.failures.failed(attempt, self.clock.steady()) {
            Ok(()) => AuthenticationError::Invalid(unproven),
            Err(retry_after) => AuthenticationError::RateLimited { unproven, retry_after },
        }
    }
}

/// The client, if it may call at all, and with a credential of this kind: a weaker one than it was told to use must not do.
fn allowed(client: Arc<Client>, method: AuthenticationMethod) -> Result<Proved, Unproven> {
    let check = if client.settings.disabled {
        "the client is disabled"
    } else if !client.settings.authentication.allows(method) {
        "the client may not present a credential of this kind"
    } else {
        return Ok((client, method));
    };
    Err(Unproven::new(Some(method), check).naming(Some(client.client_id.clone())))
}

impl std::fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authenticator").field("settings", &self.settings).finish_non_exhaustive()
    }
}
