//! Clients for people and for programs.

use serde_json::{Value, json};

use super::{
    output::plain,
    table::{row, table},
    time_text::{duration, timestamp},
};
use crate::proto::v1::{Client, ClientSecret};

/// A client as JSON, its fields named as in the API.
pub(super) fn document(client: &Client) -> Value {
    let permissions = client.permissions.clone().unwrap_or_default();
    let secrets: Vec<Value> = secrets(client)
        .iter()
        .map(|secret| {
            json!({
                "secret_id": secret.secret_id,
                "create_time": secret.create_time.map(timestamp),
                "expire_time": secret.expire_time.map(timestamp),
            })
        })
        .collect();
    json!({
        "client_id": client.client_id,
        "display_name": client.display_name,
        "disabled": client.disabled,
        "default_audiences": client.default_audiences,
        "default_ttl": client.default_ttl.map(duration),
        "token_type": client.token_type,
        "algorithm": client.algorithm,
        "etag": client.etag,
        "authentication": { "client_secrets": secrets },
        "permissions": {
            "methods": permissions.methods,
            "audiences": permissions.audiences,
            "scopes": permissions.scopes,
            "subjects": permissions.subjects,
            "claims": permissions.claims,
            "max_ttl": permissions.max_ttl.map(duration),
            "verify_audiences": permissions.verify_audiences,
        },
        "create_time": client.create_time.map(timestamp),
        "update_time": client.update_time.map(timestamp),
    })
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
            list(
                client
                    .permissions
                    .as_ref()
                    .map(|permissions| permissions.methods.as_slice())
                    .unwrap_or_default(),
            ),
            client.update_time.map(timestamp).unwrap_or_default(),
        ])
    }));
    table(&rows)
}

/// One client, a line a field.
pub(super) fn description(client: &Client) -> String {
    let permissions = client.permissions.clone().unwrap_or_default();
    let mut rows = vec![
        row(["client", &plain(&client.client_id)]),
        row(["name", &text(&client.display_name)]),
        row(["state", state(client)]),
        row(["default audiences", &list(&client.default_audiences)]),
        row(["default ttl", &client.default_ttl.map(duration).unwrap_or_else(nothing)]),
        row(["token type", &text(&client.token_type)]),
        row(["algorithm", &text(&client.algorithm)]),
        row(["methods", &list(&permissions.methods)]),
        row(["audiences", &list(&permissions.audiences)]),
        row(["scopes", &list(&permissions.scopes)]),
        row(["subjects", &list(&permissions.subjects)]),
        row(["claims", &list(&permissions.claims)]),
        row(["max ttl", &permissions.max_ttl.map(duration).unwrap_or_else(nothing)]),
        row(["verify audiences", &list(&permissions.verify_audiences)]),
    ];
    rows.extend(secrets(client).iter().map(|secret| row(["secret", &secret_line(secret)])));
    rows.push(row(["registered", &client.create_time.map(timestamp).unwrap_or_else(nothing)]));
    rows.push(row(["changed", &client.update_time.map(timestamp).unwrap_or_else(nothing)]));
    table(&rows)
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
        assert!(description(&client("a", "b")).contains("methods            TokenService/*"));
        assert_eq!(document(&client("a", "b"))["permissions"]["methods"][0], "TokenService/*");
    }
}
