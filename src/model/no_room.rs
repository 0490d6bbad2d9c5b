//! More than may be held in memory.

/// What calls hold in memory, of one source or in all, has reached its bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the calls that are under way hold as much memory as they may")]
pub struct NoRoom;
