//! What a client may do.

use serde::{Deserialize, Serialize};

use super::{ClaimCondition, Pattern, Role, Ttl};

/// What a client may do. Each list is of patterns; an empty one allows nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Permissions {
    /// Methods it may call, as [`Method::name`] gives them.
    pub methods: Vec<Pattern>,
    /// Audiences it may have tokens issued for.
    pub audiences: Vec<Pattern>,
    /// Scopes it may have in tokens.
    pub scopes: Vec<Pattern>,
    /// Subjects it may have tokens issued about, besides its own id.
    pub subjects: Vec<Pattern>,
    /// Names of the extra claims it may have in tokens.
    pub claims: Vec<Pattern>,
    /// The longest life of a token.
    pub max_ttl: Ttl,
    /// Audiences whose tokens it may verify and see.
    pub verify_audiences: Vec<Pattern>,
    /// What the extra claims that are named here may be.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub claim_values: Vec<ClaimCondition>,
    /// Names of the users whom it may log in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub login_usernames: Vec<Pattern>,
    /// Sets of methods for operators.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<Role>,
}

impl Permissions {
    /// The longest life of a token when its client says nothing else.
    pub const DEFAULT_MAX_TTL: Ttl = Ttl::from_minutes(60);
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
            roles: Vec::new(),
        }
    }
}

/// A method that needs permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is named after its RPC")]
pub enum Method {
    IssueToken,
    VerifyToken,
    BatchVerifyTokens,
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
    UpdateClient,
    CreateUser,
    GetUser,
    ListUsers,
    UpdateUser,
    SetUserPassword,
    DeleteUser,
}

impl Method {
    /// Every method.
    pub const ALL: [Self; 21] = [
        Self::IssueToken,
        Self::VerifyToken,
        Self::BatchVerifyTokens,
        Self::Login,
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
    ];

    /// How permissions name it: `Service/Method`, without the package.
    pub const fn name(self) -> &'static str {
        match self {
            Self::IssueToken => "TokenService/IssueToken",
            Self::VerifyToken => "TokenService/VerifyToken",
            Self::BatchVerifyTokens => "TokenService/BatchVerifyTokens",
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
            Self::UpdateClient => "ClientService/UpdateClient",
            Self::CreateUser => "UserService/CreateUser",
            Self::GetUser => "UserService/GetUser",
            Self::ListUsers => "UserService/ListUsers",
            Self::UpdateUser => "UserService/UpdateUser",
            Self::SetUserPassword => "UserService/SetUserPassword",
            Self::DeleteUser => "UserService/DeleteUser",
        }
    }
}
