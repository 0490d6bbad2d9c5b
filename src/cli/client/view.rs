//! A client as a JSON document with the field names of the API, as text, and the difference between two clients.

use serde_json::{Value, json};

use crate::{
    cli::{
        error::CliError,
        output::{escaped, joined, or_dash, row, table},
        time_text::timestamp,
    },
    grpc::CLIENT_FIELDS,
    proto::v1::Client,
};

/// The client as JSON.
pub(super) fn document(client: &Client) -> Result<Value, CliError> {
    serde_json::to_value(client).map_err(|error| CliError::failed(error.to_string()))
}

/// The value at a path such as `permissions.audiences`.
pub(super) fn at(document: &Value, path: &str) -> Value {
    document.pointer(&format!("/{}", path.replace('.', "/"))).cloned().unwrap_or_default()
}

/// Sets the value at a path, and creates the objects around it.
pub(super) fn set(document: &mut Value, path: &str, value: Value) {
    let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
    if !document.is_object() {
        *document = json!({});
    }
    let Some(members) = document.as_object_mut() else { return };
    match rest {
        Some(rest) => set(members.entry(name).or_insert_with(|| json!({})), rest, value),
        None => {
            members.insert(name.to_owned(), value);
        }
    }
}

/// A field that differs.
pub(super) struct FieldDiff {
    /// `permissions.audiences`
    pub(super) path: &'static str,
    from: Value,
    to: Value,
}

/// The fields in which two clients differ.
pub(super) fn diff(from: &Client, to: &Client) -> Result<Vec<FieldDiff>, CliError> {
    let (old, new) = (document(from)?, document(to)?);
    let differing = CLIENT_FIELDS.iter().filter(|field| field.differs(from, to));
    let diff = |path| FieldDiff { path, from: at(&old, path), to: at(&new, path) };
    Ok(differing.map(|field| diff(field.path)).collect())
}

impl FieldDiff {
    pub(super) fn json(&self) -> Value {
        json!({ "path": self.path, "from": self.from, "to": self.to })
    }

    /// `permissions.audiences: + billing-*, - old`
    pub(super) fn text(&self) -> String {
        let changes = match (&self.from, &self.to) {
            (Value::Array(from), Value::Array(to)) => {
                let added = to.iter().filter(|item| !from.contains(item)).map(|item| ("+", item));
                let removed = from.iter().filter(|item| !to.contains(item)).map(|item| ("-", item));
                let changes: Vec<String> =
                    added.chain(removed).map(|(sign, item)| format!("{sign} {}", short(item))).collect();
                if changes.is_empty() { "in another order".to_owned() } else { changes.join(", ") }
            }
            (from, to) => format!("{} -> {}", short(from), short(to)),
        };
        format!("{}: {changes}", self.path)
    }
}

/// The beginning of a value as text.
fn short(value: &Value) -> String {
    const LONGEST: usize = 160;
    let text = match value {
        Value::String(text) if text.is_empty() => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    };
    let cut: String = text.chars().take(LONGEST).collect();
    if cut.len() < text.len() { format!("{}…", escaped(&cut)) } else { escaped(&cut) }
}

/// Clients as a table.
pub(super) fn table_of(clients: &[Client]) -> String {
    let mut rows = vec![row(["CLIENT", "NAME", "STATE", "SECRETS", "METHODS", "UPDATED"])];
    rows.extend(clients.iter().map(|client| {
        let secrets = client.authentication.as_ref().map_or(0, |known| known.client_secrets.len());
        let permissions = client.permissions.clone().unwrap_or_default();
        let roles = permissions.roles.into_iter().map(|role| format!("role:{role}"));
        row([
            escaped(&client.client_id),
            or_dash(&client.display_name),
            if client.disabled { "disabled" } else { "enabled" }.to_owned(),
            secrets.to_string(),
            joined(&roles.chain(permissions.methods).collect::<Vec<_>>()),
            client.update_time.map(timestamp).unwrap_or_default(),
        ])
    }));
    table(&rows)
}

