//! `tokend session`: what lives, through SessionService.

use clap::{Args, Subcommand};
use serde_json::Value;

use super::{
    connection::Connection,
    failure::Failure,
    output::{Output, print, print_json},
    remote::{answer, call},
    session_view::{document, overview},
};
use crate::proto::v1::{ListSessionsRequest, session_service_client::SessionServiceClient};

/// How many sessions are asked for at once.
const PAGE: i32 = 500;

#[derive(Subcommand)]
pub(super) enum SessionCommand {
    /// List the sessions that live
    List(List),
}

impl SessionCommand {
    pub(super) fn run(self) -> Result<(), Failure> {
        match self {
            Self::List(command) => command.run(),
        }
    }
}

#[derive(Args)]
#[command(after_help = "Examples:
  tokend session list --subject alice
  tokend session list --client web -o json")]
pub(super) struct List {
    /// Only those of this subject (`sub`)
    #[arg(long, value_name = "SUBJECT")]
    subject: Option<String>,
    /// Only those that this client began
    #[arg(long, value_name = "CLIENT")]
    client: Option<String>,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    connection: Connection,
}

impl List {
    fn run(self) -> Result<(), Failure> {
        let (subject, client_id) = (self.subject.unwrap_or_default(), self.client.unwrap_or_default());
        let sessions = call(&self.connection, async |caller| {
            let mut service = SessionServiceClient::new(caller);
            let (mut sessions, mut page_token) = (Vec::new(), String::new());
            loop {
                let (subject, client_id) = (subject.clone(), client_id.clone());
                let request = ListSessionsRequest { subject, client_id, page_size: PAGE, page_token };
                let page = answer(service.list_sessions(request).await)?;
                sessions.extend(page.sessions);
                page_token = page.next_page_token;
                if page_token.is_empty() {
                    return Ok(sessions);
                }
            }
        })?;
        if self.output.is_json() {
            return print_json(&Value::Array(sessions.iter().map(document).collect()));
        }
        print(&overview(&sessions))
    }
}
