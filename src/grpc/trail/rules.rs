//! What holds for the calls of a method: their lane, and which of them are audited.

use crate::grpc::admission::LaneName;

/// Which calls of a method leave an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Audited {
    /// All: it issues, or changes something.
    Always,
    /// Those that are refused: it only looks.
    Refusals,
    /// None: it asks for no credential and tells nothing that is not public.
    Never,
}

/// What holds for a method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rules {
    pub(super) audited: Audited,
    pub(super) lane: Option<LaneName>,
}

impl Rules {
    /// Those of the method of this name, as the metrics name it. A method that nobody thought of is audited.
    pub(super) fn of(method: &str) -> Self {
        let Some(own) = method.strip_prefix("/tokend.v1.") else {
            return Self { audited: Audited::Never, lane: None };
        };
        let (service, name) = own.split_once('/').unwrap_or((own, ""));
        match (service, name) {
            ("TrustBundleService", _) => Self { audited: Audited::Never, lane: None },
            ("TokenService", "VerifyToken" | "BatchVerifyTokens" | "IntrospectToken") => {
                Self { audited: Audited::Refusals, lane: Some(LaneName::Verify) }
            }
            ("TokenService", "Login") => Self { audited: Audited::Always, lane: Some(LaneName::Login) },
            ("TokenService", "RevokeToken") | ("SessionService", "EndSession") => {
                Self { audited: Audited::Always, lane: Some(LaneName::Revoke) }
            }
            ("TokenService", "RefreshToken") => {
                Self { audited: Audited::Always, lane: Some(LaneName::Session) }
            }
            ("TokenService", "ExchangeToken") => {
                Self { audited: Audited::Always, lane: Some(LaneName::Exchange) }
            }
            ("TokenService", _) => Self { audited: Audited::Always, lane: Some(LaneName::Issue) },
            (_, name) if name.starts_with("Get") || name.starts_with("List") => {
                Self { audited: Audited::Refusals, lane: Some(LaneName::Admin) }
            }
            _ => Self { audited: Audited::Always, lane: Some(LaneName::Admin) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Audited::*, *};

    #[test]
    fn whatever_issues_or_changes_is_audited() {
        for (method, audited, lane) in [
            ("/tokend.v1.TokenService/IssueToken", Always, Some(LaneName::Issue)),
            ("/tokend.v1.TokenService/VerifyToken", Refusals, Some(LaneName::Verify)),
            ("/tokend.v1.TokenService/BatchVerifyTokens", Refusals, Some(LaneName::Verify)),
            ("/tokend.v1.TokenService/IntrospectToken", Refusals, Some(LaneName::Verify)),
            ("/tokend.v1.TokenService/ExchangeToken", Always, Some(LaneName::Exchange)),
            ("/tokend.v1.TokenService/Login", Always, Some(LaneName::Login)),
            ("/tokend.v1.TokenService/RevokeToken", Always, Some(LaneName::Revoke)),
            ("/tokend.v1.SessionService/EndSession", Always, Some(LaneName::Revoke)),
            ("/tokend.v1.TokenService/RefreshToken", Always, Some(LaneName::Session)),
            ("/tokend.v1.ClientService/UpdateClient", Always, Some(LaneName::Admin)),
            ("/tokend.v1.ClientService/ListClients", Refusals, Some(LaneName::Admin)),
            ("/tokend.v1.UserService/GetUser", Refusals, Some(LaneName::Admin)),
            ("/tokend.v1.KeyService/RevokeKey", Always, Some(LaneName::Admin)),
            ("/tokend.v1.NewService/DoThing", Always, Some(LaneName::Admin)),
            ("/tokend.v1.TrustBundleService/WatchTrustBundle", Never, None),
            ("/grpc.health.v1.Health/Check", Never, None),
            ("other", Never, None),
        ] {
            assert_eq!(Rules::of(method), Rules { audited, lane }, "{method}");
        }
    }
}
