//! Who calls, and what they may have.
//!
//! May import: `keys`, `store`, `model`, `clock`. Invariant: a grant is made here and nowhere else, and nothing is issued,
//! verified or administered without one.

mod administer;
mod authenticate;
mod check;
mod claim_value;
mod client_rows;
mod client_update;
mod clients;
mod denial;
mod denial_words;
mod directory;
mod exchange;
mod explain;
mod foreign_token;
mod grant;
mod jwks_folder;
mod key_registry;
mod line;
mod login;
mod login_limits;
mod password;
mod policy;
mod refresh;
mod revoke;
mod snapshot;
mod trusted_issuers;
mod used_assertions;
mod users;

pub(crate) use administer::{ClientGrant, administer_clients};
#[cfg(fuzzing)]
pub(crate) use authenticate::reads_credential;
pub use authenticate::{
    AuthenticationError, AuthenticationMetrics, Authenticator, Caller, CallerSettings, Unproven,
};
pub use clients::{ClientRegistry, NewSecret, RegistryError};
pub use denial::{Denial, DenialReason, PolicyError};
pub use directory::Directory;
pub(crate) use exchange::{ExchangeGrant, MAY_ACT, PresentedToken, exchange};
pub(crate) use explain::{
    Begun, ExplainedValue, Explanation, PlannedExchange, PlannedSession, PlannedToken, Question, Whose,
    explain,
};
pub(crate) use foreign_token::ForeignTokenError;
pub(crate) use grant::{AdminGrant, IntrospectGrant, IssueGrant, VerifyGrant};
pub use key_registry::{KeyRegistry, KeyView};
pub(crate) use login::{LoginGrant, login};
pub use login_limits::{Backoff, LoginLimitSettings, LoginLimits, TooManyFailures};
pub(crate) use password::{Compared, check_password};
pub use password::{
    HashCost, HashError, HashingSettings, ImportError, PasswordHasher, WeakPassword, WorkError,
};
pub use policy::IssueRules;
pub(crate) use policy::{administer, batch_verify, introspect, issue, verify};
pub(crate) use refresh::{RefreshGrant, refresh};
pub(crate) use revoke::{Owner, RevokeGrant, revoke};
pub use trusted_issuers::{KeySource, RefreshSettings, TrustedIssuerSettings, TrustedIssuers};
pub use used_assertions::UsedAssertions;
pub(crate) use users::{NewPassword, UserKey};
pub use users::{UserError, UserRegistry};
