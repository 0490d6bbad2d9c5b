//! What operators decide about a client, as flags.

use std::{fs, path::PathBuf, time::Duration};

use clap::Args;

use super::{
    client_file::method_number, failure::Failure, key_view_trusted::name_skipped_keys, time_text::to_api,
};
use crate::{
    model::{AuthenticationMethod, UnknownAuthenticationMethod},
    proto::v1::{
        AssertionKeys, Authentication, CertificateNames, ClaimCondition, Client, ClientLimits, Permissions,
        WorkloadIdentity,
    },
};

#[derive(Args)]
pub(super) struct ClientFlags {
    /// A name for people
    #[arg(long, value_name = "TEXT")]
    display_name: Option<String>,
    /// A method that it may call, such as TokenService/IssueToken or ClientService/*; may be repeated
    #[arg(long = "method", value_name = "PATTERN", help_heading = "Permissions")]
    methods: Vec<String>,
    /// Methods for operators: viewer, client-admin, user-admin, key-admin,
    /// session-admin or admin; may be repeated
    #[arg(long = "role", value_name = "ROLE", help_heading = "Permissions")]
    roles: Vec<String>,
    /// An audience that it may have tokens for; may be repeated
    #[arg(long = "audience", value_name = "PATTERN", help_heading = "Permissions")]
    audiences: Vec<String>,
    /// A scope that it may have in tokens; may be repeated
    #[arg(long = "scope", value_name = "PATTERN", help_heading = "Permissions")]
    scopes: Vec<String>,
    /// A subject that it may have tokens about, besides itself; may be repeated
    #[arg(long = "subject", value_name = "PATTERN", help_heading = "Permissions")]
    subjects: Vec<String>,
    /// The name of an extra claim that it may have in tokens; may be repeated
    #[arg(long = "claim", value_name = "PATTERN", help_heading = "Permissions")]
    claims: Vec<String>,
    /// What an extra claim may be; repeated for the same NAME: one of these. NAME may be a JSON pointer
    #[arg(long = "claim-value", value_name = "NAME=PATTERN", value_parser = pair, help_heading = "Permissions")]
    claim_values: Vec<(String, String)>,
    /// An audience whose tokens it may verify and see; may be repeated
    #[arg(long = "verify-audience", value_name = "PATTERN", help_heading = "Permissions")]
    verify_audiences: Vec<String>,
    /// Another issuer whose tokens it may verify, besides the server's own; may be repeated
    #[arg(long = "verify-issuer", value_name = "PATTERN", help_heading = "Permissions")]
    verify_issuers: Vec<String>,
    /// The name of a user whom it may log in; may be repeated
    #[arg(long = "login-username", value_name = "PATTERN", help_heading = "Permissions")]
    login_usernames: Vec<String>,
    /// A subject whose tokens it may revoke, besides its own; * is every token there is; may be repeated
    #[arg(long = "revoke-subject", value_name = "PATTERN", help_heading = "Permissions")]
    revoke_subjects: Vec<String>,
    /// A client whose tokens it may revoke, besides its own; may be repeated
    #[arg(long = "revoke-client", value_name = "PATTERN", help_heading = "Permissions")]
    revoke_clients: Vec<String>,
    /// A subject whose tokens it may exchange; may be repeated
    #[arg(long = "exchange-subject", value_name = "PATTERN", help_heading = "Permissions")]
    exchange_subjects: Vec<String>,
    /// An audience of tokens that it may exchange, besides its own id; may be repeated
    #[arg(long = "exchange-audience", value_name = "PATTERN", help_heading = "Permissions")]
    exchange_audiences: Vec<String>,
    /// A trusted issuer whose tokens it may exchange; may be repeated
    #[arg(long = "exchange-issuer", value_name = "PATTERN", help_heading = "Permissions")]
    exchange_issuers: Vec<String>,
    /// A subject whose token it may present as actor token, besides its own; may be repeated
    #[arg(long = "exchange-actor", value_name = "PATTERN", help_heading = "Permissions")]
    exchange_actors: Vec<String>,
    /// A client that it may administer by its methods; may be repeated
    #[arg(long = "admin-client", value_name = "PATTERN", help_heading = "Permissions")]
    admin_clients: Vec<String>,
    /// Whether it may exchange a token without naming an actor [default: false]
    #[arg(long, value_name = "BOOL", help_heading = "Permissions")]
    impersonate: Option<bool>,
    /// The longest life of a token [default: 1h]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration, help_heading = "Permissions")]
    max_ttl: Option<Duration>,
    /// An audience of its tokens when it asks for none; may be repeated
    #[arg(long = "default-audience", value_name = "AUDIENCE", help_heading = "Tokens")]
    default_audiences: Vec<String>,
    /// The life of its tokens when it asks for none [default: 15m]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration, help_heading = "Tokens")]
    default_ttl: Option<Duration>,
    /// The type of its tokens: JWT or at+jwt [default: JWT]
    #[arg(long, value_name = "TYPE", help_heading = "Tokens")]
    token_type: Option<String>,
    /// The algorithm that signs its tokens [default: the server's]
    #[arg(long, value_name = "NAME", help_heading = "Tokens")]
    algorithm: Option<String>,
    /// A kind of credential that it may present: client_secret, mutual_tls, private_key_jwt or workload_identity; may be
    /// repeated [default: client_secret]
    #[arg(long = "auth-method", value_name = "METHOD", value_parser = auth_method, help_heading = "Authentication")]
    auth_methods: Vec<AuthenticationMethod>,
    /// For mutual_tls: a URI in its certificate, such as spiffe://example.org/orders; may be repeated
    #[arg(long = "certificate-uri", value_name = "URI", help_heading = "Authentication")]
    certificate_uris: Vec<String>,
    /// For mutual_tls: a DNS name in its certificate; may be repeated
    #[arg(long = "certificate-dns", value_name = "NAME", help_heading = "Authentication")]
    certificate_dns: Vec<String>,
    /// For private_key_jwt: a file here with the JWK set of its public keys, whose content is sent
    #[arg(long, value_name = "FILE", help_heading = "Authentication")]
    jwks_file: Option<PathBuf>,
    /// For private_key_jwt: the name of such a file in the server's own folder for them
    #[arg(long, value_name = "NAME", conflicts_with = "jwks_file", help_heading = "Authentication")]
    server_jwks_file: Option<String>,
    /// For workload_identity: a trusted issuer, an audience, and what claims must be; may be repeated
    #[arg(
        long = "workload-identity",
        value_name = "ISSUER,AUDIENCE,CLAIM=PATTERN[,…]",
        value_parser = workload_identity,
        help_heading = "Authentication"
    )]
    workload_identities: Vec<WorkloadIdentity>,
    /// Calls a second, in the long run [default: the server's]
    #[arg(long, value_name = "N", help_heading = "Limits")]
    calls_per_second: Option<i32>,
    /// Calls that are being served at once [default: the server's]
    #[arg(long, value_name = "N", help_heading = "Limits")]
    concurrent_calls: Option<i32>,
}

