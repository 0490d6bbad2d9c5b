//! The flags of `tokend policy explain`.

use std::time::Duration;

use clap::{ArgMatches, Args, Command, Error, FromArgMatches, Id, ValueEnum, parser::ValueSource};
use serde_json::Value;

use crate::{
    access::IssueRules,
    cli::error::CliError,
    config::audience_rules,
    model::{Method, Ttl},
};

/// What a client requests.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum What {
    /// Issue a token
    Issue,
    /// Verify a token
    Verify,
    /// Introspect a token
    Introspect,
    /// Call a method
    Call,
    /// Log in a user
    Login,
    /// Use a refresh token
    Refresh,
    /// Revoke tokens or sessions
    Revoke,
    /// Exchange a token
    Exchange,
}

impl What {
    pub(super) fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// The flags that the question takes.
    pub(super) const fn flags(self) -> &'static str {
        match self {
            Self::Issue => {
                "--subject --audience --scope --ttl --not-before --claim --claims-json --refresh --server-max-ttl \
                 --server-audience-algorithms"
            }
            Self::Verify | Self::Introspect => "--audience --token-issuer",
            Self::Call => "METHOD --client",
            Self::Login => {
                "--username --audience --scope --user-scope --ttl --refresh --server-max-ttl \
                 --server-audience-algorithms"
            }
            Self::Refresh => {
                "--session-audience --session-scope --subject --claim --claims-json --by-login --user-scope --audience \
                 --scope --server-audience-algorithms"
            }
            Self::Revoke => "--subject --client --jwt-id --token --session --token-issuer",
            Self::Exchange => {
                "--subject --audience --scope --ttl --token-audience --token-scope --token-issuer \
                 --token-subject-prefix --token-may-act --with-actor --actor-subject --actor-audience --actor-issuer \
                 --actor-subject-prefix --server-issuer --server-max-ttl --server-audience-algorithms"
            }
        }
    }
}

/// The flags of any question that are given, such as `--audience`, and `METHOD`.
pub(super) struct GivenFlags(Vec<String>);

impl GivenFlags {
    /// Rejects flags that the question does not take.
    pub(super) fn check(&self, what: What) -> Result<(), CliError> {
        let taken: Vec<&str> = what.flags().split(' ').collect();
        match self.0.iter().find(|flag| !taken.contains(&flag.as_str())) {
            None => Ok(()),
            Some(flag) => Err(CliError::usage(format!(
                "{}: does not take {flag}; it takes {}",
                what.name(),
                taken.join(", ")
            ))),
        }
    }
}

