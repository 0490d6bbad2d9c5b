//! `tokend session`: the active sessions, through SessionService.

use clap::{Args, Subcommand};
use serde_json::json;

use super::{
    connection::{AuthenticatedChannel, RemoteFlags, all_pages, response},
    error::CliError,
    output::{PAGE_SIZE, escaped, joined, message, print, print_json, row, table},
    time_text::timestamp,
};
use crate::proto::v1::{
    EndSessionRequest, ListSessionsRequest, Session, session_service_client::SessionServiceClient,
};

type Service = SessionServiceClient<AuthenticatedChannel>;

#[derive(Subcommand)]
pub(super) enum SessionCommand {
    /// List the active sessions
    List(List),
    /// End a session: its refresh token and its access tokens are rejected
    End(End),
}

impl SessionCommand {
    pub(super) fn run(self) -> Result<(), CliError> {
        match self {
            Self::List(command) => command.run(),
            Self::End(command) => command.run(),
        }
    }
}

#[derive(Args)]
#[command(after_help = "Examples:
  tokend session list --subject alice
  tokend session list --client web -o json")]
pub(super) struct List {
    /// List only the sessions of this subject (`sub`)
    #[arg(long, value_name = "SUBJECT")]
    subject: Option<String>,
    /// List only the sessions that this client began
    #[arg(long, value_name = "CLIENT")]
    client: Option<String>,
    #[command(flatten)]
    remote: RemoteFlags,
}

impl List {
    fn run(self) -> Result<(), CliError> {
        let (subject, client_id) = (self.subject.unwrap_or_default(), self.client.unwrap_or_default());
        let sessions = self.remote.call(async |channel| {
            let mut service = Service::new(channel);
            all_pages(async |page_token| {
                let (subject, client_id) = (subject.clone(), client_id.clone());
                let request = ListSessionsRequest { subject, client_id, page_size: PAGE_SIZE, page_token };
                let page = response(service.list_sessions(request).await)?;
                Ok((page.sessions, page.next_page_token))
            })
            .await
        })?;
        if self.remote.is_json() { print_json(&sessions) } else { print(&table_of(&sessions)) }
    }
}

fn table_of(sessions: &[Session]) -> String {
    let mut rows =
        vec![row(["SESSION", "SUBJECT", "CLIENT", "BEGAN", "REFRESHED", "ENDS", "AUDIENCES", "SCOPES"])];
    rows.extend(sessions.iter().map(|session| {
        row([
            escaped(&session.session_id),
            escaped(&session.subject),
            escaped(&session.client_id),
            session.create_time.map(timestamp).unwrap_or_default(),
            session.refresh_time.map(timestamp).unwrap_or_default(),
            session.idle_expire_time.map(timestamp).unwrap_or_default(),
            joined(&session.audiences),
            joined(&session.scopes),
        ])
    }));
    table(&rows)
}

#[derive(Args)]
#[command(after_help = "Examples:
  tokend session end 3n2v4hQ0QxWm8S1uZJ8y9g --reason 'laptop lost'

Exit status 0 means that the end is durable: the server rejects the tokens immediately, and its replicas within a second. A
session that does not exist is no failure.")]
pub(super) struct End {
    /// The session's id (`sid`)
    #[arg(value_name = "SESSION_ID", allow_hyphen_values = true)]
    session_id: String,
    /// Give the reason, for the audit log
    #[arg(long, default_value_t)]
    reason: String,
    #[command(flatten)]
    remote: RemoteFlags,
}

impl End {
    fn run(self) -> Result<(), CliError> {
        let session_id = self.session_id.clone();
        let request = EndSessionRequest { session_id, reason: self.reason, request_id: String::new() };
        let ended = self.remote.unary(async |channel| Service::new(channel).end_session(request).await)?;
        let end_time = ended.end_time.map(timestamp);
        if self.remote.is_json() {
            return print_json(&json!({ "session_id": self.session_id, "end_time": end_time }));
        }
        message(&format!("session {} ended at {}", escaped(&self.session_id), end_time.unwrap_or_default()));
        Ok(())
    }
}
