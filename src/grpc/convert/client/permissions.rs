//! The permissions of a client.

use super::claim_condition;
use crate::{
    grpc::convert::scalar,
    model::{Method, Pattern, Permissions, Role, Ttl, Violations},
    proto::v1,
};

/// The longest list of patterns.
const MAX_PATTERNS: usize = 64;
/// The longest token lifetime that a client may be allowed: a year.
const MAX_TTL: Ttl = Ttl::from_minutes(365 * 24 * 60);

/// Reads permissions.
pub(super) fn read(message: v1::Permissions, violations: &mut Violations) -> Permissions {
    let max_ttl = scalar::ttl(message.max_ttl, "permissions.max_ttl", violations);
    if max_ttl.is_some_and(|ttl| ttl > MAX_TTL) {
        violations.add("permissions.max_ttl", "must be at most 365 days");
    }
    known_methods(&message.methods, violations);
    let mut list = |texts, name| patterns(texts, &format!("permissions.{name}"), MAX_PATTERNS, violations);
    let permissions = Permissions {
        methods: list(message.methods, "methods"),
        audiences: list(message.audiences, "audiences"),
        scopes: list(message.scopes, "scopes"),
        subjects: list(message.subjects, "subjects"),
        claims: list(message.claims, "claims"),
        max_ttl: max_ttl.unwrap_or(Permissions::DEFAULT_MAX_TTL),
        verify_audiences: list(message.verify_audiences, "verify_audiences"),
        login_usernames: list(message.login_usernames, "login_usernames"),
        revoke_subjects: list(message.revoke_subjects, "revoke_subjects"),
        revoke_clients: list(message.revoke_clients, "revoke_clients"),
        exchange_subjects: list(message.exchange_subjects, "exchange_subjects"),
        exchange_audiences: list(message.exchange_audiences, "exchange_audiences"),
        exchange_issuers: list(message.exchange_issuers, "exchange_issuers"),
        impersonate: message.impersonate,
        claim_values: Vec::new(),
        verify_issuers: list(message.verify_issuers, "verify_issuers"),
        exchange_actors: list(message.exchange_actors, "exchange_actors"),
        admin_clients: list(message.admin_clients, "admin_clients"),
        roles: roles(&message.roles, violations),
    };
    let claim_values = claim_condition::values(message.claim_values, &permissions.claims, violations);
    Permissions { claim_values, ..permissions }
}

/// Rejects a pattern that matches no method: it is a mistake, and would allow nothing.
fn known_methods(texts: &[String], violations: &mut Violations) {
    for (index, text) in texts.iter().enumerate().take(MAX_PATTERNS) {
        let is_of = |pattern: &Pattern| Method::ALL.into_iter().any(|method| pattern.matches(method.name()));
        if Pattern::parse(text.clone()).is_ok_and(|pattern| !is_of(&pattern)) {
            let description = "matches no method: they are written like `TokenService/IssueToken`";
            violations.add(format!("permissions.methods[{index}]"), description);
        }
    }
}

/// Reads at most `max` patterns.
pub(super) fn patterns(
    texts: Vec<String>,
    field: &str,
    max: usize,
    violations: &mut Violations,
) -> Vec<Pattern> {
    if texts.len() > max {
        violations.add(field, format!("must hold at most {max} patterns"));
        return Vec::new();
    }
    let numbered = texts.into_iter().enumerate();
    numbered
        .filter_map(|(index, text)| violations.check(&format!("{field}[{index}]"), Pattern::parse(text)))
        .collect()
}

/// Converts patterns.
pub(super) fn texts(patterns: Vec<Pattern>) -> Vec<String> {
    patterns.into_iter().map(String::from).collect()
}

/// Reads the set of roles, in the order of [`Role::ALL`].
fn roles(names: &[String], violations: &mut Violations) -> Vec<Role> {
    const FIELD: &str = "permissions.roles";
    if names.len() > Role::ALL.len() {
        violations.add(FIELD, format!("must hold at most {} roles", Role::ALL.len()));
        return Vec::new();
    }
    let numbered = names.iter().enumerate();
    let named: Vec<Role> = numbered
        .filter_map(|(index, name)| violations.check(&format!("{FIELD}[{index}]"), name.parse::<Role>()))
        .collect();
    Role::ALL.into_iter().filter(|role| named.contains(role)).collect()
}

/// Converts permissions.
pub(super) fn message(permissions: Permissions) -> v1::Permissions {
    v1::Permissions {
        methods: texts(permissions.methods),
        audiences: texts(permissions.audiences),
        scopes: texts(permissions.scopes),
        subjects: texts(permissions.subjects),
        claims: texts(permissions.claims),
        max_ttl: Some(scalar::duration_message(permissions.max_ttl.into())),
        verify_audiences: texts(permissions.verify_audiences),
        claim_values: permissions.claim_values.into_iter().map(claim_condition::message).collect(),
        login_usernames: texts(permissions.login_usernames),
        revoke_subjects: texts(permissions.revoke_subjects),
        revoke_clients: texts(permissions.revoke_clients),
        exchange_subjects: texts(permissions.exchange_subjects),
        exchange_audiences: texts(permissions.exchange_audiences),
        exchange_issuers: texts(permissions.exchange_issuers),
        impersonate: permissions.impersonate,
        roles: permissions.roles.into_iter().map(|role| role.name().to_owned()).collect(),
        verify_issuers: texts(permissions.verify_issuers),
        exchange_actors: texts(permissions.exchange_actors),
        admin_clients: texts(permissions.admin_clients),
    }
}
