//! The fields of a client as flags. The structs have the field names of the API, so that what is given is itself the
//! document of the client, without the fields that are not given.

use std::fs;

use clap::Args;
use serde::{Deserialize as _, Serialize};
use serde_json::{Value, json};

use crate::{
    cli::{
        error::CliError,
        output::{escaped, message},
    },
    jose::{Source, import},
    model::AuthenticationMethod,
    proto::v1::{ClaimCondition, Client, WorkloadIdentity},
};

#[derive(Args, Serialize)]
pub(super) struct ClientFlags {
    /// A name for people
    #[arg(long, value_name = "TEXT")]
    display_name: Option<String>,
    #[command(flatten)]
    permissions: PermissionFlags,
    #[command(flatten)]
    #[serde(flatten)]
    tokens: TokenFlags,
    #[command(flatten)]
    authentication: AuthenticationFlags,
    #[command(flatten)]
    limits: LimitFlags,
}

#[derive(Args, Serialize)]
#[command(next_help_heading = "Permissions")]
struct PermissionFlags {
    /// Allow a method, such as TokenService/IssueToken or ClientService/*; may be repeated
    #[arg(long = "method", value_name = "PATTERN")]
    methods: Option<Vec<String>>,
    /// Allow the methods of an operator: viewer, client-admin, user-admin, key-admin,
    /// session-admin or admin; may be repeated
    #[arg(long = "role", value_name = "ROLE")]
    roles: Option<Vec<String>>,
    /// Allow tokens for an audience; may be repeated
    #[arg(long = "audience", value_name = "PATTERN")]
    audiences: Option<Vec<String>>,
    /// Allow a scope in tokens; may be repeated
    #[arg(long = "scope", value_name = "PATTERN")]
    scopes: Option<Vec<String>>,
    /// Allow tokens for a subject other than the client itself; may be repeated
    #[arg(long = "subject", value_name = "PATTERN")]
    subjects: Option<Vec<String>>,
    /// Allow an additional claim, by name, in tokens; may be repeated
    #[arg(long = "claim", value_name = "PATTERN")]
    claims: Option<Vec<String>>,
    /// Allow a value of an additional claim; repeat it with the same NAME to allow several. NAME may be a JSON pointer
    #[arg(long = "claim-value", value_name = "NAME=PATTERN", value_parser = pair)]
    #[serde(serialize_with = "claim_conditions")]
    claim_values: Option<Vec<(String, String)>>,
    /// Allow the client to verify and introspect tokens for an audience; may be repeated
    #[arg(long = "verify-audience", value_name = "PATTERN")]
    verify_audiences: Option<Vec<String>>,
    /// Allow the client to verify tokens of another issuer; may be repeated
    #[arg(long = "verify-issuer", value_name = "PATTERN")]
    verify_issuers: Option<Vec<String>>,
    /// Allow the client to log in users with this name; may be repeated
    #[arg(long = "login-username", value_name = "PATTERN")]
    login_usernames: Option<Vec<String>>,
    /// Allow the client to revoke the tokens of a subject other than itself; * allows all tokens; may be repeated
    #[arg(long = "revoke-subject", value_name = "PATTERN")]
    revoke_subjects: Option<Vec<String>>,
    /// Allow the client to revoke the tokens of another client; may be repeated
    #[arg(long = "revoke-client", value_name = "PATTERN")]
    revoke_clients: Option<Vec<String>>,
    /// Allow the client to exchange the tokens of a subject; may be repeated
    #[arg(long = "exchange-subject", value_name = "PATTERN")]
    exchange_subjects: Option<Vec<String>>,
    /// Allow the client to exchange tokens for an audience other than its own id; may be repeated
    #[arg(long = "exchange-audience", value_name = "PATTERN")]
    exchange_audiences: Option<Vec<String>>,
    /// Allow the client to exchange tokens of a trusted issuer; may be repeated
    #[arg(long = "exchange-issuer", value_name = "PATTERN")]
    exchange_issuers: Option<Vec<String>>,
    /// Allow actor tokens of a subject other than the client itself; may be repeated
    #[arg(long = "exchange-actor", value_name = "PATTERN")]
    exchange_actors: Option<Vec<String>>,
    /// Allow the client to administer another client; may be repeated
    #[arg(long = "admin-client", value_name = "PATTERN")]
    admin_clients: Option<Vec<String>>,
    /// Allow the client to exchange a token without an actor token [default: false]
    #[arg(long, value_name = "BOOL")]
    impersonate: Option<bool>,
    /// Set the longest token lifetime [default: 1h]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    max_ttl: Option<String>,
}

#[derive(Args, Serialize)]
#[command(next_help_heading = "Tokens")]
struct TokenFlags {
    /// Set an audience of tokens that are requested without one; may be repeated
    #[arg(long = "default-audience", value_name = "AUDIENCE")]
    default_audiences: Option<Vec<String>>,
    /// Set the lifetime of tokens that are requested without one [default: 15m]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    default_ttl: Option<String>,
    /// Set the token type: JWT or at+jwt [default: JWT]
    #[arg(long, value_name = "TYPE")]
    token_type: Option<String>,
    /// Set the algorithm that signs the client's tokens [default: the server's]
    #[arg(long, value_name = "NAME")]
    algorithm: Option<String>,
}

