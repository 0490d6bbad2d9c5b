//! The source of access tokens for one audience.

use std::{fmt, sync::Arc, time::Duration};

use arc_swap::ArcSwapOption;
use tokio::sync::{Mutex, OwnedMutexGuard};
use tonic::{Request, transport::Channel};

use super::{
    AccessToken, BearerLayer, Credential,
    schedule::{Failures, Held},
};
use crate::{
    BuildError, Clock, SystemClock, TokenError,
    proto::{IssueTokenRequest, token_service_client::TokenServiceClient},
};

/// How long one call of tokend may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A token that a service has refused is replaced once in this time, however often it is refused.
const SHORTEST_USE: Duration = Duration::from_secs(10);

/// Gets access tokens for one audience, and caches the current one. Cheap to clone: all clones share the token. For use in a Tokio
/// runtime.
///
/// A token is replaced after 70 to 85 % of its lifetime, by the first call from then on; that call does not wait. While tokend cannot be
/// reached, calls get the current token until 5 %, or 10 seconds, before its end. Concurrent calls share one call of tokend.
#[derive(Clone)]
pub struct TokenSource(Arc<Inner>);

struct Inner {
    channel: Channel,
    credential: Credential,
    request: IssueTokenRequest,
    clock: Arc<dyn Clock>,
    held: ArcSwapOption<Held>,
    /// Held during a call of tokend.
    failures: Arc<Mutex<Failures>>,
}

/// Builds a [`TokenSource`].
#[derive(Debug)]
pub struct TokenSourceBuilder {
    channel: Channel,
    credential: Credential,
    request: IssueTokenRequest,
    clock: Arc<dyn Clock>,
}

impl TokenSource {
    /// Begins to build a source. The client with `credential` calls the tokend server of `channel`.
    pub fn builder(channel: Channel, credential: Credential) -> TokenSourceBuilder {
        let (request, clock) = (IssueTokenRequest::default(), Arc::new(SystemClock));
        TokenSourceBuilder { channel, credential, request, clock }
    }

    /// A valid access token. Calls tokend only if there is no current token.
    ///
    /// # Errors
    /// If there is no current token, and tokend refuses the call or cannot be reached. After a failure further calls fail at once for up
    /// to 10 seconds.
    pub async fn token(&self) -> Result<AccessToken, TokenError> {
        if let Some(token) = self.current() {
            return Ok(token);
        }
        let before = self.0.clock.monotonic();
        let mut failures = Arc::clone(&self.0.failures).lock_owned().await;
        // Another call may have brought a token, or an error, while this one waited.
        if let Some(held) = self.usable(before) {
            return Ok(held.token.clone());
        }
        if let Some(error) = failures.recent(before) {
            return Err(error);
        }
        self.issue(&mut failures).await
    }

    /// A layer that adds the token to each request.
    pub fn layer(&self) -> BearerLayer {
        BearerLayer::new(self.clone())
    }

    /// Replaces `token` before the next call, if it is the current one. Call this if a service has refused the token although it has not
    /// expired, for example because its key was revoked. A token that was issued within the last 10 seconds stays.
    pub fn refused(&self, token: &AccessToken) {
        let Some(held) = self.0.held.load_full() else { return };
        let is_old = self.0.clock.monotonic() >= held.requested + SHORTEST_USE;
        if is_old && held.token.reveal() == token.reveal() {
            self.0.held.compare_and_swap(&held, None);
        }
    }

    /// The current token. Begins to replace it, if it is time to.
    fn current(&self) -> Option<AccessToken> {
        let now = self.0.clock.monotonic();
        let held = self.usable(now)?;
        if now >= held.refresh_at
            && let Ok(mut failures) = Arc::clone(&self.0.failures).try_lock_owned()
            && failures.recent(now).is_none()
        {
            let source = self.clone();
            // In a task of its own: the call must not end with the caller's request.
            tokio::spawn(async move {
                if let Err(error) = source.issue(&mut failures).await {
                    tracing::warn!(%error, "the access token could not be refreshed; the current one stays in use");
                }
            });
        }
        Some(held.token.clone())
    }

    fn usable(&self, now: Duration) -> Option<Arc<Held>> {
        self.0.held.load_full().filter(|held| now < held.end)
    }

    /// Calls tokend. The guard makes it the only call.
    async fn issue(&self, failures: &mut OwnedMutexGuard<Failures>) -> Result<AccessToken, TokenError> {
        let requested = self.0.clock.monotonic();
        let issued = tokio::time::timeout(TIMEOUT, self.call());
        match issued.await.unwrap_or(Err(TokenError::Timeout(TIMEOUT))) {
            Ok(token) => {
                self.0.held.store(Some(Arc::new(Held::new(token.clone(), requested))));
                **failures = Failures::default();
                Ok(token)
            }
            Err(error) => {
                failures.add(error.clone(), self.0.clock.monotonic());
                Err(error)
            }
        }
    }

    async fn call(&self) -> Result<AccessToken, TokenError> {
        let Inner { channel, credential, request, clock, .. } = &*self.0;
        let mut request = Request::new(request.clone());
        if let Some(value) = credential.authorization(&**clock).await? {
            request.metadata_mut().as_mut().insert(http::header::AUTHORIZATION, value);
        }
        let response = TokenServiceClient::new(channel.clone()).issue_token(request).await;
        let response = response.map_err(TokenError::Call)?.into_inner();
        let lifetime = response.expires_in.and_then(|lifetime| u64::try_from(lifetime.seconds).ok());
        let lifetime = lifetime.filter(|seconds| *seconds > 0);
        let lifetime = lifetime.ok_or(TokenError::Response("the token has no lifetime"))?;
        AccessToken::new(&response.access_token, Duration::from_secs(lifetime))
    }
}

impl fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenSource").field("request", &self.0.request).finish_non_exhaustive()
    }
}

impl TokenSourceBuilder {
    /// An audience of the tokens (`aud`): the service that is called. Default: the `default_audiences` of the client.
    #[must_use]
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.request.audiences.push(audience.into());
        self
    }

    /// A scope of the tokens. Default: none.
    #[must_use]
    pub fn scope(mut self, scope: impl Into<String>) -> Self {
        self.request.scopes.push(scope.into());
        self
    }

    /// The lifetime of the tokens, in whole seconds. Default: the `default_ttl` of the client.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        let seconds = i64::try_from(ttl.as_secs()).unwrap_or(i64::MAX);
        self.request.ttl = Some(prost_types::Duration { seconds, nanos: 0 });
        self
    }

    /// The source of time. Default: [`SystemClock`].
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// The source. Nothing is called yet.
    ///
    /// # Errors
    /// [`BuildError::Invalid`] if the lifetime is shorter than a second.
    pub fn build(self) -> Result<TokenSource, BuildError> {
        let Self { channel, credential, request, clock } = self;
        if request.ttl.as_ref().is_some_and(|ttl| ttl.seconds < 1) {
            return Err(BuildError::Invalid { setting: "ttl", problem: "must be at least one second" });
        }
        let (held, failures) = (ArcSwapOption::empty(), Arc::default());
        Ok(TokenSource(Arc::new(Inner { channel, credential, request, clock, held, failures })))
    }
}
