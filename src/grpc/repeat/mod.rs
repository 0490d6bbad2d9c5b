//! Requests that come again (AIP-155): one whose answer was lost is answered as the first time, and not done twice.
//!
//! Answers are kept by this replica, in memory that is wiped when they go, for ten minutes or until there is no more room. Another
//! replica, and this one after a restart, knows nothing of them: there a repeated creation is refused, for what it makes is there
//! already.

mod memory;
mod repeats;
mod ticket;

pub use repeats::Repeats;
pub(super) use ticket::Ticket;