#[derive(Args, Serialize)]
#[command(next_help_heading = "Authentication")]
struct AuthenticationFlags {
    /// Allow a type of credential: client_secret, mutual_tls, private_key_jwt, workload_identity or unix_peer; may
    /// be repeated [default: client_secret]
    #[arg(id = "auth_methods", long = "auth-method", value_name = "METHOD", value_parser = auth_method)]
    methods: Option<Vec<String>>,
    #[command(flatten)]
    certificate: CertificateFlags,
    #[command(flatten)]
    assertion_keys: AssertionKeyFlags,
    /// For workload_identity: require an issuer, an audience, and values of claims; may be repeated
    #[arg(
        long = "workload-identity",
        value_name = "ISSUER,AUDIENCE,CLAIM=PATTERN[,…]",
        value_parser = workload_identity
    )]
    workload_identities: Option<Vec<WorkloadIdentity>>,
    #[command(flatten)]
    unix_peer: UnixPeerFlags,
}

#[derive(Args, Serialize)]
struct UnixPeerFlags {
    /// For unix_peer: accept processes of a user, by its number, on the Unix socket; may be repeated
    #[arg(long = "unix-uid", value_name = "UID")]
    uids: Option<Vec<u32>>,
    /// For unix_peer: accept processes whose group has this number; may be repeated
    #[arg(long = "unix-gid", value_name = "GID")]
    gids: Option<Vec<u32>>,
}

#[derive(Args, Serialize)]
struct CertificateFlags {
    /// For mutual_tls: accept a URI in the certificate, such as spiffe://example.org/orders; may be repeated
    #[arg(long = "certificate-uri", value_name = "URI")]
    uris: Option<Vec<String>>,
    /// For mutual_tls: accept a DNS name in the certificate; may be repeated
    #[arg(long = "certificate-dns", value_name = "NAME")]
    dns_names: Option<Vec<String>>,
}

#[derive(Args, Serialize)]
struct AssertionKeyFlags {
    /// For private_key_jwt: send the JWK set of the client's public keys in this file
    #[arg(long = "jwks-file", value_name = "FILE", value_parser = content_of)]
    jwks_json: Option<String>,
    /// For private_key_jwt: name such a file in the server's folder for JWK sets
    #[arg(long = "server-jwks-file", value_name = "NAME", conflicts_with = "jwks_json")]
    jwks_file: Option<String>,
}

#[derive(Args, Serialize)]
#[command(next_help_heading = "Limits")]
struct LimitFlags {
    /// Limit the calls per second, on average [default: the server's]
    #[arg(long, value_name = "N")]
    calls_per_second: Option<i32>,
    /// Limit the calls in flight [default: the server's]
    #[arg(long, value_name = "N")]
    concurrent_calls: Option<i32>,
}

impl ClientFlags {
    /// The document of the client with the given fields only, and their paths.
    pub(super) fn document(&self) -> Result<(Value, Vec<String>), CliError> {
        let mut document = serde_json::to_value(self).map_err(|error| CliError::usage(error.to_string()))?;
        let mut paths = Vec::new();
        keep_given(&mut document, "", &mut paths);
        Ok((document, paths))
    }

    /// The client with the given fields.
    pub(super) fn client(&self) -> Result<Client, CliError> {
        client(self.document()?.0)
    }
}

/// Reads a client from a document of flags.
pub(super) fn client(document: Value) -> Result<Client, CliError> {
    let client = Client::deserialize(document).map_err(|error| CliError::usage(error.to_string()))?;
    let keys = client.authentication.as_ref().and_then(|known| known.assertion_keys.as_ref());
    let jwks_json = keys.map(|keys| keys.jwks_json.as_str()).unwrap_or_default();
    // The server rejects a set that is wrong as a whole.
    for key in import(Source::Jwk(jwks_json), None).iter().flat_map(|imported| &imported.skipped) {
        message(&escaped(&format!("skipped: {key}")));
    }
    Ok(client)
}

/// Removes the fields that are not given, and collects the paths of the others.
fn keep_given(document: &mut Value, path: &str, paths: &mut Vec<String>) {
    // As a whole, because one of its two fields replaces the other.
    const WHOLE: &str = "authentication.assertion_keys";
    let Value::Object(members) = document else { return };
    members.retain(|name, value| {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        match value {
            Value::Null => return false,
            Value::Object(_) if path == WHOLE => keep_given(value, &path, &mut Vec::new()),
            Value::Object(_) => {
                keep_given(value, &path, paths);
                return true;
            }
            _ => {}
        }
        let is_given = *value != json!({});
        paths.extend(is_given.then_some(path));
        is_given
    });
}

fn claim_conditions<S: serde::Serializer>(
    pairs: &Option<Vec<(String, String)>>,
    to: S,
) -> Result<S::Ok, S::Error> {
    pairs.clone().map(conditions).serialize(to)
}

/// Groups the values by claim, in the order in which the claims first appear.
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

fn duration(text: &str) -> Result<String, humantime::DurationError> {
    humantime::parse_duration(text).map(|_| text.to_owned())
}

fn auth_method(text: &str) -> Result<String, String> {
    text.parse::<AuthenticationMethod>().map(|_| text.to_owned()).map_err(|error| error.to_string())
}

fn content_of(path: &str) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{path} cannot be read: {error}"))
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
    fn values_are_grouped_by_claim() {
        let pairs = ["a=1", "b=x=y", "a=2"].map(|text| pair(text).unwrap()).to_vec();
        let read: Vec<_> =
            conditions(pairs).into_iter().map(|condition| (condition.claim, condition.values)).collect();
        let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
        assert_eq!(read, [("a".to_owned(), texts(&["1", "2"])), ("b".to_owned(), texts(&["x=y"]))]);
        assert!(pair("a").is_err() && pair("=a").is_err());
    }

    #[test]
    fn a_workload_identity_has_an_issuer_an_audience_and_conditions() {
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
