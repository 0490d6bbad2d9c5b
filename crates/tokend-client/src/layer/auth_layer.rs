//! The layer and its service.

use std::{
    collections::{HashMap, HashSet},
    future::Future,
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use tonic::server::NamedService;
use tower_layer::Layer;
use tower_service::Service;

use super::{bearer, response::rejection};
use crate::{Claims, Verifier, VerifyError};

/// Verifies the access token of each request, and puts its [`Claims`] into the extensions of the request.
///
/// A request without a valid token does not reach the service. In gRPC (by the content type of the request) the response is
/// UNAUTHENTICATED, or PERMISSION_DENIED if a scope is missing. In HTTP it is 401 or 403 with `WWW-Authenticate`. If tokens cannot be
/// verified, it is UNAVAILABLE or 503.
#[derive(Debug, Clone)]
pub struct AuthLayer {
    verifier: Verifier,
    rules: Arc<Rules>,
}

/// The service of [`AuthLayer`].
#[derive(Debug, Clone)]
pub struct Auth<S> {
    service: S,
    verifier: Verifier,
    rules: Arc<Rules>,
}

#[derive(Debug, Clone, Default)]
struct Rules {
    audience: Option<String>,
    scopes: Vec<String>,
    scopes_of_paths: HashMap<String, Vec<String>>,
    public_paths: HashSet<String>,
}

impl AuthLayer {
    pub(crate) fn new(verifier: Verifier) -> Self {
        Self { verifier, rules: Arc::default() }
    }

    /// Requires that the token has this scope, in addition to those that are required already.
    #[must_use]
    pub fn require_scope(mut self, scope: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.rules).scopes.push(scope.into());
        self
    }

    /// Requires this scope for one path, which is compared exactly: `/PACKAGE.SERVICE/METHOD` in gRPC.
    #[must_use]
    pub fn require_scope_on(mut self, path: impl Into<String>, scope: impl Into<String>) -> Self {
        let paths = &mut Arc::make_mut(&mut self.rules).scopes_of_paths;
        paths.entry(path.into()).or_default().push(scope.into());
        self
    }

    /// Requires that the token is for this audience: one of those of the verifier, for routes that do not accept all of them.
    #[must_use]
    pub fn require_audience(mut self, audience: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.rules).audience = Some(audience.into());
        self
    }

    /// Requires no token for one path, which is compared exactly: for health checks. A token that is sent is not read.
    #[must_use]
    pub fn public_path(mut self, path: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.rules).public_paths.insert(path.into());
        self
    }
}

impl Rules {
    fn check(&self, path: &str, claims: &Claims) -> Result<(), VerifyError> {
        if let Some(audience) = &self.audience
            && !claims.registered().audiences.contains(audience)
        {
            return Err(VerifyError::other_audience());
        }
        let of_path = self.scopes_of_paths.get(path).into_iter().flatten();
        self.scopes.iter().chain(of_path).try_for_each(|scope| claims.require_scope(scope))
    }
}

impl<S> Layer<S> for AuthLayer {
    type Service = Auth<S>;

    fn layer(&self, service: S) -> Auth<S> {
        Auth { service, verifier: self.verifier.clone(), rules: Arc::clone(&self.rules) }
    }
}

impl<S: NamedService> NamedService for Auth<S> {
    const NAME: &'static str = S::NAME;
}

impl<S, B, R> Service<Request<B>> for Auth<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
    R: Default,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<R>, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        // The clone is not ready yet; the service that is goes with the request.
        let clone = self.service.clone();
        let mut service = mem::replace(&mut self.service, clone);
        if self.rules.public_paths.contains(request.uri().path()) {
            return Box::pin(service.call(request));
        }
        let (verifier, rules) = (self.verifier.clone(), Arc::clone(&self.rules));
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let verified = match bearer::token(&head.headers) {
                Ok(token) => verifier.verify(token).await,
                Err(error) => Err(error),
            };
            let verified = verified.and_then(|claims| {
                rules.check(head.uri.path(), &claims)?;
                Ok(claims)
            });
            match verified {
                Ok(claims) => {
                    request = Request::from_parts(head, body);
                    request.extensions_mut().insert(claims);
                    service.call(request).await
                }
                Err(error) => Ok(rejection(error, &head.headers)),
            }
        })
    }
}
