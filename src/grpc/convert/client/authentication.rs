//! The authentication methods of a client.

use zeroize::Zeroize as _;

use super::{claim_condition, names};
use crate::{
    grpc::convert::scalar,
    jose,
    model::{
        AssertionKeys, Authentication, AuthenticationMethod, CertificateNames, UnixIds, Violations,
        WorkloadIdentity,
    },
    proto::v1,
};

/// The most workload identities of a client.
const MAX_IDENTITIES: usize = 16;

/// Reads the authentication methods of a client. Each method needs its parameters; parameters of a method that is not named are rejected,
/// because they would have no effect.
pub(super) fn read(message: v1::Authentication, violations: &mut Violations) -> Authentication {
    let methods = methods(&message.methods, violations);
    let certificate = names::certificate(message.certificate.unwrap_or_default(), violations);
    let (keys_given, assertion_keys) = assertion_keys(message.assertion_keys.unwrap_or_default(), violations);
    let identities_given = !message.workload_identities.is_empty();
    let workload_identities = workload_identities(message.workload_identities, violations);
    let unix_peer = names::unix_ids(message.unix_peer.unwrap_or_default(), violations);
    let parameters = [
        (AuthenticationMethod::MutualTls, "certificate", !certificate.is_empty()),
        (AuthenticationMethod::PrivateKeyJwt, "assertion_keys", keys_given),
        (AuthenticationMethod::WorkloadIdentity, "workload_identities", identities_given),
        (AuthenticationMethod::UnixPeer, "unix_peer", !unix_peer.is_empty()),
    ];
    for (method, field, given) in parameters {
        let named = proto_name(method);
        let description = match (methods.contains(&method), given) {
            (true, false) => format!("must be given, because `{named}` is among `authentication.methods`"),
            (false, true) => format!("must not be given unless `{named}` is among `authentication.methods`"),
            (true, true) | (false, false) => continue,
        };
        violations.add(format!("authentication.{field}"), description);
    }
    Authentication { methods, certificate, assertion_keys, workload_identities, unix_peer }
}

/// Reads the set of methods, in the order of [`AuthenticationMethod::ALL`].
fn methods(numbers: &[i32], violations: &mut Violations) -> Vec<AuthenticationMethod> {
    if numbers.is_empty() {
        return Authentication::default().methods;
    }
    let named = |method: &AuthenticationMethod| numbers.contains(&proto_method(*method).into());
    let known = |number: &i32| {
        AuthenticationMethod::ALL.iter().any(|method| *number == i32::from(proto_method(*method)))
    };
    if let Some(index) = numbers.iter().position(|number| !known(number)) {
        let description =
            "must be CLIENT_SECRET, MUTUAL_TLS, PRIVATE_KEY_JWT, WORKLOAD_IDENTITY or UNIX_PEER";
        violations.add(format!("authentication.methods[{index}]"), description);
    }
    AuthenticationMethod::ALL.into_iter().filter(named).collect()
}

/// Reads the keys. The first value tells whether the request has any.
fn assertion_keys(
    mut message: v1::AssertionKeys,
    violations: &mut Violations,
) -> (bool, Option<AssertionKeys>) {
    const FIELD: &str = "authentication.assertion_keys";
    match (message.jwks_json.is_empty(), message.jwks_file.is_empty()) {
        (true, true) => (false, None),
        (false, true) => {
            if !check_public_set(&message.jwks_json, &format!("{FIELD}.jwks_json"), violations) {
                // The text may hold private keys.
                message.jwks_json.zeroize();
            }
            (true, Some(AssertionKeys::JwksJson(message.jwks_json)))
        }
        (true, false) => {
            if !names::is_plain_file_name(&message.jwks_file) {
                let description =
                    "must be the plain name of a file, without folders, that does not begin with a dot";
                violations.add(format!("{FIELD}.jwks_file"), description);
            }
            (true, Some(AssertionKeys::JwksFile(message.jwks_file)))
        }
        (false, false) => {
            violations.add(FIELD, "must hold one of `jwks_json` and `jwks_file`, not both");
            message.jwks_json.zeroize();
            (true, None)
        }
    }
}