impl ClientFlags {
    /// The paths of the fields that are given.
    pub(super) fn paths(&self) -> Vec<String> {
        let given = [
            ("display_name", self.display_name.is_some()),
            ("default_audiences", !self.default_audiences.is_empty()),
            ("default_ttl", self.default_ttl.is_some()),
            ("token_type", self.token_type.is_some()),
            ("algorithm", self.algorithm.is_some()),
            ("authentication.methods", !self.auth_methods.is_empty()),
            ("authentication.certificate.uris", !self.certificate_uris.is_empty()),
            ("authentication.certificate.dns_names", !self.certificate_dns.is_empty()),
            // As a whole: one of the two takes the other's place.
            ("authentication.assertion_keys", self.jwks_file.is_some() || self.server_jwks_file.is_some()),
            ("authentication.workload_identities", !self.workload_identities.is_empty()),
            ("permissions.methods", !self.methods.is_empty()),
            ("permissions.audiences", !self.audiences.is_empty()),
            ("permissions.scopes", !self.scopes.is_empty()),
            ("permissions.subjects", !self.subjects.is_empty()),
            ("permissions.claims", !self.claims.is_empty()),
            ("permissions.max_ttl", self.max_ttl.is_some()),
            ("permissions.verify_audiences", !self.verify_audiences.is_empty()),
            ("permissions.claim_values", !self.claim_values.is_empty()),
            ("permissions.login_usernames", !self.login_usernames.is_empty()),
            ("permissions.revoke_subjects", !self.revoke_subjects.is_empty()),
            ("permissions.revoke_clients", !self.revoke_clients.is_empty()),
            ("permissions.exchange_subjects", !self.exchange_subjects.is_empty()),
            ("permissions.exchange_audiences", !self.exchange_audiences.is_empty()),
            ("permissions.exchange_issuers", !self.exchange_issuers.is_empty()),
            ("permissions.verify_issuers", !self.verify_issuers.is_empty()),
            ("permissions.exchange_actors", !self.exchange_actors.is_empty()),
            ("permissions.admin_clients", !self.admin_clients.is_empty()),
            ("permissions.impersonate", self.impersonate.is_some()),
            ("permissions.roles", !self.roles.is_empty()),
            ("limits.calls_per_second", self.calls_per_second.is_some()),
            ("limits.concurrent_calls", self.concurrent_calls.is_some()),
        ];
        given.into_iter().filter(|(_, given)| *given).map(|(path, _)| path.to_owned()).collect()
    }

