//! `tokend client export`: the server's clients as a file for `tokend client apply`.

use clap::Args;
use serde_json::Value;
use toml::Table;

use super::{
    client::all_clients,
    client_file::KEPT,
    client_plan::shown,
    client_view::document,
    connection::Connection,
    failure::Failure,
    output::{plain, print},
    remote::call,
};
use crate::{
    grpc::CLIENT_FIELDS,
    proto::v1::{Client, client_service_client::ClientServiceClient},
};

#[derive(Args)]
#[command(after_help = "Examples:
  tokend client export > clients.toml
  tokend client apply -f clients.toml --check      # nothing differs
  tokend client export orders billing

The file holds what differs from the defaults, and no secret.")]
pub(super) struct Export {
    /// The clients to export [default: all]
    #[arg(value_name = "ID")]
    client_ids: Vec<String>,
    #[command(flatten)]
    connection: Connection,
}

impl Export {
    pub(super) fn run(self) -> Result<(), Failure> {
        let mut clients =
            call(&self.connection, async |caller| all_clients(&mut ClientServiceClient::new(caller)).await)?;
        if !self.client_ids.is_empty() {
            let is_there = |id: &&String| clients.iter().any(|client| client.client_id == **id);
            if let Some(id) = self.client_ids.iter().find(|id| !is_there(id)) {
                return Err(Failure::refused(format!(
                    "CLIENT_NOT_FOUND: there is no client `{}`",
                    plain(id)
                )));
            }
            clients.retain(|client| self.client_ids.contains(&client.client_id));
        }
        let sections = clients.iter().map(section).collect::<Result<Vec<_>, _>>()?;
        print(sections.join("\n").trim_end())
    }
}

/// One client: its id, and what differs from a new client. What `apply` keeps unless the file names it, is named.
fn section(client: &Client) -> Result<String, Failure> {
    let failed = |error: &dyn std::fmt::Display| {
        Failure::refused(format!("client `{}` cannot be written: {error}", plain(&client.client_id)))
    };
    let new = shown(Client { client_id: client.client_id.clone(), ..Client::default() })?;
    let document = document(client);
    let mut table = Table::new();
    table.insert("client_id".to_owned(), client.client_id.clone().into());
    for field in
        CLIENT_FIELDS.iter().filter(|field| field.differs(&new, client) || KEPT.contains(&field.path))
    {
        let value = document.pointer(&format!("/{}", field.path.replace('.', "/"))).unwrap_or(&Value::Null);
        if !value.is_null() {
            let value = toml::Value::try_from(value).map_err(|error| failed(&error))?;
            insert(&mut table, field.path, value);
        }
    }
    let file = Table::from_iter([("client".to_owned(), toml::Value::Array(vec![table.into()]))]);
    toml::to_string_pretty(&file).map_err(|error| failed(&error))
}

fn insert(table: &mut Table, path: &str, value: toml::Value) {
    match path.split_once('.') {
        None => {
            table.insert(path.to_owned(), value);
        }
        Some((first, rest)) => {
            let inner = table.entry(first).or_insert_with(|| Table::new().into());
            if let toml::Value::Table(inner) = inner {
                insert(inner, rest, value);
            }
        }
    }
}
