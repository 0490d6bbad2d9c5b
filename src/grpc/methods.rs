//! The table of methods: path, audit, and concurrency class of each.

use crate::admission::CallClass;

/// Which calls of a method leave an audit event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Audited {
    /// All: the method issues or changes something.
    Always,
    /// The refused ones: the method only reads.
    Refusals,
    /// None: the method is public, or reads the trust bundle, for which the settings may require a credential.
    Never,
}

/// A method.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct MethodInfo {
    /// `/package.Service/Method`.
    pub(super) path: &'static str,
    pub(super) audited: Audited,
    /// The concurrency limit of its calls.
    pub(super) class: Option<CallClass>,
    /// Whether clients send a stream of messages rather than one.
    pub(super) client_streaming: bool,
}

use Audited::{Always, Never, Refusals};

/// All methods.
pub(super) static METHODS: [MethodInfo; 36] = [
    token("/tokend.v1.TokenService/VerifyToken", Refusals, CallClass::Verify),
    token("/tokend.v1.TokenService/IssueToken", Always, CallClass::Issue),
    token("/tokend.v1.TokenService/BatchVerifyTokens", Refusals, CallClass::Verify),
    public("/grpc.health.v1.Health/Check"),
    token("/tokend.v1.TokenService/Login", Always, CallClass::Login),
    token("/tokend.v1.TokenService/RefreshToken", Always, CallClass::Session),
    token("/tokend.v1.TokenService/RevokeToken", Always, CallClass::Revoke),
    token("/tokend.v1.TokenService/IntrospectToken", Refusals, CallClass::Verify),
    token("/tokend.v1.TokenService/ExchangeToken", Always, CallClass::Exchange),
    MethodInfo {
        client_streaming: true,
        ..token("/tokend.v1.TokenService/StreamVerifyTokens", Refusals, CallClass::Verify)
    },
    token("/envoy.service.auth.v3.Authorization/Check", Refusals, CallClass::Verify),
    admin("/tokend.v1.SessionService/ListSessions", Refusals),
    token("/tokend.v1.SessionService/EndSession", Always, CallClass::Revoke),
    admin("/tokend.v1.ClientService/CreateClient", Always),
    admin("/tokend.v1.ClientService/GetClient", Refusals),
    admin("/tokend.v1.ClientService/ListClients", Refusals),
    admin("/tokend.v1.ClientService/UpdateClient", Always),
    admin("/tokend.v1.ClientService/DeleteClient", Always),
    admin("/tokend.v1.ClientService/RotateClientSecret", Always),
    admin("/tokend.v1.UserService/CreateUser", Always),
    admin("/tokend.v1.UserService/GetUser", Refusals),
    admin("/tokend.v1.UserService/ListUsers", Refusals),
    admin("/tokend.v1.UserService/UpdateUser", Always),
    admin("/tokend.v1.UserService/SetUserPassword", Always),
    admin("/tokend.v1.UserService/DeleteUser", Always),
    admin("/tokend.v1.KeyService/ListKeys", Refusals),
    admin("/tokend.v1.KeyService/CreateKey", Always),
    admin("/tokend.v1.KeyService/ImportKey", Always),
    admin("/tokend.v1.KeyService/RotateKeys", Always),
    admin("/tokend.v1.KeyService/RevokeKey", Always),
    admin("/tokend.v1.StatusService/GetStatus", Refusals),
    public("/tokend.v1.TrustBundleService/GetTrustBundle"),
    client_streaming("/tokend.v1.TrustBundleService/WatchTrustBundle"),
    public("/grpc.health.v1.Health/Watch"),
    client_streaming("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"),
    client_streaming("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"),
];

/// Any other path, reported as `other`: the path comes from the client, and may contain a token.
pub(super) static OTHER: MethodInfo = public("other");

const fn token(path: &'static str, audited: Audited, class: CallClass) -> MethodInfo {
    MethodInfo { path, audited, class: Some(class), client_streaming: false }
}

