//! Idempotent requests (AIP-155): a repeated request with the same `request_id` receives the first response and is not executed again.
//!
//! Responses are kept in this replica's memory for ten minutes, or until a limit evicts them, and are wiped then. Another replica, or this
//! one after a restart, does not know them: there a repeated creation is rejected, because what it creates already exists.

mod bounded_map;
mod request_key;
mod responses;

pub(super) use request_key::IdentifiedRequest;
pub use responses::RequestResponses;
