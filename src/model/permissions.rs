//! The permissions of a client.

use serde::{Deserialize, Serialize};

use super::{ClaimCondition, Pattern, Role, Ttl};

/// The permissions of a client. An empty list of patterns allows nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Permissions {
    /// Methods it may call, by [`Method::name`](super::Method::name).
    pub methods: Vec<Pattern>,
    /// Audiences of tokens that are issued to it.
    pub audiences: Vec<Pattern>,
    /// Scopes of tokens that are issued to it.
    pub scopes: Vec<Pattern>,
    /// Subjects of tokens that are issued to it, besides its own id.
    pub subjects: Vec<Pattern>,
    /// Names of extra claims in tokens that are issued to it.
    pub claims: Vec<Pattern>,
    /// The longest lifetime of a token.
    pub max_ttl: Ttl,
    /// Audiences of tokens that it may verify and read.
    pub verify_audiences: Vec<Pattern>,
    /// Conditions on the values of extra claims.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub claim_values: Vec<ClaimCondition>,
    /// Names of users that it may log in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub login_usernames: Vec<Pattern>,
    /// Subjects whose tokens and sessions it may revoke, besides its own; `*` includes every token.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub revoke_subjects: Vec<Pattern>,
    /// Clients whose tokens and sessions it may revoke, besides its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub revoke_clients: Vec<Pattern>,
    /// Subjects whose tokens it may exchange.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exchange_subjects: Vec<Pattern>,
    /// Audiences of the tokens that it may exchange, besides its own id.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exchange_audiences: Vec<Pattern>,
    /// Trusted issuers whose tokens it may exchange: their subjects become subjects of this issuer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exchange_issuers: Vec<Pattern>,
    /// Whether it may exchange a token without an actor token, so that the new token names the subject only.
    #[serde(default, skip_serializing_if = "is_false")]
    pub impersonate: bool,
    /// Sets of methods for operators.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<Role>,
    /// Other issuers whose tokens it may verify and read, besides this issuer's own. This field and the next two are stored in a column
    /// of their own: the previous release rejects a settings document with an unknown field.
    #[serde(skip)]
    pub verify_issuers: Vec<Pattern>,
    /// Subjects whose tokens it may present as actor tokens, besides its own.
    #[serde(skip)]
    pub exchange_actors: Vec<Pattern>,
    /// Clients that it may administer by the methods in `methods`.
    #[serde(skip)]
    pub admin_clients: Vec<Pattern>,
}

impl Permissions {
    /// The default of `max_ttl`.
    pub const DEFAULT_MAX_TTL: Ttl = Ttl::from_minutes(60);

    /// The permissions that the serialized form leaves out.
    pub fn later(&self) -> LaterPermissions {
        let Self { verify_issuers, exchange_actors, admin_clients, .. } = self.clone();
        LaterPermissions { verify_issuers, exchange_actors, admin_clients }
    }

    /// Sets the permissions that the serialized form leaves out.
    pub fn set_later(&mut self, later: LaterPermissions) {
        let LaterPermissions { verify_issuers, exchange_actors, admin_clients } = later;
        (self.verify_issuers, self.exchange_actors, self.admin_clients) =
            (verify_issuers, exchange_actors, admin_clients);
    }
}

impl Default for Permissions {
    /// Allows nothing.
    fn default() -> Self {
        Self {
            methods: Vec::new(),
            audiences: Vec::new(),
            scopes: Vec::new(),
            subjects: Vec::new(),
            claims: Vec::new(),
            max_ttl: Self::DEFAULT_MAX_TTL,
            verify_audiences: Vec::new(),
            claim_values: Vec::new(),
            login_usernames: Vec::new(),
            revoke_subjects: Vec::new(),
            revoke_clients: Vec::new(),
            exchange_subjects: Vec::new(),
            exchange_audiences: Vec::new(),
            exchange_issuers: Vec::new(),
            impersonate: false,
            roles: Vec::new(),
            verify_issuers: Vec::new(),
            exchange_actors: Vec::new(),
            admin_clients: Vec::new(),
        }
    }
}

/// The permissions that [`Permissions`] does not serialize, as a JSON document of their own: the previous release rejects a document
/// with an unknown field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "as the fields of `Permissions`")]
pub struct LaterPermissions {
    pub verify_issuers: Vec<Pattern>,
    pub exchange_actors: Vec<Pattern>,
    pub admin_clients: Vec<Pattern>,
}

