//! The memory limit of requests.

/// The requests in flight of one source, or of all, have reached the memory limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the calls that are under way hold as much memory as they may")]
pub struct NoRoom;
