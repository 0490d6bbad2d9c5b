//! A tower layer that adds an access token to outgoing requests.

use std::{
    error::Error,
    future::Future,
    mem,
    pin::Pin,
    task::{Context, Poll},
};

use http::{HeaderMap, Request, Response, StatusCode, header::AUTHORIZATION};
use tonic::Status;
use tower_layer::Layer;
use tower_service::Service;

use super::TokenSource;
use crate::layer::is_grpc;

/// Adds the token of a [`TokenSource`] to each request, as the header `authorization`. For tonic channels and for other clients over
/// `http::Request`. If the service refuses the token (HTTP 401, UNAUTHENTICATED), the next request gets a new one.
///
/// Without a token a request fails: in gRPC with the `Status` of the [`TokenError`](crate::TokenError), else with the error itself.
#[derive(Debug, Clone)]
pub struct BearerLayer(TokenSource);

/// The service of [`BearerLayer`].
#[derive(Debug, Clone)]
pub struct Bearer<S> {
    service: S,
    source: TokenSource,
}

impl BearerLayer {
    pub(super) const fn new(source: TokenSource) -> Self {
        Self(source)
    }
}

impl<S> Layer<S> for BearerLayer {
    type Service = Bearer<S>;

    fn layer(&self, service: S) -> Bearer<S> {
        Bearer { service, source: self.0.clone() }
    }
}

type BoxError = Box<dyn Error + Send + Sync>;

impl<S, B, R> Service<Request<B>> for Bearer<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    B: Send + 'static,
{
    type Response = Response<R>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<R>, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.service.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        // The clone is not ready yet; the service that is goes with the request.
        let clone = self.service.clone();
        let mut service = mem::replace(&mut self.service, clone);
        let source = self.source.clone();
        Box::pin(async move {
            let token = match source.token().await {
                Ok(token) => token,
                Err(error) if is_grpc(request.headers()) => return Err(Status::from(error).into()),
                Err(error) => return Err(error.into()),
            };
            request.headers_mut().insert(AUTHORIZATION, token.authorization());
            let response = service.call(request).await.map_err(Into::into)?;
            if is_unauthenticated(response.status(), response.headers()) {
                source.refused(&token);
            }
            Ok(response)
        })
    }
}

/// Whether the response refuses the credential. A gRPC error without a response message is in the headers.
fn is_unauthenticated(status: StatusCode, headers: &HeaderMap) -> bool {
    const UNAUTHENTICATED: &str = "16";
    status == StatusCode::UNAUTHORIZED
        || headers.get("grpc-status").is_some_and(|code| code.as_bytes() == UNAUTHENTICATED.as_bytes())
}
