//! PostgreSQL servers: what a URL may say, how an address is printed, and which of the servers is connected to.
//!
//! May import: `files`. Invariant: no text made here holds a password, or a part of one.

mod address;
mod connect;
mod location;
mod url;

pub use address::printable;
pub use connect::{Access, ConnectError, Connected, access, connect, connect_at_start, is_lost, start};
pub use location::DatabaseLocation;
