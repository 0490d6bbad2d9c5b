//! ClientService's messages.

use std::time::Duration;

use super::{Checked, scalar};
use crate::{
    model::{
        Authentication, Client, ClientId, ClientLimits, ClientRecord, ClientSettings, Pattern, Permissions,
        SecretRecord, Ttl, Violations, any_match,
    },
    proto::v1,
};

/// The longest list of patterns.
const MOST_PATTERNS: usize = 64;
/// The longest display name, in characters.
const LONGEST_NAME: usize = 128;
/// The longest life that a client may be allowed: a year.
const LONGEST_TTL: Ttl = Ttl::from_minutes(365 * 24 * 60);
/// How long the former secrets stay valid when a request does not say.
const DEFAULT_OVERLAP: Duration = Duration::from_secs(24 * 60 * 60);
/// The longest that they may.
const LONGEST_OVERLAP: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// Reads a client's id.
pub(in crate::grpc) fn client_id(text: String, violations: &mut Violations) -> Option<ClientId> {
    violations.check("client_id", ClientId::parse(text))
}

/// Reads a client's id, or nothing.
pub(in crate::grpc) fn optional_client_id(text: &str, violations: &mut Violations) -> Option<ClientId> {
    if text.is_empty() { None } else { violations.check("client.client_id", ClientId::parse(text)) }
}

/// How long the former secrets stay valid.
pub(in crate::grpc) fn overlap(
    message: Option<prost_types::Duration>,
    violations: &mut Violations,
) -> Duration {
    let Some(message) = message else { return DEFAULT_OVERLAP };
    match scalar::duration(message).filter(|overlap| *overlap <= LONGEST_OVERLAP) {
        Some(overlap) => overlap,
        None => {
            violations.add("overlap", "must be a duration from zero to 90 days");
            DEFAULT_OVERLAP
        }
    }
}

/// Reads what operators decide about a client.
pub(in crate::grpc) fn client_settings(message: v1::Client) -> Checked<ClientSettings> {
    let mut violations = Violations::default();
    if message.display_name.chars().count() > LONGEST_NAME
        || message.display_name.chars().any(char::is_control)
    {
        violations.add("display_name", "must be at most 128 characters without control characters");
    }
    let permissions = permissions(message.permissions.unwrap_or_default(), &mut violations);
    scalar::check_audiences(&message.default_audiences, &mut violations);
    for (index, audience) in message.default_audiences.iter().enumerate() {
        if !any_match(&permissions.audiences, audience) {
            let description = "must be among `permissions.audiences`";
            violations.add(format!("default_audiences[{index}]"), description);
        }
    }
    let default_ttl = scalar::ttl(message.default_ttl, "default_ttl", &mut violations);
    if default_ttl.is_some_and(|ttl| ttl > permissions.max_ttl) {
        violations.add("default_ttl", "must not be longer than `permissions.max_ttl`");
    }
    let token_type = Some(message.token_type).filter(|text| !text.is_empty());
    let token_type = token_type.and_then(|text| violations.check("token_type", text.parse()));
    let algorithm = Some(message.algorithm).filter(|text| !text.is_empty());
    let algorithm = algorithm.and_then(|text| violations.check("algorithm", text.parse()));
    let value = ClientSettings {
        display_name: message.display_name,
        disabled: message.disabled,
        default_audiences: message.default_audiences,
        default_ttl,
        token_type: token_type.unwrap_or_default(),
        algorithm,
        permissions,
        authentication: Authentication::default(),
        limits: ClientLimits::default(),
    };
    Checked { value, violations: violations.prefixed("client.") }
}

fn permissions(message: v1::Permissions, violations: &mut Violations) -> Permissions {
    let max_ttl = scalar::ttl(message.max_ttl, "permissions.max_ttl", violations);
    if max_ttl.is_some_and(|ttl| ttl > LONGEST_TTL) {
        violations.add("permissions.max_ttl", "must be at most 365 days");
    }
    Permissions {
        methods: patterns(message.methods, "permissions.methods", violations),
        audiences: patterns(message.audiences, "permissions.audiences", violations),
        scopes: patterns(message.scopes, "permissions.scopes", violations),
        subjects: patterns(message.subjects, "permissions.subjects", violations),
        claims: patterns(message.claims, "permissions.claims", violations),
        max_ttl: max_ttl.unwrap_or(Permissions::DEFAULT_MAX_TTL),
        verify_audiences: patterns(message.verify_audiences, "permissions.verify_audiences", violations),
        ..Permissions::default()
    }
}

fn patterns(texts: Vec<String>, field: &str, violations: &mut Violations) -> Vec<Pattern> {
    if texts.len() > MOST_PATTERNS {
        violations.add(field, format!("must hold at most {MOST_PATTERNS} patterns"));
        return Vec::new();
    }
    let numbered = texts.into_iter().enumerate();
    numbered
        .filter_map(|(index, text)| violations.check(&format!("{field}[{index}]"), Pattern::parse(text)))
        .collect()
}

/// A client as a message.
pub(in crate::grpc) fn client_message(record: ClientRecord) -> v1::Client {
    let ClientRecord { client: Client { client_id, settings, create_time, update_time, revision }, secrets } =
        record;
    let texts = |patterns: Vec<Pattern>| patterns.into_iter().map(String::from).collect();
    v1::Client {
        client_id: client_id.into(),
        default_ttl: Some(scalar::duration_message(settings.effective_default_ttl().into())),
        display_name: settings.display_name,
        disabled: settings.disabled,
        default_audiences: settings.default_audiences,
        token_type: settings.token_type.name().to_owned(),
        algorithm: settings.algorithm.map(|algorithm| algorithm.name().to_owned()).unwrap_or_default(),
        etag: format!("\"{revision}\""),
        authentication: Some(v1::Authentication {
            client_secrets: secrets.into_iter().map(secret_message).collect(),
            ..v1::Authentication::default()
        }),
        permissions: Some(v1::Permissions {
            methods: texts(settings.permissions.methods),
            audiences: texts(settings.permissions.audiences),
            scopes: texts(settings.permissions.scopes),
            subjects: texts(settings.permissions.subjects),
            claims: texts(settings.permissions.claims),
            max_ttl: Some(scalar::duration_message(settings.permissions.max_ttl.into())),
            verify_audiences: texts(settings.permissions.verify_audiences),
            ..v1::Permissions::default()
        }),
        create_time: Some(scalar::instant_message(create_time)),
        update_time: Some(scalar::instant_message(update_time)),
        limits: None,
    }
}

fn secret_message(secret: SecretRecord) -> v1::ClientSecret {
    v1::ClientSecret {
        secret_id: secret.secret_id,
        create_time: Some(scalar::instant_message(secret.create_time)),
        expire_time: secret.expire_time.map(scalar::instant_message),
    }
}
