//! Authentication of callers, and policy: what each client may do.
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
mod denial_text;
mod directory;
mod exchange;
mod explain;
mod grant;
mod jwks_folder;
mod jwt;
mod key_registry;
mod login;
mod login_limits;
mod password;
mod policy;
mod refresh;
mod revoke;
mod rule;
mod snapshot;
mod trusted_issuers;
mod used_assertions;
mod users;

pub(crate) use administer::{ClientGrant, administer_clients};
pub(crate) use authenticate::Caller;
#[cfg(fuzzing)]
pub(crate) use authenticate::reads_credential;
pub use authenticate::{
    Authenticated, AuthenticationError, Authenticator, CallerSettings, InvalidCredential,
};
pub use clients::{ClientRegistry, NewSecret, RegistryError};
pub use denial::{Denial, DenialReason, PolicyError};
pub use directory::Directory;
pub(crate) use exchange::{ExchangeGrant, MAY_ACT, PresentedToken, exchange};
pub(crate) use explain::{
    AssumedExchange, AssumedOwner, AssumedSession, AssumedToken, ExplainedValue, Explanation, Question,
    SessionStart, explain,
};
pub(crate) use grant::{AdminGrant, IntrospectGrant, IssueGrant, VerifyGrant};
pub use key_registry::{KeyRegistry, KeyView};
pub(crate) use login::{LoginGrant, login};
pub use login_limits::{Backoff, LoginLimitSettings, LoginLimits, TooManyFailures};
pub use password::{
    HashCost, HashError, HashingSettings, ImportError, PasswordHasher, WeakPassword, WorkError,
};
pub(crate) use password::{PasswordMatch, check_password};
pub use policy::IssueRules;
pub(crate) use policy::{administer, batch_verify, introspect, issue, may_stream, stream_verify, verify};
pub(crate) use refresh::{RefreshGrant, refresh};
pub(crate) use revoke::{Owner, RevokeGrant, revoke};
pub(crate) use trusted_issuers::IssuerTokenError;
pub(crate) use trusted_issuers::fetch as fetch_jwk_set;
pub use trusted_issuers::{
    KeySource, RefreshSettings, TrustedIssuerSettings, TrustedIssuers, TrustedKeyView,
};
pub use used_assertions::UsedAssertions;
pub(crate) use users::{NewPassword, UserKey};
pub use users::{UserError, UserRegistry};
