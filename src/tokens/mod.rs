//! Issues, verifies, introspects, exchanges and revokes tokens; sessions and logins.
//!
//! May import: `access` (for grants), `keys`, `jose`, `revocations`, `store` (for users and sessions), `model`, `clock`. Invariant: issuing
//! and verifying read memory only, and every operation needs a grant.

mod cache;
mod exchange;
mod introspect;
mod issue;
mod login;
mod revoke;
mod sessions;
mod verify;

pub use exchange::Exchanger;
pub(crate) use exchange::{ExchangeError, KeysOf, PresentedTokens};
pub use introspect::Introspector;
pub(crate) use introspect::{IntrospectError, IntrospectedToken};
pub(crate) use issue::{IssueError, IssuedToken};
pub use issue::{IssuePolicy, Issuer};
pub use login::Logins;
pub(crate) use login::{LoggedIn, LoginError};
pub(crate) use revoke::{FURTHEST_AHEAD, MadeRevocation, RevokeError, next_second};
pub use revoke::{Revoker, revoke_everything};
pub(crate) use sessions::{BegunSession, FreshRefreshToken, RefreshOutcome, RefreshedSession, SessionError};
pub use sessions::{SessionPolicy, Sessions};
pub(crate) use verify::{EncodedClaims, Payload, VerifiedToken, VerifyError};
pub use verify::{Verifier, VerifyPolicy};