/// The lines of a client: label and path.
const LINES: [(&str, &str); 38] = [
    ("client", "client_id"),
    ("name", "display_name"),
    ("state", "disabled"),
    ("default audiences", "default_audiences"),
    ("default ttl", "default_ttl"),
    ("token type", "token_type"),
    ("algorithm", "algorithm"),
    ("roles", "permissions.roles"),
    ("methods", "permissions.methods"),
    ("audiences", "permissions.audiences"),
    ("scopes", "permissions.scopes"),
    ("subjects", "permissions.subjects"),
    ("claims", "permissions.claims"),
    ("max ttl", "permissions.max_ttl"),
    ("claim values", "permissions.claim_values"),
    ("verify audiences", "permissions.verify_audiences"),
    ("login usernames", "permissions.login_usernames"),
    ("revoke subjects", "permissions.revoke_subjects"),
    ("revoke clients", "permissions.revoke_clients"),
    ("exchange subjects", "permissions.exchange_subjects"),
    ("exchange audiences", "permissions.exchange_audiences"),
    ("exchange issuers", "permissions.exchange_issuers"),
    ("exchange actors", "permissions.exchange_actors"),
    ("verify issuers", "permissions.verify_issuers"),
    ("admin clients", "permissions.admin_clients"),
    ("impersonate", "permissions.impersonate"),
    ("calls per second", "limits.calls_per_second"),
    ("concurrent calls", "limits.concurrent_calls"),
    ("authentication", "authentication.methods"),
    ("certificate uris", "authentication.certificate.uris"),
    ("certificate dns", "authentication.certificate.dns_names"),
    ("assertion keys", "authentication.assertion_keys.jwks_json"),
    ("assertion keys in", "authentication.assertion_keys.jwks_file"),
    ("unix uids", "authentication.unix_peer.uids"),
    ("unix gids", "authentication.unix_peer.gids"),
    ("workload identity", "authentication.workload_identities"),
    ("registered", "create_time"),
    ("changed", "update_time"),
];

/// One client, a line for each field.
pub(super) fn details(client: &Client) -> Result<String, CliError> {
    let document = document(client)?;
    let mut rows = Vec::new();
    for (label, path) in LINES {
        let value = at(&document, path);
        match (path, &value) {
            ("authentication.workload_identities", Value::Array(identities)) => {
                rows.extend(
                    identities.iter().map(|identity| row([label, &escaped(&identity_text(identity))])),
                );
                let secrets = at(&document, "authentication.client_secrets");
                rows.extend(
                    secrets
                        .as_array()
                        .into_iter()
                        .flatten()
                        .map(|secret| row(["secret", &secret_text(secret)])),
                );
            }
            ("disabled", value) => {
                rows.push(row([label, if value == &json!(true) { "disabled" } else { "enabled" }]));
            }
            (path, value) => {
                let text = or_dash(&field_text(value));
                let is_optional = path.starts_with("authentication.") && path != "authentication.methods";
                rows.extend((!is_optional || text != "-").then(|| row([label, &text])));
            }
        }
    }
    Ok(table(&rows))
}

fn field_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(value) => if *value { "yes" } else { "no" }.to_owned(),
        Value::Number(number) if number.as_i64() != Some(0) => number.to_string(),
        Value::Array(items) => items.iter().map(item_text).collect::<Vec<_>>().join(" "),
        _ => String::new(),
    }
}

/// A text, a number, or a condition as `tenant=acme|acme-*`.
pub(super) fn item_text(item: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    match (item.get("claim"), item.get("values").and_then(Value::as_array)) {
        (Some(claim), Some(values)) => {
            format!("{}={}", text(claim), values.iter().map(text).collect::<Vec<_>>().join("|"))
        }
        _ if item.is_number() => item.to_string(),
        _ => text(item),
    }
}

fn identity_text(identity: &Value) -> String {
    let text = |name| field_text(&at(identity, name));
    format!("{} {} {}", text("issuer"), text("audience"), text("conditions"))
}

fn secret_text(secret: &Value) -> String {
    let text = |name| field_text(&at(secret, name));
    let end = Some(text("expire_time")).filter(|end| !end.is_empty());
    let end = end.map(|end| format!(", expires {end}")).unwrap_or_default();
    format!("{} created {}{end}", escaped(&text("secret_id")), text("create_time"))
}

#[cfg(test)]
#[expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::{details, document, table_of};
    use crate::proto::v1::{Client, Permissions};

    #[test]
    fn columns_are_aligned_and_control_characters_escaped() {
        let client = |id: &str, name: &str| Client {
            client_id: id.to_owned(),
            display_name: name.to_owned(),
            permissions: Some(Permissions {
                methods: vec!["TokenService/*".to_owned()],
                ..Permissions::default()
            }),
            ..Client::default()
        };
        assert_eq!(
            table_of(&[client("a", "\u{1b}[2J"), client("orders", "")]),
            "CLIENT  NAME       STATE    SECRETS  METHODS         UPDATED\n\
             a       \\u{1b}[2J  enabled  0        TokenService/*\n\
             orders  -          enabled  0        TokenService/*"
        );
        assert!(details(&client("a", "b")).unwrap().contains("methods             TokenService/*"));
        assert_eq!(document(&client("a", "b")).unwrap()["permissions"]["methods"][0], "TokenService/*");
    }
}
