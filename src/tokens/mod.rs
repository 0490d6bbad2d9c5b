//! Issuing and verifying tokens, and logging people in.
//!
//! May import: `access` (for grants), `keys`, `jose`, `store` (for users), `model`, `clock`. Invariant: issuing and verifying
//! work from memory, and nothing is done without a grant.

mod issue;
mod login;
mod verify;

pub(crate) use issue::{IssueError, IssuedToken};
pub use issue::{IssuePolicy, Issuer};
pub use login::Logins;
pub(crate) use login::{LoggedIn, LoginError};
pub(crate) use verify::{VerifiedToken, VerifyError};
pub use verify::{Verifier, VerifyPolicy};
