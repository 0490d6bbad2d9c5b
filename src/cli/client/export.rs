//! `tokend client export`: the server's clients as a file for `tokend client apply`.

use clap::Args;
use serde_json::{Value, json};

use super::{
    Service, all_clients,
    file::KEPT,
    plan::as_shown,
    view::{at, document, set},
};
use crate::{
    cli::{
        connection::Connection,
        error::CliError,
        output::{escaped, print},
    },
    grpc::CLIENT_FIELDS,
    proto::v1::Client,
};

#[derive(Args)]
#[command(after_help = "Examples:
  tokend client export > clients.toml
  tokend client apply -f clients.toml --check      # nothing differs
  tokend client export orders billing

The file holds what differs from the defaults, and no secret.")]
pub(in crate::cli) struct Export {
    /// The clients to export [default: all]
    #[arg(value_name = "ID")]
    client_ids: Vec<String>,
    #[command(flatten)]
    connection: Connection,
}

impl Export {
    pub(super) fn run(self) -> Result<(), CliError> {
        let mut clients =
            self.connection.call(async |channel| all_clients(&mut Service::new(channel)).await)?;
        if !self.client_ids.is_empty() {
            let is_there = |id: &&String| clients.iter().any(|client| client.client_id == **id);
            if let Some(id) = self.client_ids.iter().find(|id| !is_there(id)) {
                let id = escaped(id);
                return Err(CliError::failed(format!("CLIENT_NOT_FOUND: there is no client `{id}`")));
            }
            clients.retain(|client| self.client_ids.contains(&client.client_id));
        }
        let sections = clients.iter().map(section).collect::<Result<Vec<_>, _>>()?;
        print(sections.join("\n").trim_end())
    }
}

/// One client: its id, what differs from a new client, and what `apply` keeps unless the file names it.
fn section(client: &Client) -> Result<String, CliError> {
    let new = as_shown(Client { client_id: client.client_id.clone(), ..Client::default() })?;
    let document = document(client)?;
    let mut exported = json!({ "client_id": client.client_id });
    let exports =
        CLIENT_FIELDS.iter().filter(|field| field.differs(&new, client) || KEPT.contains(&field.path));
    for field in exports {
        match at(&document, field.path) {
            Value::Null => {}
            value => set(&mut exported, field.path, value),
        }
    }
    toml::to_string_pretty(&json!({ "client": [exported] })).map_err(|error| {
        CliError::failed(format!("client `{}` cannot be written: {error}", escaped(&client.client_id)))
    })
}
