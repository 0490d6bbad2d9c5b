//! `tokend session`: what lives, through SessionService.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{
    connection::Connection,
    failure::Failure,
    output::{Output, plain, print, print_json, talk},
    remote::{answer, call},
    session_view::{document, overview},
    time_text::timestamp,
};
use crate::proto::v1::{
    EndSessionRequest, ListSessionsRequest, session_service_client::SessionServiceClient,
};

/// How many sessions are asked for at once.
const PAGE: i32 = 500;

#[derive(Subcommand)]
pub(super) enum SessionCommand {
    /// List the sessions that live
    List(List),
    /// End a session: its refresh token and its access tokens are refused
    End(End),
}

impl SessionCommand {
    pub(super) fn run(self) -> Result<(), Failure> {
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

#[derive(Args)]
#[command(after_help = "Examples:
  tokend session end 3n2v4hQ0QxWm8S1uZJ8y9g --reason 'laptop lost'

Exit status 0 means that it is durable: the server refuses the tokens at once, and its replicas within a second. A session
that does not exist is no failure.")]
pub(super) struct End {
    /// The session's id (`sid`)
    #[arg(value_name = "SESSION_ID", allow_hyphen_values = true)]
    session_id: String,
    /// Why, for the audit log
    #[arg(long, default_value_t)]
    reason: String,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    connection: Connection,
}

impl End {
    fn run(self) -> Result<(), Failure> {
        let session_id = self.session_id.clone();
        let request = EndSessionRequest { session_id, reason: self.reason, request_id: String::new() };
        let ended = call(&self.connection, async |caller| {
            answer(SessionServiceClient::new(caller).end_session(request).await)
        })?;
        let since = ended.end_time.map(timestamp);
        if self.output.is_json() {
            return print_json(&json!({ "session_id": self.session_id, "end_time": since }));
        }
        talk(&format!("session {} ended at {}", plain(&self.session_id), since.unwrap_or_default()));
        Ok(())
    }
}
