//! Authenticates a caller by exactly one credential of a type that its client allows.

use std::{net::IpAddr, num::NonZeroU32, sync::Arc, time::Duration};

use http::HeaderMap;

use super::{
    Authenticated, AuthenticationError, InvalidCredential, assertion,
    credential::Credential,
    failure_limits::{Attempt, FailureLimits},
    metrics::AuthenticationMetrics,
};
use crate::{
    access::{
        Directory, UsedAssertions,
        jwt::{UnverifiedJwt, VerifiedJwt},
        snapshot::{PeerMatch, Snapshot, Workload},
        trusted_issuers::{KeysUnavailable, TrustedIssuer, TrustedIssuers},
    },
    clock::Clock,
    jose::DummyKeys,
    metrics::MetricsRegistry,
    model::{AuthenticationMethod, Client, ClientId, InvalidToken, Peer, Reason, UnixTime},
    random::RandomError,
};

/// Settings of authentication.
#[derive(Debug, Clone)]
pub struct CallerSettings {
    /// The accepted values of `aud` in assertions: this server's issuer, and the URL of its token endpoint.
    pub audiences: Vec<String>,
    /// The longest accepted token, in bytes.
    pub max_token_bytes: usize,
    /// How far ahead `exp` of an assertion may be.
    pub assertion_max_ttl: Duration,
    /// The clock difference of callers and issuers. Whole seconds.
    pub leeway: Duration,
    /// The failures per minute of one address with one client; five times as many of one address, and of one client, in total.
    pub failures_per_minute: NonZeroU32,
}

/// Authenticates callers.
pub struct Authenticator {
    settings: CallerSettings,
    directory: Arc<Directory>,
    used: Arc<UsedAssertions>,
    issuers: Arc<TrustedIssuers>,
    metrics: Arc<AuthenticationMetrics>,
    failures: FailureLimits,
    dummy_keys: DummyKeys,
    clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authenticator").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// The result of the checks that need memory only.
enum FirstCheck<'h> {
    Authenticated(Authenticated),
    /// The credential is a token, which needs a signature check.
    Token(&'h str),
}

impl Authenticator {
    /// Looks callers up in `directory`.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn new(
        settings: CallerSettings,
        directory: Arc<Directory>,
        used: Arc<UsedAssertions>,
        issuers: Arc<TrustedIssuers>,
        metrics: &mut MetricsRegistry,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, RandomError> {
        let failures = FailureLimits::new(settings.failures_per_minute);
        let dummy_keys = DummyKeys::generate().map_err(|_| RandomError)?;
        let metrics = AuthenticationMetrics::register(metrics);
        Ok(Self { settings, directory, used, issuers, metrics, failures, dummy_keys, clock })
    }

    /// Authenticates the caller by exactly one credential: an `authorization` value with a client secret or a token, or a client
    /// certificate. Without either, the caller of a Unix socket is authenticated by its user or group.
    ///
    /// # Errors
    /// When there is no valid credential, or a credential cannot be checked.
    pub async fn authenticate(
        &self,
        headers: &HeaderMap,
        peer: Option<&Peer>,
    ) -> Result<Authenticated, AuthenticationError> {
        let now = self.clock.now();
        let address = peer.map(|peer| peer.address);
        let first = self.check_in_memory(&self.directory.now(), headers, peer, now);
        let result = match first {
            Ok(FirstCheck::Authenticated(client)) => Ok(client),
            // Boxed, because it needs far more stack than the check of a secret.
            Ok(FirstCheck::Token(text)) => Box::pin(self.check_token(text, address, now)).await,
            Err(AuthenticationError::Invalid(invalid)) => Err(self.count_failure(invalid, address)),
            // Without a credential there is nothing to guess, and nothing that costs.
            Err(error) => Err(error),
        };
        self.metrics.count(&result);
        result
    }

    /// Checks that the client of an earlier call on the same stream still exists, is enabled, and allows this type of credential.
    ///
    /// # Errors
    /// When one of them does not hold.
    pub(crate) fn again(&self, before: &Authenticated) -> Result<Authenticated, AuthenticationError> {
        let known = self.directory.now().by_id(before.client.client_id.as_str()).map(Arc::clone);
        // A client with another creation time was deleted and registered again with the same id.
        match known.filter(|known| known.client.create_time == before.client.create_time) {
            Some(known) => Ok(allowed(Arc::clone(&known.client), before.method)?),
            None => Err(InvalidCredential::new(Some(before.method), "the client was deleted")
                .naming(Some(before.client.client_id.clone()))
                .into()),
        }
    }