    /// The client that is described.
    pub(super) fn client(self) -> Result<Client, Failure> {
        let jwks_json = match &self.jwks_file {
            Some(path) => fs::read_to_string(path).map_err(|error| {
                Failure::usage(format!("--jwks-file: {} cannot be read: {error}", path.display()))
            })?,
            None => String::new(),
        };
        name_skipped_keys(&jwks_json);
        Ok(Client {
            display_name: self.display_name.unwrap_or_default(),
            default_audiences: self.default_audiences,
            default_ttl: self.default_ttl.map(to_api),
            token_type: self.token_type.unwrap_or_default(),
            algorithm: self.algorithm.unwrap_or_default(),
            authentication: Some(Authentication {
                methods: self.auth_methods.into_iter().map(method_number).collect(),
                certificate: Some(CertificateNames {
                    uris: self.certificate_uris,
                    dns_names: self.certificate_dns,
                }),
                assertion_keys: Some(AssertionKeys {
                    jwks_json,
                    jwks_file: self.server_jwks_file.unwrap_or_default(),
                }),
                workload_identities: self.workload_identities,
                ..Authentication::default()
            }),
            permissions: Some(Permissions {
                methods: self.methods,
                audiences: self.audiences,
                scopes: self.scopes,
                subjects: self.subjects,
                claims: self.claims,
                max_ttl: self.max_ttl.map(to_api),
                verify_audiences: self.verify_audiences,
                claim_values: conditions(self.claim_values),
                login_usernames: self.login_usernames,
                revoke_subjects: self.revoke_subjects,
                revoke_clients: self.revoke_clients,
                exchange_subjects: self.exchange_subjects,
                exchange_audiences: self.exchange_audiences,
                exchange_issuers: self.exchange_issuers,
                impersonate: self.impersonate.unwrap_or_default(),
                roles: self.roles,
                verify_issuers: self.verify_issuers,
                exchange_actors: self.exchange_actors,
                admin_clients: self.admin_clients,
            }),
            limits: Some(ClientLimits {
                calls_per_second: self.calls_per_second.unwrap_or_default(),
                concurrent_calls: self.concurrent_calls.unwrap_or_default(),
            }),
            ..Client::default()
        })
    }
}

/// The values of each claim together, claims in the order in which they were first named.
fn conditions(pairs: Vec<(String, String)>) -> Vec<ClaimCondition> {
    let mut conditions: Vec<ClaimCondition> = Vec::new();
    for (claim, value) in pairs {
        match conditions.iter_mut().find(|condition| condition.claim == claim) {
            Some(condition) => condition.values.push(value),
            None => conditions.push(ClaimCondition { claim, values: vec![value] }),
        }
    }
    conditions
}

fn pair(text: &str) -> Result<(String, String), &'static str> {
    let pair = text.split_once('=').filter(|(name, _)| !name.is_empty());
    pair.map(|(name, value)| (name.to_owned(), value.to_owned())).ok_or("must be NAME=PATTERN")
}

fn auth_method(text: &str) -> Result<AuthenticationMethod, UnknownAuthenticationMethod> {
    text.parse()
}

fn workload_identity(text: &str) -> Result<WorkloadIdentity, &'static str> {
    const WANTED: &str = "must be ISSUER,AUDIENCE,CLAIM=PATTERN, with further claims after commas";
    let mut parts = text.split(',');
    let (issuer, audience) = parts.next().zip(parts.next()).ok_or(WANTED)?;
    let claims: Vec<_> = parts.map(pair).collect::<Result<_, _>>().map_err(|_| WANTED)?;
    if claims.is_empty() {
        return Err(WANTED);
    }
    let (issuer, audience) = (issuer.to_owned(), audience.to_owned());
    Ok(WorkloadIdentity { issuer, audience, conditions: conditions(claims) })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::{conditions, pair, workload_identity};

    #[test]
    fn values_of_one_claim_come_together() {
        let pairs = ["a=1", "b=x=y", "a=2"].map(|text| pair(text).unwrap()).to_vec();
        let read: Vec<_> =
            conditions(pairs).into_iter().map(|condition| (condition.claim, condition.values)).collect();
        let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
        assert_eq!(read, [("a".to_owned(), texts(&["1", "2"])), ("b".to_owned(), texts(&["x=y"]))]);
        assert!(pair("a").is_err() && pair("=a").is_err());
    }

    #[test]
    fn workload_identities_have_an_issuer_an_audience_and_conditions() {
        let read =
            workload_identity("https://k8s,tokend,sub=system:*,/kubernetes.io/namespace=shop").unwrap();
        assert_eq!((read.issuer.as_str(), read.audience.as_str()), ("https://k8s", "tokend"));
        let claims: Vec<_> = read.conditions.iter().map(|condition| condition.claim.as_str()).collect();
        assert_eq!(claims, ["sub", "/kubernetes.io/namespace"]);
        for wrong in ["", "https://k8s", "https://k8s,tokend", "https://k8s,tokend,sub"] {
            assert!(workload_identity(wrong).is_err(), "{wrong}");
        }
    }
}
