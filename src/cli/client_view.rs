//! Clients for people and for programs.

use serde_json::{Value, json};

use super::{
    output::plain,
    table::{row, table},
    time_text::{duration, timestamp},
};
use crate::proto::v1::{
    Authentication, AuthenticationMethod, ClaimCondition, Client, ClientSecret, WorkloadIdentity,
};

/// A client as JSON, its fields named as in the API. Each is there, so that programs find it.
pub(super) fn document(client: &Client) -> Value {
    let permissions = client.permissions.clone().unwrap_or_default();
    let limits = client.limits.unwrap_or_default();
    json!({
        "client_id": client.client_id,
        "display_name": client.display_name,
        "disabled": client.disabled,
        "default_audiences": client.default_audiences,
        "default_ttl": client.default_ttl.map(duration),
        "token_type": client.token_type,
        "algorithm": client.algorithm,
        "etag": client.etag,
        "authentication": authentication_document(&client.authentication.clone().unwrap_or_default()),
        "permissions": {
            "methods": permissions.methods,
            "audiences": permissions.audiences,
            "scopes": permissions.scopes,
            "subjects": permissions.subjects,
            "claims": permissions.claims,
            "max_ttl": permissions.max_ttl.map(duration),
            "verify_audiences": permissions.verify_audiences,
            "claim_values": condition_documents(&permissions.claim_values),
            "login_usernames": permissions.login_usernames,
            "revoke_subjects": permissions.revoke_subjects,
            "revoke_clients": permissions.revoke_clients,
            "exchange_subjects": permissions.exchange_subjects,
            "exchange_audiences": permissions.exchange_audiences,
            "exchange_issuers": permissions.exchange_issuers,
            "verify_issuers": permissions.verify_issuers,
            "exchange_actors": permissions.exchange_actors,
            "admin_clients": permissions.admin_clients,
            "impersonate": permissions.impersonate,
            "roles": permissions.roles,
        },
        "limits": {
            "calls_per_second": limits.calls_per_second,
            "concurrent_calls": limits.concurrent_calls,
        },
        "create_time": client.create_time.map(timestamp),
        "update_time": client.update_time.map(timestamp),
    })
}

fn authentication_document(known: &Authentication) -> Value {
    let certificate = known.certificate.clone().unwrap_or_default();
    let keys = known.assertion_keys.clone().unwrap_or_default();
    let secret = |secret: &ClientSecret| {
        json!({
            "secret_id": secret.secret_id,
            "create_time": secret.create_time.map(timestamp),
            "expire_time": secret.expire_time.map(timestamp),
        })
    };
    let identity = |identity: &WorkloadIdentity| {
        json!({
            "issuer": identity.issuer,
            "audience": identity.audience,
            "conditions": condition_documents(&identity.conditions),
        })
    };
    json!({
        "client_secrets": known.client_secrets.iter().map(secret).collect::<Vec<_>>(),
        "methods": known.methods().map(method_name).collect::<Vec<_>>(),
        "certificate": { "uris": certificate.uris, "dns_names": certificate.dns_names },
        "assertion_keys": { "jwks_json": keys.jwks_json, "jwks_file": keys.jwks_file },
        "workload_identities": known.workload_identities.iter().map(identity).collect::<Vec<_>>(),
    })
}

fn condition_documents(conditions: &[ClaimCondition]) -> Vec<Value> {
    let document =
        |condition: &ClaimCondition| json!({ "claim": condition.claim, "values": condition.values });
    conditions.iter().map(document).collect()
}

/// The name that files and flags use.
fn method_name(method: AuthenticationMethod) -> String {
    let name = method.as_str_name();
    name.strip_prefix("AUTHENTICATION_METHOD_").unwrap_or(name).to_ascii_lowercase()
}

/// Clients as a table.
pub(super) fn overview(clients: &[Client]) -> String {
    let mut rows = vec![row(["CLIENT", "NAME", "STATE", "SECRETS", "METHODS", "UPDATED"])];
    rows.extend(clients.iter().map(|client| {
        row([
            plain(&client.client_id),
            text(&client.display_name),
            state(client).to_owned(),
            secrets(client).len().to_string(),
            list(&may_call(client)),
            client.update_time.map(timestamp).unwrap_or_default(),
        ])
    }));
    table(&rows)
}

