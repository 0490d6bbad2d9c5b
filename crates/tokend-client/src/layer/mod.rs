//! A tower layer that verifies the access token of each request, for gRPC and HTTP servers.

mod auth_layer;
mod bearer;
mod response;

pub use auth_layer::{Auth, AuthLayer};
#[cfg(feature = "axum")]
pub(crate) use response::http_response;
pub(crate) use response::is_grpc;
