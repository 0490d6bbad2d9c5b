//! `tokend client`: the registered services, through ClientService.
//!
//! A client is one document with the field names of the API ([`view`]): flags, TOML files, JSON output and differences are
//! all read from it and written to it by the serde attributes of the messages.

mod apply;
mod export;
mod file;
mod flags;
mod lists;
mod plan;
mod secrets;
mod update;
mod view;

use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::json;

pub(super) use file::read_file;

use self::{apply::Apply, export::Export, flags::ClientFlags, update::Update};
use crate::{
    cli::{
        connection::{AuthenticatedChannel, Connection, RemoteFlags, all_pages, response},
        error::CliError,
        output::{PAGE_SIZE, confirm, escaped, message, print, print_json},
        time_text::to_proto,
    },
    proto::v1::{
        Client, CreateClientRequest, DeleteClientRequest, GetClientRequest, ListClientsRequest,
        RotateClientSecretRequest, client_service_client::ClientServiceClient,
    },
};

type Service = ClientServiceClient<AuthenticatedChannel>;

#[derive(Subcommand)]
pub(super) enum ClientCommand {
    /// Register a client and print its secret, which is shown only once
    Create(Box<Create>),
    /// List the clients
    List(List),
    /// Show a client without its secrets
    Show(Show),
    /// Change the given fields of a client
    Update(Box<Update>),
    /// Create another secret for a client and print it
    RotateSecret(RotateSecret),
    /// Delete a client and its secrets
    Delete(Delete),
    /// Change all clients to the state that a file describes
    Apply(Apply),
    /// Print the clients as a file for `tokend client apply`
    Export(Export),
}

impl ClientCommand {
    pub(super) fn run(self) -> Result<(), CliError> {
        match self {
            Self::Create(command) => command.run(),
            Self::List(command) => command.run(),
            Self::Show(command) => command.run(),
            Self::Update(command) => command.run(),
            Self::RotateSecret(command) => command.run(),
            Self::Delete(command) => command.run(),
            Self::Apply(command) => command.run(),
            Self::Export(command) => command.run(),
        }
    }
}

#[derive(Args)]
#[command(after_help = "Examples:
  SECRET=$(tokend client create login --method TokenService/IssueToken --audience 'orders*' --scope '*' --subject '*')
  tokend client create orders --method TokenService/VerifyToken --verify-audience orders
  tokend client create web --auth-method mutual_tls --certificate-uri spiffe://example.org/web
  tokend client create ops --role viewer --role key-admin

A PATTERN is an exact text, or a prefix followed by *. Whatever is not allowed is denied.")]
pub(super) struct Create {
    /// The client's id: a-z 0-9 . - [default: a random id]
    #[arg(value_name = "ID")]
    client_id: Option<String>,
    #[command(flatten)]
    flags: ClientFlags,
    #[command(flatten)]
    remote: RemoteFlags,
}

impl Create {
    fn run(self) -> Result<(), CliError> {
        let client = Client { client_id: self.client_id.unwrap_or_default(), ..self.flags.client()? };
        let request = CreateClientRequest { client: Some(client), request_id: String::new() };
        let created =
            self.remote.unary(async |channel| Service::new(channel).create_client(request).await)?;
        let client = created.client.unwrap_or_default();
        if self.remote.is_json() {
            return print_json(&json!({ "client": client, "client_secret": created.client_secret }));
        }
        let client_id = escaped(&client.client_id);
        if created.client_secret.is_empty() {
            message(&format!("created client {client_id}; it has no secret, because it cannot present one"));
            return Ok(());
        }
        message(&format!("created client {client_id}; this secret is shown only once:"));
        print(&created.client_secret)
    }
}

#[derive(Args)]
pub(super) struct List {
    #[command(flatten)]
    remote: RemoteFlags,
}

impl List {
    fn run(self) -> Result<(), CliError> {
        let clients = self.remote.call(async |channel| all_clients(&mut Service::new(channel)).await)?;
        if self.remote.is_json() { print_json(&clients) } else { print(&view::table_of(&clients)) }
    }
}

async fn all_clients(service: &mut Service) -> Result<Vec<Client>, CliError> {
    all_pages(async |page_token| {
        let request = ListClientsRequest { page_size: PAGE_SIZE, page_token };
        let page = response(service.list_clients(request).await)?;
        Ok((page.clients, page.next_page_token))
    })
    .await
}

/// Reads one client from the server.
pub(super) fn get_client(connection: &Connection, client_id: String) -> Result<Client, CliError> {
    let request = GetClientRequest { client_id };
    let got = connection.call(async |channel| response(Service::new(channel).get_client(request).await))?;
    Ok(got.client.unwrap_or_default())
}

#[derive(Args)]
pub(super) struct Show {
    /// The client's id
    #[arg(value_name = "ID")]
    client_id: String,
    #[command(flatten)]
    remote: RemoteFlags,
}

impl Show {
    fn run(self) -> Result<(), CliError> {
        let client = get_client(&self.remote.connection, self.client_id)?;
        if self.remote.is_json() { print_json(&client) } else { print(&view::details(&client)?) }
    }
}

#[derive(Args)]
#[command(after_help = "Examples:
  SECRET=$(tokend client rotate-secret orders)
  tokend client rotate-secret orders --overlap 0s    # end the earlier secrets immediately")]
pub(super) struct RotateSecret {
    /// The client's id
    #[arg(value_name = "ID")]
    client_id: String,
    /// Set how long the current secrets stay valid [default: 24h]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    overlap: Option<Duration>,
    #[command(flatten)]
    remote: RemoteFlags,
}

impl RotateSecret {
    fn run(self) -> Result<(), CliError> {
        let request = RotateClientSecretRequest {
            client_id: self.client_id.clone(),
            overlap: self.overlap.map(to_proto),
            request_id: String::new(),
        };
        let rotated =
            self.remote.unary(async |channel| Service::new(channel).rotate_client_secret(request).await)?;
        if self.remote.is_json() {
            let (client_id, secret) = (self.client_id, rotated.client_secret);
            return print_json(&json!({ "client_id": client_id, "client_secret": secret }));
        }
        let client_id = escaped(&self.client_id);
        message(&format!("created a secret for client {client_id}; it is shown only once:"));
        print(&rotated.client_secret)
    }
}

#[derive(Args)]
pub(super) struct Delete {
    /// The client's id
    #[arg(value_name = "ID")]
    client_id: String,
    /// Do not ask for confirmation
    #[arg(short, long)]
    yes: bool,
    /// Delete the client only if it still has this etag
    #[arg(long, value_name = "ETAG")]
    etag: Option<String>,
    #[command(flatten)]
    remote: RemoteFlags,
}

impl Delete {
    fn run(self) -> Result<(), CliError> {
        let shown = escaped(&self.client_id);
        if !self.yes {
            confirm(&format!("Delete client {shown}? Its calls will be rejected."))?;
        }
        let request = DeleteClientRequest {
            client_id: self.client_id.clone(),
            etag: self.etag.unwrap_or_default(),
            request_id: String::new(),
        };
        self.remote.unary(async |channel| Service::new(channel).delete_client(request).await)?;
        if self.remote.is_json() {
            return print_json(&json!({ "client_id": self.client_id, "deleted": true }));
        }
        message(&format!("deleted client {shown}"));
        Ok(())
    }
}
