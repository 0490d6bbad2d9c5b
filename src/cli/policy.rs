//! `tokend policy`: what a client's policy says, and why.

use std::{path::PathBuf, sync::Arc, time::Duration};

use clap::{Args, Subcommand, ValueEnum};

use super::{
    client_file,
    connection::Connection,
    failure::Failure,
    output::{Output, plain, print, print_json},
    policy_view,
    remote::{answer, call},
    token_flags::TokenFlags,
};
use crate::{
    access::{IssueRules, PlannedExchange, Question, explain},
    grpc::{read_client, read_issue_request},
    model::{Client, Method, Ttl, VerifyRequest, Violations},
    proto::v1::{self, GetClientRequest, client_service_client::ClientServiceClient},
};

#[derive(Subcommand)]
pub(super) enum PolicyCommand {
    /// Say whether a client may do something, and by which line of its policy
    Explain(Explain),
}

impl PolicyCommand {
    pub(super) fn run(self) -> Result<(), Failure> {
        match self {
            Self::Explain(command) => command.run(),
        }
    }
}

#[derive(Args)]
#[command(after_help = "Examples:
  tokend policy explain web issue --audience orders --scope read --claim tenant=acme --ttl 5m
  tokend policy explain orders verify --audience orders
  tokend policy explain ops call KeyService/RotateKeys
  tokend policy explain shop login --username alice
  tokend policy explain orders exchange --subject alice --audience billing --with-actor
  tokend policy explain web issue --audience orders -f clients.toml    # by a file, without a server

Exit status 0 means allowed, 1 denied.")]
pub(super) struct Explain {
    /// The client's id
    #[arg(value_name = "CLIENT")]
    client_id: String,
    // No subcommand: a client may be called like one.
    /// What the client would do
    #[arg(value_enum, value_name = "WHAT")]
    what: What,
    /// For call: the method, such as ClientService/CreateClient
    #[arg(value_name = "METHOD", value_parser = method)]
    method: Option<Method>,
    /// For login: the user's name
    #[arg(long, value_name = "NAME")]
    username: Option<String>,
    #[command(flatten)]
    token: TokenFlags,
    #[command(flatten)]
    exchange: ExchangeFlags,
    /// For issue: the server's setting max_ttl, if that shall count too
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    server_max_ttl: Option<Duration>,
    /// Take the client from a file, as `tokend client apply` reads it, and ask no server
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Args)]
struct ExchangeFlags {
    /// For exchange: there is an actor token
    #[arg(long)]
    with_actor: bool,
    /// For exchange: an audience of the subject token; may be repeated [default: the client's id]
    #[arg(long = "token-audience", value_name = "AUDIENCE")]
    token_audiences: Vec<String>,
    /// For exchange: the issuer of the subject token [default: the server itself]
    #[arg(long, value_name = "ISSUER")]
    token_issuer: Option<String>,
}

impl ExchangeFlags {
    const fn is_empty(&self) -> bool {
        !self.with_actor && self.token_audiences.is_empty() && self.token_issuer.is_none()
    }
}

/// What a client might do.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// Have a token issued
    Issue,
    /// Verify a token
    Verify,
    /// Call a method
    Call,
    /// Log a user in
    Login,
    /// Exchange a token
    Exchange,
}

impl Explain {
    fn run(self) -> Result<(), Failure> {
        let client = Arc::new(self.client()?);
        let rules = self.rules()?;
        let output = self.output;
        let question = question(self.what, self.method, self.username, self.token, self.exchange)?;
        let explanation = explain(&client, question, &rules);
        if output.is_json() {
            print_json(&policy_view::document(&client, &explanation))?;
        } else {
            print(&policy_view::text(&client, &explanation))?;
        }
        policy_view::verdict(&client, &explanation).map_err(Failure::refused)
    }

    fn rules(&self) -> Result<IssueRules, Failure> {
        let max_ttl = match self.server_max_ttl {
            Some(cap) => Ttl::from_seconds(cap.as_secs())
                .ok_or_else(|| Failure::usage("--server-max-ttl: must be at least one second"))?,
            // Unless it is said, the server's own cap is not known here: one above all that permissions can allow.
            None => Ttl::from_minutes(366 * 24 * 60),
        };
        Ok(IssueRules { max_ttl, audience_algorithms: Vec::new() })
    }

    fn client(&self) -> Result<Client, Failure> {
        let message = match &self.file {
            Some(path) => {
                let clients =
                    client_file::read(path).map_err(|problems| Failure::usage(problems.to_string()))?;
                let found = clients.into_iter().find(|client| client.client_id == self.client_id);
                found.ok_or_else(|| {
                    Failure::refused(format!("{} has no client `{}`", path.display(), plain(&self.client_id)))
                })?
            }
            None => self.ask(self.client_id.clone())?,
        };
        read_client(message).map_err(|wrong| malformed(&wrong))
    }

    fn ask(&self, client_id: String) -> Result<v1::Client, Failure> {
        let request = GetClientRequest { client_id };
        let shown = call(&self.connection, async |caller| {
            answer(ClientServiceClient::new(caller).get_client(request).await)
        })?;
        Ok(shown.client.unwrap_or_default())
    }
}

/// The question, if just what belongs to it is given.
fn question(
    what: What,
    method: Option<Method>,
    username: Option<String>,
    token: TokenFlags,
    exchange: ExchangeFlags,
) -> Result<Question, Failure> {
    let usage = |wanted| Err(Failure::usage(wanted));
    if what != What::Exchange && !exchange.is_empty() {
        return usage("--with-actor, --token-audience and --token-issuer are for exchange");
    }
    match (what, method, username) {
        (What::Issue, None, None) => {
            let request = read_issue_request(token.request()?).map_err(|wrong| malformed(&wrong))?;
            Ok(Question::Issue(request))
        }
        (What::Issue, ..) => usage("issue: takes what `tokend token issue` takes"),
        (What::Verify, None, None) => match token.audiences_alone() {
            Some(audiences) => Ok(Question::Verify(VerifyRequest { audiences, ..VerifyRequest::default() })),
            None => usage("verify: takes --audience alone"),
        },
        (What::Verify, ..) => usage("verify: takes --audience alone"),
        (What::Call, Some(method), None) if token.is_empty() => Ok(Question::Call(method)),
        (What::Call, ..) => usage("call: takes a METHOD alone"),
        (What::Login, None, Some(username)) if token.is_empty() => Ok(Question::Login(username)),
        (What::Exchange, None, None) if token.has_no_claims() => {
            let token = read_issue_request(token.request()?).map_err(|wrong| malformed(&wrong))?;
            Ok(Question::Exchange(PlannedExchange {
                token,
                audiences: exchange.token_audiences,
                issuer: exchange.token_issuer,
                is_acting: exchange.with_actor,
            }))
        }
        (What::Exchange, ..) => usage(
            "exchange: takes --subject, --audience, --scope, --ttl, --with-actor, --token-audience, --token-issuer",
        ),
        (What::Login, ..) => usage("login: takes --username alone"),
    }
}

fn malformed(violations: &Violations) -> Failure {
    let lines =
        violations.as_slice().iter().map(|wrong| format!("{}: {}", plain(&wrong.field), wrong.description));
    Failure::usage(lines.collect::<Vec<_>>().join("\n  "))
}

fn method(text: &str) -> Result<Method, String> {
    let found = Method::ALL.into_iter().find(|method| method.name() == text);
    found.ok_or_else(|| format!("must be one of {}", Method::ALL.map(Method::name).join(", ")))
}
