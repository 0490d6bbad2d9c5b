//! Issuing and verifying tokens.
//!
//! May import: `access` (for grants), `keys`, `jose`, `model`, `clock`. Invariant: both work from memory, and neither
//! without a grant.

mod issue;
mod verify;

pub(crate) use issue::{IssueError, IssuedToken};
pub use issue::{IssuePolicy, Issuer};
pub(crate) use verify::{VerifiedToken, VerifyError};
pub use verify::{Verifier, VerifyPolicy};
