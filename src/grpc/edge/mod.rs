//! What every call passes before and after its method, outermost first.

mod deadline;
mod drain;
mod form;
mod messages;
mod request_id;
mod service;
mod unary;
mod until_drain;

pub use drain::Drain;
pub use service::{Edge, EdgeParts, Limits};
pub(super) use until_drain::UntilDrain;