const fn admin(path: &'static str, audited: Audited) -> MethodInfo {
    token(path, audited, CallClass::Admin)
}

const fn public(path: &'static str) -> MethodInfo {
    MethodInfo { path, audited: Never, class: None, client_streaming: false }
}

const fn client_streaming(path: &'static str) -> MethodInfo {
    MethodInfo { client_streaming: true, ..public(path) }
}

/// An index into [`METHODS`], or its length for any other path. The most frequent methods come first and have constants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MethodIndex(pub(super) usize);

impl MethodIndex {
    pub(super) const VERIFY: Self = Self(0);
    pub(super) const ISSUE: Self = Self(1);
    pub(super) const BATCH_VERIFY: Self = Self(2);
    pub(super) const HEALTH_CHECK: Self = Self(3);

    /// The method at `path`.
    pub(super) fn of(path: &str) -> Self {
        Self(METHODS.iter().position(|method| method.path == path).unwrap_or(METHODS.len()))
    }

    pub(super) fn info(self) -> &'static MethodInfo {
        METHODS.get(self.0).unwrap_or(&OTHER)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use prost::Message as _;

    use super::*;

    #[test]
    fn the_table_holds_every_method_of_the_descriptors_and_no_other() {
        let mut served = Vec::new();
        for set in [
            crate::proto::FILE_DESCRIPTOR_SET,
            tonic_health::pb::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
        ] {
            for file in prost_types::FileDescriptorSet::decode(set).unwrap().file {
                for service in &file.service {
                    for method in &service.method {
                        let path = format!("/{}.{}/{}", file.package(), service.name(), method.name());
                        served.push((path, method.client_streaming()));
                    }
                }
            }
        }
        // Reflection serves no descriptors of Envoy.
        served.push(("/envoy.service.auth.v3.Authorization/Check".to_owned(), false));
        let mut table: Vec<_> =
            METHODS.iter().map(|method| (method.path.to_owned(), method.client_streaming)).collect();
        // The health service's later methods are not implemented by tonic-health.
        served.retain(|(path, _)| path != "/grpc.health.v1.Health/List");
        served.sort();
        table.sort();
        assert_eq!(served, table);
    }

    #[test]
    fn a_method_that_issues_or_changes_something_is_audited() {
        for method in &METHODS {
            let Some(own) = method.path.strip_prefix("/tokend.v1.") else {
                // Envoy authenticates, and callers of health and reflection do not.
                let expected = match method.path.starts_with("/envoy.") {
                    true => (Refusals, Some(CallClass::Verify)),
                    false => (Never, None),
                };
                assert_eq!((method.audited, method.class), expected, "{}", method.path);
                continue;
            };
            let (service, name) = own.split_once('/').unwrap();
            let reads = ["Get", "List", "Verify", "BatchVerify", "StreamVerify", "Introspect"];
            let expected = match service {
                "TrustBundleService" => Never,
                _ if reads.iter().any(|verb| name.starts_with(verb)) => Refusals,
                _ => Always,
            };
            assert_eq!(method.audited, expected, "{}", method.path);
            assert_eq!(method.class.is_none(), expected == Never, "{}", method.path);
        }
    }

    #[test]
    fn paths_are_found_by_their_index() {
        for (index, name) in [
            (MethodIndex::VERIFY, "VerifyToken"),
            (MethodIndex::ISSUE, "IssueToken"),
            (MethodIndex::BATCH_VERIFY, "BatchVerifyTokens"),
        ] {
            assert_eq!(MethodIndex::of(&format!("/tokend.v1.TokenService/{name}")), index);
        }
        assert_eq!(MethodIndex::of("/grpc.health.v1.Health/Check"), MethodIndex::HEALTH_CHECK);
        assert_eq!(MethodIndex::of("/a/b").info(), &OTHER);
    }
}
