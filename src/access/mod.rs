//! Who calls, and what they may have.
//!
//! May import: `admission`, `keys`, `store`, `model`, `clock`. Invariant: a grant is made here and nowhere else, and nothing is issued,
//! verified or administered without one. Grants are for a client, and only an admitted `Caller` gives access to its client.

mod administer;
mod authenticate;
mod check;
mod claim_value;
mod client_rows;
mod client_update;
mod clients;
mod decision;
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
pub(crate) use authenticate::Caller;
#[cfg(fuzzing)]
pub(crate) use authenticate::reads_credential;
pub use authenticate::{
    Authenticated, AuthenticationError, AuthenticationMetrics, Authenticator, CallerSettings, Unproven,
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
pub(crate) use policy::{administer, batch_verify, introspect, issue, may_stream, stream_verify, verify};
pub(crate) use refresh::{RefreshGrant, refresh};
pub(crate) use revoke::{Owner, RevokeGrant, revoke};
pub use trusted_issuers::{
    KeySource, RefreshSettings, TrustedIssuerSettings, TrustedIssuers, TrustedKeyView,
};
pub use used_assertions::UsedAssertions;
pub(crate) use users::{NewPassword, UserKey};
pub use users::{UserError, UserRegistry};
