//! The edge: what happens to every call before and after its method.

mod deadline;
mod drain;
mod grpc_request;
mod in_process;
mod request_body;
mod request_id;
mod service;
mod unary;
mod until_drain;

pub use drain::Drain;
pub use service::{Edge, EdgeParts, Limits};
pub(super) use until_drain::UntilDrain;