/// Whether `text` is a JWK set (RFC 7517 section 5) of usable public keys. The violations do not quote it.
fn check_public_set(text: &str, field: &str, violations: &mut Violations) -> bool {
    let keys = match jose::import(jose::Source::Jwk(text), None) {
        Ok(jose::Imported { keys, skipped }) => {
            for key in skipped {
                tracing::warn!(%key, "a key of a client's JWK set cannot be used, and is skipped");
            }
            keys
        }
        Err(error) => {
            let path = if error.path.is_empty() { String::new() } else { format!(".{}", error.path) };
            violations.add(format!("{field}{path}"), error.problem.to_string());
            return false;
        }
    };
    if let Some(index) = keys.iter().position(|key| key.private.is_some() || key.public.is_none()) {
        let description = "must be a public key: private halves and shared secrets stay with the client";
        violations.add(format!("{field}.keys[{index}]"), description);
        return false;
    }
    let is_set = jose::object(text.trim_start_matches('\u{feff}').as_bytes())
        .is_ok_and(|members| members.contains_key("keys"));
    if !is_set {
        violations.add(field, "must be a JWK set: an object with the list `keys`");
    }
    is_set
}

fn workload_identities(
    messages: Vec<v1::WorkloadIdentity>,
    violations: &mut Violations,
) -> Vec<WorkloadIdentity> {
    const FIELD: &str = "authentication.workload_identities";
    if messages.len() > MAX_IDENTITIES {
        violations.add(FIELD, format!("must hold at most {MAX_IDENTITIES} identities"));
        return Vec::new();
    }
    let numbered = messages.into_iter().enumerate();
    numbered
        .map(|(index, message)| {
            let field = format!("{FIELD}[{index}]");
            scalar::check_text(&message.issuer, format_args!("{field}.issuer"), violations);
            scalar::check_text(&message.audience, format_args!("{field}.audience"), violations);
            let conditions =
                claim_condition::conditions(message.conditions, &format!("{field}.conditions"), violations);
            WorkloadIdentity { issuer: message.issuer, audience: message.audience, conditions }
        })
        .collect()
}

/// Converts the authentication methods, without the client's secrets.
pub(super) fn message(authentication: Authentication) -> v1::Authentication {
    let Authentication { methods, certificate, assertion_keys, workload_identities, unix_peer } =
        authentication;
    let certificate = Some(certificate).filter(|names| !names.is_empty());
    let unix_peer = Some(unix_peer).filter(|ids| !ids.is_empty());
    v1::Authentication {
        client_secrets: Vec::new(),
        methods: methods.into_iter().map(|method| proto_method(method).into()).collect(),
        certificate: certificate
            .map(|CertificateNames { uris, dns_names }| v1::CertificateNames { uris, dns_names }),
        assertion_keys: assertion_keys.map(|keys| match keys {
            AssertionKeys::JwksJson(jwks_json) => v1::AssertionKeys { jwks_json, ..Default::default() },
            AssertionKeys::JwksFile(jwks_file) => v1::AssertionKeys { jwks_file, ..Default::default() },
        }),
        workload_identities: workload_identities.into_iter().map(identity_message).collect(),
        unix_peer: unix_peer.map(|UnixIds { uids, gids }| v1::UnixIds { uids, gids }),
    }
}

fn identity_message(identity: WorkloadIdentity) -> v1::WorkloadIdentity {
    v1::WorkloadIdentity {
        issuer: identity.issuer,
        audience: identity.audience,
        conditions: identity.conditions.into_iter().map(claim_condition::message).collect(),
    }
}

const fn proto_method(method: AuthenticationMethod) -> v1::AuthenticationMethod {
    match method {
        AuthenticationMethod::ClientSecret => v1::AuthenticationMethod::ClientSecret,
        AuthenticationMethod::MutualTls => v1::AuthenticationMethod::MutualTls,
        AuthenticationMethod::PrivateKeyJwt => v1::AuthenticationMethod::PrivateKeyJwt,
        AuthenticationMethod::WorkloadIdentity => v1::AuthenticationMethod::WorkloadIdentity,
        AuthenticationMethod::UnixPeer => v1::AuthenticationMethod::UnixPeer,
    }
}

const fn proto_name(method: AuthenticationMethod) -> &'static str {
    match method {
        AuthenticationMethod::ClientSecret => "CLIENT_SECRET",
        AuthenticationMethod::MutualTls => "MUTUAL_TLS",
        AuthenticationMethod::PrivateKeyJwt => "PRIVATE_KEY_JWT",
        AuthenticationMethod::WorkloadIdentity => "WORKLOAD_IDENTITY",
        AuthenticationMethod::UnixPeer => "UNIX_PEER",
    }
}