impl LaterPermissions {
    /// The permissions of a client that was created by a release without these permissions: everything.
    pub fn of_release_before() -> Self {
        let any = || vec![Pattern::any()];
        Self { verify_issuers: any(), exchange_actors: any(), admin_clients: any() }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde wants it")]
const fn is_false(value: &bool) -> bool {
    !*value
}

/// A method that needs permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is named after its RPC")]
pub enum Method {
    IssueToken,
    VerifyToken,
    BatchVerifyTokens,
    StreamVerifyTokens,
    CreateClient,
    GetClient,
    ListClients,
    DeleteClient,
    RotateClientSecret,
    ListKeys,
    CreateKey,
    ImportKey,
    RotateKeys,
    RevokeKey,
    Login,
    RefreshToken,
    RevokeToken,
    IntrospectToken,
    ExchangeToken,
    ListSessions,
    EndSession,
    UpdateClient,
    CreateUser,
    GetUser,
    ListUsers,
    UpdateUser,
    SetUserPassword,
    DeleteUser,
    GetStatus,
    GetTrustBundle,
    WatchTrustBundle,
}

impl Method {
    /// Every method.
    pub const ALL: [Self; 31] = [
        Self::IssueToken,
        Self::VerifyToken,
        Self::BatchVerifyTokens,
        Self::StreamVerifyTokens,
        Self::Login,
        Self::RefreshToken,
        Self::RevokeToken,
        Self::IntrospectToken,
        Self::ExchangeToken,
        Self::ListSessions,
        Self::EndSession,
        Self::CreateClient,
        Self::GetClient,
        Self::ListClients,
        Self::UpdateClient,
        Self::DeleteClient,
        Self::RotateClientSecret,
        Self::CreateUser,
        Self::GetUser,
        Self::ListUsers,
        Self::UpdateUser,
        Self::SetUserPassword,
        Self::DeleteUser,
        Self::ListKeys,
        Self::CreateKey,
        Self::ImportKey,
        Self::RotateKeys,
        Self::RevokeKey,
        Self::GetStatus,
        Self::GetTrustBundle,
        Self::WatchTrustBundle,
    ];

    /// How permissions name it: `Service/Method`, without the package.
    pub const fn name(self) -> &'static str {
        match self {
            Self::IssueToken => "TokenService/IssueToken",
            Self::VerifyToken => "TokenService/VerifyToken",
            Self::BatchVerifyTokens => "TokenService/BatchVerifyTokens",
            Self::StreamVerifyTokens => "TokenService/StreamVerifyTokens",
            Self::CreateClient => "ClientService/CreateClient",
            Self::GetClient => "ClientService/GetClient",
            Self::ListClients => "ClientService/ListClients",
            Self::DeleteClient => "ClientService/DeleteClient",
            Self::RotateClientSecret => "ClientService/RotateClientSecret",
            Self::ListKeys => "KeyService/ListKeys",
            Self::CreateKey => "KeyService/CreateKey",
            Self::ImportKey => "KeyService/ImportKey",
            Self::RotateKeys => "KeyService/RotateKeys",
            Self::RevokeKey => "KeyService/RevokeKey",
            Self::Login => "TokenService/Login",
            Self::RefreshToken => "TokenService/RefreshToken",
            Self::RevokeToken => "TokenService/RevokeToken",
            Self::IntrospectToken => "TokenService/IntrospectToken",
            Self::ExchangeToken => "TokenService/ExchangeToken",
            Self::ListSessions => "SessionService/ListSessions",
            Self::EndSession => "SessionService/EndSession",
            Self::UpdateClient => "ClientService/UpdateClient",
            Self::CreateUser => "UserService/CreateUser",
            Self::GetUser => "UserService/GetUser",
            Self::ListUsers => "UserService/ListUsers",
            Self::UpdateUser => "UserService/UpdateUser",
            Self::SetUserPassword => "UserService/SetUserPassword",
            Self::DeleteUser => "UserService/DeleteUser",
            Self::GetStatus => "StatusService/GetStatus",
            Self::GetTrustBundle => "TrustBundleService/GetTrustBundle",
            Self::WatchTrustBundle => "TrustBundleService/WatchTrustBundle",
        }
    }
}