    /// Checks the credential without a signature check, the store or a lock.
    fn check_in_memory<'h>(
        &self,
        snapshot: &Snapshot,
        headers: &'h HeaderMap,
        peer: Option<&Peer>,
        now: UnixTime,
    ) -> Result<FirstCheck<'h>, AuthenticationError> {
        let credential = Credential::parse(headers, self.settings.max_token_bytes)?;
        let (credential, certificate) = match (credential, certificate_client(snapshot, peer, now)) {
            (None, None) => {
                let client = unix_client(snapshot, peer).ok_or(AuthenticationError::Missing)??;
                return Ok(FirstCheck::Authenticated(allowed(client, AuthenticationMethod::UnixPeer)?));
            }
            (Some(_), Some(_)) => {
                let problem = "there are both a client certificate and an authorization value";
                return Err(InvalidCredential::new(None, problem).into());
            }
            credentials => credentials,
        };
        if let Some(client) = certificate {
            return Ok(FirstCheck::Authenticated(allowed(client?, AuthenticationMethod::MutualTls)?));
        }
        let Some(credential) = credential else { return Err(AuthenticationError::Missing) };
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
                let client = allowed(Arc::clone(client), AuthenticationMethod::ClientSecret)?;
                Ok(FirstCheck::Authenticated(client))
            }
            (None, Credential::Bearer { token: Some(token), .. }) => Ok(FirstCheck::Token(token)),
            (None, _) => {
                let problem = "the secret is not a secret of a client, or has expired";
                let invalid = InvalidCredential::new(Some(AuthenticationMethod::ClientSecret), problem);
                Err(invalid.naming(credential.client_id()).into())
            }
        }
    }

    /// Checks a token: of a trusted issuer if it names one, else an assertion.
    async fn check_token(
        &self,
        text: &str,
        address: Option<IpAddr>,
        now: UnixTime,
    ) -> Result<Authenticated, AuthenticationError> {
        let token = match UnverifiedJwt::parse(text, self.settings.max_token_bytes) {
            Ok(token) => token,
            Err(refusal) => {
                return Err(self.count_failure(InvalidCredential::new(None, refusal.detail), address));
            }
        };
        // Not verified yet: it selects the keys.
        let issuer = token.issuer().unwrap_or_default().to_owned();
        let trusted = self.issuers.find(&issuer);
        let client_id = ClientId::parse(issuer.as_str()).ok().filter(|_| trusted.is_none());
        let method = match trusted {
            Some(_) => AuthenticationMethod::WorkloadIdentity,
            None => AuthenticationMethod::PrivateKeyJwt,
        };
        let attempt = Attempt::new(address, Some(&issuer));
        if let Err(retry_after) = self.failures.check(attempt, self.clock.monotonic()) {
            let invalid = InvalidCredential::new(Some(method), "not checked").naming(client_id);
            return Err(AuthenticationError::RateLimited { invalid, retry_after });
        }
        let result = match trusted {
            Some(trusted) => self.check_workload_token(token, trusted, now).await,
            None => self.check_assertion(token, &issuer, now).await,
        };
        match result {
            Ok(client) => {
                self.failures.exempt(attempt, self.clock.monotonic());
                Ok(client)
            }
            Err(AuthenticationError::Invalid(invalid)) => {
                let client_id = invalid.client_id.clone().or(client_id);
                Err(self.count_attempt(invalid.naming(client_id), attempt))
            }
            Err(error) => Err(error),
        }
    }

    /// Checks an assertion and marks it as used.
    async fn check_assertion(
        &self,
        token: UnverifiedJwt<'_>,
        issuer: &str,
        now: UnixTime,
    ) -> Result<Authenticated, AuthenticationError> {
        const METHOD: AuthenticationMethod = AuthenticationMethod::PrivateKeyJwt;
        let known = self.directory.now().by_id(issuer).map(Arc::clone);
        let assertion = assertion::check(token, known.as_ref(), &self.dummy_keys, &self.settings, now)
            .map_err(|refusal| InvalidCredential::new(Some(METHOD), refusal.detail))?;
        // Before the write to the store, which a client that is not allowed must not cause.
        let client = allowed(assertion.client, METHOD)?;
        match self.used.use_once(&assertion.digest, assertion.forget_time).await {
            Ok(true) => Ok(client),
            Ok(false) => Err(InvalidCredential::new(Some(METHOD), "the assertion was used before").into()),
            Err(error) => Err(AuthenticationError::Store(error)),
        }
    }

    /// Checks a token of a trusted issuer, and finds the client that it authenticates.
    async fn check_workload_token(
        &self,
        token: UnverifiedJwt<'_>,
        trusted: &Arc<TrustedIssuer>,
        now: UnixTime,
    ) -> Result<Authenticated, AuthenticationError> {
        const METHOD: AuthenticationMethod = AuthenticationMethod::WorkloadIdentity;
        let issuer = trusted.settings.issuer.as_str();
        let keys = trusted.keys(token.header.key_id.as_deref(), token.header.algorithm).await;
        let keys = keys.map_err(|KeysUnavailable| AuthenticationError::IssuerKeys(issuer.to_owned()))?;
        let client = token
            .verify(&trusted.settings, &keys, self.settings.leeway, now)
            .and_then(|token| workload_client(&token, self.directory.now().by_issuer(issuer)))
            .map_err(|refusal| InvalidCredential::new(Some(METHOD), refusal.detail))?;
        Ok(allowed(client, METHOD)?)
    }

    fn count_failure(&self, invalid: InvalidCredential, address: Option<IpAddr>) -> AuthenticationError {
        let attempt = Attempt::new(address, invalid.client_id.as_ref().map(ClientId::as_str));
        self.count_attempt(invalid, attempt)
    }

    fn count_attempt(&self, invalid: InvalidCredential, attempt: Attempt) -> AuthenticationError {
        match self.failures.count_failure(attempt, self.clock.monotonic()) {
            Ok(()) => AuthenticationError::Invalid(invalid),
            Err(retry_after) => AuthenticationError::RateLimited { invalid, retry_after },
        }
    }
}

