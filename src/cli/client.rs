//! `tokend client`: the registered services, through ClientService.

use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{
    client_apply::Apply,
    client_export::Export,
    client_flags::ClientFlags,
    client_update::Update,
    client_view::{description, document, overview},
    confirm::confirm,
    connection::{Caller, Connection},
    failure::Failure,
    output::{Output, plain, print, print_json, talk},
    remote::{answer, call},
    time_text::to_api,
};
use crate::proto::v1::{
    Client, CreateClientRequest, DeleteClientRequest, GetClientRequest, ListClientsRequest,
    RotateClientSecretRequest, client_service_client::ClientServiceClient,
};

/// How many clients are asked for at once.
const PAGE: i32 = 500;

#[derive(Subcommand)]
pub(super) enum ClientCommand {
    /// Register a client; its secret, shown this once, alone goes to stdout
    Create(Box<Create>),
    /// List the clients
    List(List),
    /// Show one client, without its secrets
    Show(Show),
    /// Change a client: what is given, and nothing else
    Update(Box<Update>),
    /// Give a client another secret; it alone goes to stdout
    RotateSecret(RotateSecret),
    /// Delete a client with its secrets
    Delete(Delete),
    /// Bring all clients to the state that a file describes
    Apply(Apply),
    /// Print the clients as a file for `tokend client apply`
    Export(Export),
}

impl ClientCommand {
    pub(super) fn run(self) -> Result<(), Failure> {
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

A PATTERN is an exact text, or a prefix with * at its end. What is not allowed is refused.")]
pub(super) struct Create {
    /// The client's id: a-z 0-9 . - [default: a fresh one]
    #[arg(value_name = "ID")]
    client_id: Option<String>,
    #[command(flatten)]
    flags: ClientFlags,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    connection: Connection,
}

impl Create {
    fn run(self) -> Result<(), Failure> {
        let client = Client { client_id: self.client_id.unwrap_or_default(), ..self.flags.client()? };
        let request = CreateClientRequest { client: Some(client), request_id: String::new() };
        let made = call(&self.connection, async |caller| {
            answer(ClientServiceClient::new(caller).create_client(request).await)
        })?;
        let client = made.client.unwrap_or_default();
        if self.output.is_json() {
            return print_json(&json!({ "client": document(&client), "client_secret": made.client_secret }));
        }
        let client_id = plain(&client.client_id);
        if made.client_secret.is_empty() {
            talk(&format!("client {client_id} was registered; it presents no secret, and was given none"));
            return Ok(());
        }
        talk(&format!("client {client_id} was registered; this secret is shown once:"));
        print(&made.client_secret)
    }
}

#[derive(Args)]
pub(super) struct List {
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    connection: Connection,
}

impl List {
    fn run(self) -> Result<(), Failure> {
        let clients =
            call(&self.connection, async |caller| all_clients(&mut ClientServiceClient::new(caller)).await)?;
        if self.output.is_json() {
            return print_json(&Value::Array(clients.iter().map(document).collect()));
        }
        print(&overview(&clients))
    }
}

/// Every client, page by page.
pub(super) async fn all_clients(service: &mut ClientServiceClient<Caller>) -> Result<Vec<Client>, Failure> {
    let (mut clients, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = ListClientsRequest { page_size: PAGE, page_token };
        let page = answer(service.list_clients(request).await)?;
        clients.extend(page.clients);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(clients);
        }
    }
}

#[derive(Args)]
pub(super) struct Show {
    /// The client's id
    #[arg(value_name = "ID")]
    client_id: String,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    connection: Connection,
}

impl Show {
    fn run(self) -> Result<(), Failure> {
        let request = GetClientRequest { client_id: self.client_id };
        let shown = call(&self.connection, async |caller| {
            answer(ClientServiceClient::new(caller).get_client(request).await)
        })?;
        let client = shown.client.unwrap_or_default();
        if self.output.is_json() { print_json(&document(&client)) } else { print(&description(&client)) }
    }
}

#[derive(Args)]
#[command(after_help = "Examples:
  SECRET=$(tokend client rotate-secret orders)
  tokend client rotate-secret orders --overlap 0s    # the secrets before it end at once")]
pub(super) struct RotateSecret {
    /// The client's id
    #[arg(value_name = "ID")]
    client_id: String,
    /// How long the secrets that it has now stay valid [default: 24h]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    overlap: Option<Duration>,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    connection: Connection,
}

impl RotateSecret {
    fn run(self) -> Result<(), Failure> {
        let request = RotateClientSecretRequest {
            client_id: self.client_id.clone(),
            overlap: self.overlap.map(to_api),
            request_id: String::new(),
        };
        let rotated = call(&self.connection, async |caller| {
            answer(ClientServiceClient::new(caller).rotate_client_secret(request).await)
        })?;
        if self.output.is_json() {
            let (client_id, secret) = (self.client_id, rotated.client_secret);
            return print_json(&json!({ "client_id": client_id, "client_secret": secret }));
        }
        talk(&format!("client {} has a new secret; it is shown once:", plain(&self.client_id)));
        print(&rotated.client_secret)
    }
}

#[derive(Args)]
pub(super) struct Delete {
    /// The client's id
    #[arg(value_name = "ID")]
    client_id: String,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// Delete it only if this is its etag still
    #[arg(long, value_name = "ETAG")]
    etag: Option<String>,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    connection: Connection,
}

impl Delete {
    fn run(self) -> Result<(), Failure> {
        if !self.yes {
            confirm(&format!("Delete client {}? Its calls will be refused.", plain(&self.client_id)))?;
        }
        let request = DeleteClientRequest {
            client_id: self.client_id.clone(),
            etag: self.etag.unwrap_or_default(),
            request_id: String::new(),
        };
        call(&self.connection, async |caller| {
            answer(ClientServiceClient::new(caller).delete_client(request).await)
        })?;
        if self.output.is_json() {
            return print_json(&json!({ "client_id": self.client_id, "deleted": true }));
        }
        talk(&format!("client {} was deleted", plain(&self.client_id)));
        Ok(())
    }
}
