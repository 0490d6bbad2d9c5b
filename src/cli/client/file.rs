//! TOML files with clients: a `[[client]]` for each, with the field names of the API.

use std::{collections::HashMap, fs, path::Path};

use serde::Deserialize as _;
use serde_json::{Map, Value as Json};
use toml::{Table, Value};

use crate::{
    cli::output::escaped,
    config::{Problems, nearest},
    grpc::read_client,
    proto::v1::{Authentication, ClaimCondition, Client, Permissions, UnixIds, WorkloadIdentity},
};

/// The content of a file.
pub(crate) struct ClientFile {
    /// The clients, each of which the server would accept.
    pub(crate) clients: Vec<Client>,
    /// For each client id, the fields that keep the server's value because the file does not name them.
    pub(crate) kept: HashMap<String, Vec<&'static str>>,
}

/// Permissions that files of the previous release do not name: a client registered there has them all, and keeps them.
pub(super) const KEPT: [&str; 3] =
    ["permissions.verify_issuers", "permissions.exchange_actors", "permissions.admin_clients"];

/// Reads a file.
///
/// # Errors
/// All problems of the file, one in each line, with client and key.
pub(crate) fn read_file(path: &Path) -> Result<ClientFile, Problems> {
    let failed = |problem: String| Problems::of(format!("{}: {problem}", path.display()));
    let text = fs::read_to_string(path).map_err(|error| failed(format!("cannot be read: {error}")))?;
    let mut file: Table = text.parse().map_err(|error: toml::de::Error| {
        // Only the message: the whole error quotes the line, which may hold a secret.
        let offset = error.span().map_or(0, |span| span.start);
        let line = text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1;
        failed(format!("line {line}: {}", error.message().replace('\n', ", ")))
    })?;
    let mut problems = Problems::default();
    let tables = match file.remove("client") {
        None => Vec::new(),
        Some(Value::Array(tables)) => tables,
        Some(_) => {
            problems.add("client: must be a list of tables, each of which begins with `[[client]]`");
            Vec::new()
        }
    };
    for key in file.keys() {
        problems.add(format!("{}: unknown key; each client begins with `[[client]]`", escaped(key)));
    }
    let kept = tables.iter().filter_map(kept).collect();
    let schema = schema();
    let numbered = tables.into_iter().enumerate();
    let clients = numbered.filter_map(|(index, table)| client(index, table, &schema, &mut problems));
    let clients: Vec<Client> = clients.collect();
    check(&clients, &mut problems);
    if problems.is_empty() { Ok(ClientFile { clients, kept }) } else { Err(problems) }
}

fn kept(client: &Value) -> Option<(String, Vec<&'static str>)> {
    let permissions = client.get("permissions");
    let is_named = |path: &str| {
        let name = path.trim_start_matches("permissions.");
        permissions.is_some_and(|permissions| permissions.get(name).is_some())
    };
    let client_id = client.get("client_id")?.as_str()?.to_owned();
    Some((client_id, KEPT.into_iter().filter(|path| !is_named(path)).collect()))
}

fn client(index: usize, value: Value, schema: &Json, problems: &mut Problems) -> Option<Client> {
    let Value::Table(mut table) = value else {
        problems.add(format!("client {}: must be a table", index + 1));
        return None;
    };
    let client_id = table.get("client_id").map(|id| id.as_str().unwrap_or_default().to_owned());
    let place = match &client_id {
        Some(id) if !id.is_empty() => place(id),
        _ => format!("client {}: ", index + 1),
    };
    if client_id.is_none() {
        problems.add(format!("{place}client_id: must be given"));
    } else if table.get("client_id").and_then(Value::as_str) == Some("") {
        problems.add(format!("{place}client_id: must not be empty"));
    }
    if let Json::Object(schema) = schema {
        remove_wrong(&mut table, schema, &place, problems);
    }
    Client::deserialize(Value::Table(table)).map_err(|error| problems.add(format!("{place}{error}"))).ok()
}

fn place(client_id: &str) -> String {
    format!("client `{}`: ", escaped(client_id))
}

/// A client with one value of each type, from which the keys and the types of a file follow. Only the server sets the fields
/// that are removed.
fn schema() -> Json {
    let duration = Some(prost_types::Duration::default());
    let conditions = vec![ClaimCondition::default()];
    let identity = WorkloadIdentity { conditions: conditions.clone(), ..WorkloadIdentity::default() };
    let client = Client {
        default_ttl: duration,
        authentication: Some(Authentication {
            workload_identities: vec![identity],
            unix_peer: Some(UnixIds { uids: vec![0], gids: vec![0] }),
            ..Authentication::default()
        }),
        permissions: Some(Permissions {
            max_ttl: duration,
            claim_values: conditions,
            ..Permissions::default()
        }),
        ..Client::default()
    };
    let mut schema = serde_json::to_value(client).unwrap_or_default();
    for (object, fields) in
        [("", &["etag", "create_time", "update_time"][..]), ("/authentication", &["client_secrets"])]
    {
        if let Some(Json::Object(members)) = schema.pointer_mut(object) {
            members.retain(|name, _| !fields.contains(&name.as_str()));
        }
    }
    schema
}

