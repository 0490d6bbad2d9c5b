//! Who calls, and what they may have.
//!
//! May import: `keys`, `store`, `model`, `clock`. Invariant: a grant is made here and nowhere else, and nothing is issued,
//! verified or administered without one.

mod authenticate;
mod clients;
mod directory;
mod grant;
mod key_registry;
mod policy;

pub use authenticate::{AuthenticationError, Authenticator, Caller};
pub use clients::{ClientRegistry, NewSecret, RegistryError};
pub use directory::Directory;
pub(crate) use grant::{AdminGrant, Audience, IssueGrant, VerifyGrant};
pub use key_registry::{KeyRegistry, KeyView};
pub use policy::{Denial, DenialReason, IssueRules, PolicyError};
pub(crate) use policy::{administer, batch_verify, issue, verify};
