//! Roles of operators.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::Method;

/// A set of methods for operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// All that reads clients, users, keys and sessions.
    Viewer,
    /// All of ClientService.
    ClientAdmin,
    /// All of UserService.
    UserAdmin,
    /// All of KeyService.
    KeyAdmin,
    /// All of SessionService: the sessions of every client.
    SessionAdmin,
    /// All of these, and RevokeToken for whatever there is.
    Admin,
}

/// A text that names no role.
#[derive(Debug, thiserror::Error)]
#[error("must be one of viewer, client-admin, user-admin, key-admin, session-admin, admin")]
pub struct UnknownRole;

impl Role {
    /// Every role.
    pub const ALL: [Self; 6] =
        [Self::Viewer, Self::ClientAdmin, Self::UserAdmin, Self::KeyAdmin, Self::SessionAdmin, Self::Admin];

    /// The role's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::ClientAdmin => "client-admin",
            Self::UserAdmin => "user-admin",
            Self::KeyAdmin => "key-admin",
            Self::SessionAdmin => "session-admin",
            Self::Admin => "admin",
        }
    }

    /// Whether this role allows every method that `other` allows.
    pub fn includes(self, other: Self) -> bool {
        Method::ALL.into_iter().all(|method| self.allows(method) || !other.allows(method))
    }

    /// Whether the role may call `method`.
    pub fn allows(self, method: Method) -> bool {
        let Some((service, verb)) = method.name().split_once('/') else { return false };
        // Tokens and the trust bundle are for services; operators only revoke.
        if matches!(service, "TokenService" | "TrustBundleService") {
            return matches!((self, method), (Self::Admin, Method::RevokeToken));
        }
        match self {
            Self::Viewer => verb.starts_with("Get") || verb.starts_with("List"),
            Self::ClientAdmin => service == "ClientService",
            Self::UserAdmin => service == "UserService",
            Self::KeyAdmin => service == "KeyService",
            Self::SessionAdmin => service == "SessionService",
            Self::Admin => true,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        Self::ALL.into_iter().find(|role| role.name() == text).ok_or(UnknownRole)
    }
}

#[cfg(test)]
#[expect(clippy::panic, reason = "tests fail by panicking")]
mod tests {
    use super::{Role::*, *};

    #[test]
    fn each_role_may_call_what_it_is_for_and_nothing_else() {
        for method in Method::ALL {
            let (service, verb) = method.name().split_once('/').unwrap_or_default();
            let reads = verb.starts_with("Get") || verb.starts_with("List");
            let own = match service {
                "TokenService" | "TrustBundleService" => None,
                "ClientService" => Some(ClientAdmin),
                "UserService" => Some(UserAdmin),
                "KeyService" => Some(KeyAdmin),
                "SessionService" => Some(SessionAdmin),
                // It has no role of its own.
                "StatusService" => Some(Admin),
                other => panic!("no role is chosen for {other}"),
            };
            for role in Role::ALL {
                let expected = match (role, own) {
                    (_, None) => role == Admin && method == Method::RevokeToken,
                    (Admin, Some(_)) => true,
                    (Viewer, Some(_)) => reads,
                    (role, Some(own)) => role == own,
                };
                assert_eq!(role.allows(method), expected, "{role} {}", method.name());
            }
        }
        // By name, so that what reads is not everything.
        assert!(Viewer.allows(Method::ListSessions) && !Viewer.allows(Method::RotateKeys));
    }
}