/// Removes what is no client from the table, and adds a problem for each: all problems appear at once.
fn remove_wrong(table: &mut Table, schema: &Map<String, Json>, place: &str, problems: &mut Problems) {
    table.retain(|key, value| {
        let Some(schema) = schema.get(key) else {
            let near = nearest(key, schema.keys().map(String::as_str));
            let meant = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            problems.add(format!("{place}{key}: unknown key{meant}"));
            return false;
        };
        let wanted = match (schema, value) {
            (Json::Object(schema), Value::Table(table)) => {
                remove_wrong(table, schema, &format!("{place}{key}."), problems);
                return true;
            }
            (Json::Array(schema), Value::Array(items)) => match schema.first() {
                Some(Json::Object(schema)) if items.iter().all(Value::is_table) => {
                    for (index, item) in items.iter_mut().filter_map(Value::as_table_mut).enumerate() {
                        remove_wrong(item, schema, &format!("{place}{key}[{index}]."), problems);
                    }
                    return true;
                }
                Some(Json::Object(_)) => "a list of tables",
                Some(Json::Number(_)) if items.iter().all(is_id) => return true,
                Some(Json::Number(_)) => "a list of whole numbers, without quotes",
                _ if items.iter().all(Value::is_str) => return true,
                _ => "a list of texts in quotes",
            },
            (Json::Bool(_), Value::Boolean(_)) => return true,
            (Json::Number(_), Value::Integer(number)) if i32::try_from(*number).is_ok() => return true,
            (Json::String(schema), Value::String(text)) => {
                if schema.is_empty() || humantime::parse_duration(text).is_ok() {
                    return true;
                }
                "a duration in quotes, such as \"10m\""
            }
            (Json::Object(_), _) => "a table",
            (Json::Array(schema), _) if schema.is_empty() => "a list of texts in quotes",
            (Json::Array(schema), _) if schema.iter().all(Json::is_number) => "a list of whole numbers",
            (Json::Array(_), _) => "a list of tables",
            (Json::Bool(_), _) => "true or false, without quotes",
            (Json::Number(_), _) => "a whole number, without quotes",
            (Json::String(schema), _) if !schema.is_empty() => "a duration in quotes, such as \"10m\"",
            _ => "a text in quotes",
        };
        problems.add(format!("{place}{key}: must be {wanted}"));
        false
    });
}

/// Adds what the server would reject of each client, and of all clients together.
fn check(clients: &[Client], problems: &mut Problems) {
    let mut ids = HashMap::new();
    let mut names = HashMap::new();
    for client in clients {
        let place = place(&client.client_id);
        if let Err(violations) = read_client(client.clone()) {
            // A missing id is already a problem.
            let given = |field: &str| field != "client.client_id" || !client.client_id.is_empty();
            for violation in violations.as_slice().iter().filter(|violation| given(&violation.field)) {
                let field = violation.field.strip_prefix("client.").unwrap_or(&violation.field);
                problems.add(format!("{place}{field}: {}", violation.description));
            }
        }
        if !client.client_id.is_empty() && ids.insert(&client.client_id, ()).is_some() {
            problems.add(format!("{place}appears twice in the file"));
        }
        for name in peer_names(client) {
            let (field, what) = (name.field, name.what());
            if let Some(other) =
                names.insert(name, &client.client_id).filter(|other| **other != client.client_id)
            {
                problems
                    .add(format!("{place}authentication.{field}: `{}` has the same {what}", escaped(other)));
            }
        }
    }
}

fn is_id(item: &Value) -> bool {
    item.as_integer().is_some_and(|number| u32::try_from(number).is_ok())
}

/// A name in a client's certificates, or the id of its user or group: each belongs to one client only.
#[derive(PartialEq, Eq, Hash)]
pub(super) struct PeerName {
    /// The field of `authentication`.
    pub(super) field: &'static str,
    name: String,
}

impl PeerName {
    pub(super) fn what(&self) -> &'static str {
        if self.field == "certificate" { "name" } else { "id" }
    }
}

/// The names in a client's certificates, and the ids of its users and groups.
pub(super) fn peer_names(client: &Client) -> impl Iterator<Item = PeerName> {
    let Authentication { certificate, unix_peer, .. } = client.authentication.clone().unwrap_or_default();
    let (certificate, unix) = (certificate.unwrap_or_default(), unix_peer.unwrap_or_default());
    let names = certificate.uris.into_iter().chain(certificate.dns_names);
    let names = names.map(|name| PeerName { field: "certificate", name });
    let ids = |field, ids: Vec<u32>| ids.into_iter().map(move |id| PeerName { field, name: id.to_string() });
    names.chain(ids("unix_peer.uids", unix.uids)).chain(ids("unix_peer.gids", unix.gids))
}