/// One client, a line a field.
pub(super) fn description(client: &Client) -> String {
    let permissions = client.permissions.clone().unwrap_or_default();
    let limits = client.limits.unwrap_or_default();
    let mut rows = vec![
        row(["client", &plain(&client.client_id)]),
        row(["name", &text(&client.display_name)]),
        row(["state", state(client)]),
        row(["default audiences", &list(&client.default_audiences)]),
        row(["default ttl", &client.default_ttl.map(duration).unwrap_or_else(nothing)]),
        row(["token type", &text(&client.token_type)]),
        row(["algorithm", &text(&client.algorithm)]),
        row(["roles", &list(&permissions.roles)]),
        row(["methods", &list(&permissions.methods)]),
        row(["audiences", &list(&permissions.audiences)]),
        row(["scopes", &list(&permissions.scopes)]),
        row(["subjects", &list(&permissions.subjects)]),
        row(["claims", &list(&permissions.claims)]),
        row(["max ttl", &permissions.max_ttl.map(duration).unwrap_or_else(nothing)]),
        row(["claim values", &text(&conditions_text(&permissions.claim_values))]),
        row(["verify audiences", &list(&permissions.verify_audiences)]),
        row(["login usernames", &list(&permissions.login_usernames)]),
        row(["revoke subjects", &list(&permissions.revoke_subjects)]),
        row(["revoke clients", &list(&permissions.revoke_clients)]),
        row(["exchange subjects", &list(&permissions.exchange_subjects)]),
        row(["exchange audiences", &list(&permissions.exchange_audiences)]),
        row(["exchange issuers", &list(&permissions.exchange_issuers)]),
        row(["exchange actors", &list(&permissions.exchange_actors)]),
        row(["verify issuers", &list(&permissions.verify_issuers)]),
        row(["admin clients", &list(&permissions.admin_clients)]),
        row(["impersonate", if permissions.impersonate { "yes" } else { "no" }]),
        row(["calls per second", &limit(limits.calls_per_second)]),
        row(["concurrent calls", &limit(limits.concurrent_calls)]),
    ];
    rows.extend(authentication_rows(client));
    rows.extend(secrets(client).iter().map(|secret| row(["secret", &secret_line(secret)])));
    rows.push(row(["registered", &client.create_time.map(timestamp).unwrap_or_else(nothing)]));
    rows.push(row(["changed", &client.update_time.map(timestamp).unwrap_or_else(nothing)]));
    table(&rows)
}

/// Its methods and, in words that are no methods, its roles.
fn may_call(client: &Client) -> Vec<String> {
    let permissions = client.permissions.clone().unwrap_or_default();
    let roles = permissions.roles.into_iter().map(|role| format!("role:{role}"));
    roles.chain(permissions.methods).collect()
}

/// How it proves who it is, a line a kind.
fn authentication_rows(client: &Client) -> Vec<Vec<String>> {
    let known = client.authentication.clone().unwrap_or_default();
    let certificate = known.certificate.clone().unwrap_or_default();
    let keys = known.assertion_keys.clone().unwrap_or_default();
    let methods: Vec<String> = known.methods().map(method_name).collect();
    let mut rows = vec![row(["authentication", &list(&methods)])];
    let mut add = |name: &str, text: String| {
        if text != nothing() {
            rows.push(row([name, &text]));
        }
    };
    add("certificate uris", list(&certificate.uris));
    add("certificate dns", list(&certificate.dns_names));
    add("assertion keys", text(&keys.jwks_json));
    add("assertion keys in", text(&keys.jwks_file));
    for identity in &known.workload_identities {
        let conditions = conditions_text(&identity.conditions);
        add("workload identity", plain(&format!("{} {} {conditions}", identity.issuer, identity.audience)));
    }
    rows
}

/// `tenant=acme|acme-* /limits/rate=10`
fn conditions_text(conditions: &[ClaimCondition]) -> String {
    let text = |condition: &ClaimCondition| format!("{}={}", condition.claim, condition.values.join("|"));
    conditions.iter().map(text).collect::<Vec<_>>().join(" ")
}

fn limit(number: i32) -> String {
    if number == 0 { nothing() } else { number.to_string() }
}

fn secret_line(secret: &ClientSecret) -> String {
    let made = secret.create_time.map(timestamp).unwrap_or_default();
    let end = secret.expire_time.map(|end| format!(", ends {}", timestamp(end))).unwrap_or_default();
    format!("{} made {made}{end}", plain(&secret.secret_id))
}

fn secrets(client: &Client) -> &[ClientSecret] {
    client.authentication.as_ref().map(|known| known.client_secrets.as_slice()).unwrap_or_default()
}

const fn state(client: &Client) -> &'static str {
    if client.disabled { "disabled" } else { "enabled" }
}

fn text(text: &str) -> String {
    if text.is_empty() { nothing() } else { plain(text) }
}

fn list(items: &[String]) -> String {
    if items.is_empty() { nothing() } else { plain(&items.join(" ")) }
}

fn nothing() -> String {
    "-".to_owned()
}

#[cfg(test)]
#[expect(clippy::indexing_slicing, reason = "tests fail by panicking")]
mod tests {
    use super::{description, document, overview};
    use crate::proto::v1::{Client, Permissions};

    #[test]
    fn clients_line_up_and_send_no_controls() {
        let client = |id: &str, name: &str| Client {
            client_id: id.to_owned(),
            display_name: name.to_owned(),
            permissions: Some(Permissions {
                methods: vec!["TokenService/*".to_owned()],
                ..Permissions::default()
            }),
            ..Client::default()
        };
        let lines = overview(&[client("a", "\u{1b}[2J"), client("orders", "")]);
        assert_eq!(
            lines,
            "CLIENT  NAME       STATE    SECRETS  METHODS         UPDATED\n\
             a       \\u{1b}[2J  enabled  0        TokenService/*\n\
             orders  -          enabled  0        TokenService/*"
        );
        assert!(description(&client("a", "b")).contains("methods             TokenService/*"));
        assert_eq!(document(&client("a", "b"))["permissions"]["methods"][0], "TokenService/*");
    }
}
