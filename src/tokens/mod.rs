//! Issuing, verifying, exchanging and revoking tokens, sessions, and logging people in.
//!
//! May import: `access` (for grants), `keys`, `jose`, `revocations`, `store` (for users and sessions), `model`, `clock`. Invariant: issuing and verifying
//! work from memory, and nothing is done without a grant.

mod cache;
mod exchange;
mod introspect;
mod issue;
mod login;
mod revoke;
mod revoke_everything;
mod sessions;
mod verify;

pub(crate) use cache::TokenCache;
pub use exchange::Exchanger;
pub(crate) use exchange::{ExchangeError, KeysOf, PresentedTokens};
pub use introspect::Introspector;
pub(crate) use introspect::{IntrospectError, IntrospectedToken};
pub(crate) use issue::{IssueError, IssuedToken};
pub use issue::{IssuePolicy, Issuer};
pub use login::Logins;
pub(crate) use login::{LoggedIn, LoginError};
pub use revoke::Revoker;
pub(crate) use revoke::{FURTHEST_AHEAD, MadeRevocation, RevokeError, next_second};
pub use revoke_everything::revoke_everything;
pub(crate) use sessions::{
    BegunSession, FreshRefreshToken, RefreshedSession, SessionError, Step as RefreshStep,
};
pub use sessions::{SessionPolicy, Sessions};
pub(crate) use verify::{EncodedClaims, ExaminedToken, VerifiedToken, VerifyError};
pub use verify::{Verifier, VerifyPolicy};