impl FromArgMatches for GivenFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let given = matches.ids().map(Id::as_str);
        let given = given.filter(|id| matches.value_source(id) == Some(ValueSource::CommandLine));
        let flags = given.map(|id| match id {
            "method" => "METHOD".to_owned(),
            id => format!("--{}", id.replace('_', "-")),
        });
        let is_of_question = |flag: &str| {
            What::value_variants().iter().any(|what| what.flags().split(' ').any(|known| known == flag))
        };
        Ok(Self(flags.filter(|flag| is_of_question(flag)).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for GivenFlags {
    fn augment_args(command: Command) -> Command {
        command
    }

    fn augment_args_for_update(command: Command) -> Command {
        command
    }
}

/// What only the server can look up, and policy depends on.
#[derive(Args)]
pub(super) struct AssumptionFlags {
    /// For login: set the user's name
    #[arg(long, value_name = "NAME")]
    pub(super) username: Option<String>,
    /// For login and refresh: assume a scope of the user; may be repeated. '' if the user has none
    #[arg(id = "user_scope", long = "user-scope", value_name = "SCOPE")]
    pub(super) user_scopes: Vec<String>,
    /// For refresh: assume an audience of the session; may be repeated
    #[arg(id = "session_audience", long = "session-audience", value_name = "AUDIENCE")]
    pub(super) session_audiences: Vec<String>,
    /// For refresh: assume a scope of the session; may be repeated. '' if it has none
    #[arg(id = "session_scope", long = "session-scope", value_name = "SCOPE")]
    pub(super) session_scopes: Vec<String>,
    /// For refresh: assume that a login began the session, with the user's subject and claims
    #[arg(long)]
    pub(super) by_login: bool,
    /// For revoke: revoke a token that was issued for --subject to --client
    #[arg(long)]
    pub(super) token: bool,
    /// For revoke: revoke a session that --client began for --subject
    #[arg(long)]
    pub(super) session: bool,
    /// For revoke: revoke everything of a client, or with --token or --session: set its client. For call: set the client to
    /// administer
    #[arg(long, value_name = "CLIENT")]
    pub(super) client: Option<String>,
    /// For revoke: revoke the token with this id (`jti`)
    #[arg(long, value_name = "JTI", allow_hyphen_values = true)]
    pub(super) jwt_id: Option<String>,
    /// For exchange: assume an audience of the subject token; may be repeated [default: the client's id]
    #[arg(id = "token_audience", long = "token-audience", value_name = "AUDIENCE")]
    pub(super) token_audiences: Vec<String>,
    /// For exchange: assume a scope of the subject token; may be repeated. '' if it has none
    #[arg(id = "token_scope", long = "token-scope", value_name = "SCOPE")]
    pub(super) token_scopes: Vec<String>,
    /// For exchange, revoke, verify and introspect: assume another issuer of the token [default: the server itself]
    #[arg(long, value_name = "ISSUER")]
    pub(super) token_issuer: Option<String>,
    /// For exchange: assume the `subject_prefix` of the token's issuer [default: foreign:ISSUER#]
    #[arg(long, value_name = "TEXT", requires = "token_issuer")]
    pub(super) token_subject_prefix: Option<String>,
    /// For exchange: assume the claim `may_act` of the subject token [default: none]
    #[arg(long, value_name = "JSON", value_parser = json)]
    pub(super) token_may_act: Option<Value>,
    /// For exchange: assume an actor token, which is the client's own unless --actor-subject is given
    #[arg(long)]
    pub(super) with_actor: bool,
    /// For exchange: assume the subject of the actor token [default: the client]
    #[arg(long, value_name = "SUBJECT")]
    pub(super) actor_subject: Option<String>,
    /// For exchange: assume an audience of the actor token; may be repeated. Not checked if the token is the client's own
    #[arg(id = "actor_audience", long = "actor-audience", value_name = "AUDIENCE")]
    pub(super) actor_audiences: Vec<String>,
    /// For exchange: assume another issuer of the actor token [default: the server itself]
    #[arg(long, value_name = "ISSUER")]
    pub(super) actor_issuer: Option<String>,
    /// For exchange: assume the `subject_prefix` of the actor token's issuer [default: foreign:ISSUER#]
    #[arg(long, value_name = "TEXT", requires = "actor_issuer")]
    pub(super) actor_subject_prefix: Option<String>,
    /// For exchange: set the server's setting `issuer`, which is needed if --token-may-act names an issuer (`iss`)
    #[arg(long, value_name = "ISSUER")]
    pub(super) server_issuer: Option<String>,
}

/// The server's settings that apply to every client.
#[derive(Args)]
pub(super) struct RuleFlags {
    /// Apply the server's setting max_ttl
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    server_max_ttl: Option<Duration>,
    /// Apply the server's setting audience_algorithms: AUDIENCE=NAME, separated by commas
    #[arg(long, value_name = "RULES")]
    server_audience_algorithms: Option<String>,
}

impl RuleFlags {
    pub(super) fn rules(&self) -> Result<IssueRules, CliError> {
        let max_ttl = match self.server_max_ttl {
            Some(cap) => Ttl::from_seconds(cap.as_secs())
                .ok_or_else(|| CliError::usage("--server-max-ttl: must be at least one second"))?,
            // Without the flag the server's limit is unknown: use one above all that permissions can allow.
            None => Ttl::from_minutes(366 * 24 * 60),
        };
        let rules = self.server_audience_algorithms.as_deref().unwrap_or_default();
        let audience_algorithms = audience_rules(rules)
            .collect::<Result<_, _>>()
            .map_err(|problem| CliError::usage(format!("--server-audience-algorithms: {problem}")))?;
        Ok(IssueRules { max_ttl, audience_algorithms })
    }
}

pub(super) fn method(text: &str) -> Result<Method, String> {
    let found = Method::ALL.into_iter().find(|method| method.name() == text);
    found.ok_or_else(|| format!("must be one of {}", Method::ALL.map(Method::name).join(", ")))
}

fn json(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| format!("must be JSON: {error}"))
}