/// Rejects a disabled client, and credential types that the client does not allow.
fn allowed(client: Arc<Client>, method: AuthenticationMethod) -> Result<Authenticated, InvalidCredential> {
    let problem = if client.settings.disabled {
        "the client is disabled"
    } else if !client.settings.authentication.allows(method) {
        "the client does not allow this type of credential"
    } else {
        return Ok(Authenticated { client, method });
    };
    Err(InvalidCredential::new(Some(method), problem).naming(Some(client.client_id.clone())))
}

/// The client of the peer's TLS certificate (RFC 8705 section 2.1), whose chain and key the transport has verified. Returns `None` if
/// the certificate names no client: then it is not a credential.
fn certificate_client(
    snapshot: &Snapshot,
    peer: Option<&Peer>,
    now: UnixTime,
) -> Option<Result<Arc<Client>, InvalidCredential>> {
    let certificate = peer?.certificate.as_deref()?;
    let invalid = |problem| InvalidCredential::new(Some(AuthenticationMethod::MutualTls), problem);
    let client = match snapshot.by_certificate(certificate) {
        PeerMatch::None => return None,
        PeerMatch::Several => {
            return Some(Err(invalid("the certificate's names are those of several clients")));
        }
        PeerMatch::One(client) => client,
    };
    // A connection may outlive its certificate. Expired from `notAfter` on: RFC 5280 section 4.1.2.5 includes that second, but clocks
    // are not that exact.
    if certificate.expires_at.is_none_or(|expires_at| now.seconds() >= expires_at) {
        let client_id = Some(client.client_id.clone());
        return Some(Err(invalid("the certificate has expired").naming(client_id)));
    }
    Some(Ok(client))
}

/// The client of the process at the other end of a Unix socket. Returns `None` if its user and group are those of no client.
fn unix_client(snapshot: &Snapshot, peer: Option<&Peer>) -> Option<Result<Arc<Client>, InvalidCredential>> {
    match snapshot.by_unix_peer(peer?.unix?) {
        PeerMatch::None => None,
        PeerMatch::One(client) => Some(Ok(client)),
        PeerMatch::Several => {
            let problem = "the process's user or group is that of several clients";
            Some(Err(InvalidCredential::new(Some(AuthenticationMethod::UnixPeer), problem)))
        }
    }
}

/// The only client whose conditions the token meets. A token that several clients match authenticates none of them.
fn workload_client(token: &VerifiedJwt, workloads: &[Workload]) -> Result<Arc<Client>, InvalidToken> {
    let is_met = |workload: &&Workload| {
        let identity = &workload.identity;
        // Without a condition every token of the issuer would match.
        token.claims.audiences.contains(&identity.audience)
            && !identity.conditions.is_empty()
            && identity.conditions.iter().all(|condition| token.meets(condition))
    };
    let mut clients = workloads.iter().filter(is_met).map(|workload| &workload.client);
    let detail = "the token meets the audience and the conditions of no client";
    let first = clients.next().ok_or(InvalidToken::new(Reason::AudienceMismatch, detail))?;
    if clients.any(|other| other.client_id != first.client_id) {
        let detail = "the token meets the conditions of several clients";
        return Err(InvalidToken::new(Reason::ClaimInvalid, detail));
    }
    Ok(Arc::clone(first))
}
