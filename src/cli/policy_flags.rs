//! What a client would do, as flags of `tokend policy explain`.

use std::time::Duration;

use clap::{Args, ValueEnum};
use serde_json::Value;

use super::failure::Failure;
use crate::{
    access::IssueRules,
    config::audience_rules,
    model::{Method, Ttl},
};

/// What a client might do.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum What {
    /// Have a token issued
    Issue,
    /// Verify a token
    Verify,
    /// Ask whether a token is active
    Introspect,
    /// Call a method
    Call,
    /// Log a user in
    Login,
    /// Use a refresh token
    Refresh,
    /// Revoke something
    Revoke,
    /// Exchange a token
    Exchange,
}

impl What {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Issue => "issue",
            Self::Verify => "verify",
            Self::Introspect => "introspect",
            Self::Call => "call",
            Self::Login => "login",
            Self::Refresh => "refresh",
            Self::Revoke => "revoke",
            Self::Exchange => "exchange",
        }
    }

    /// The flags that belong to it.
    pub(super) const fn flags(self) -> &'static [&'static str] {
        match self {
            Self::Issue => &[
                "--subject",
                "--audience",
                "--scope",
                "--ttl",
                "--not-before",
                "--claim",
                "--claims-json",
                "--refresh",
                "--server-max-ttl",
                "--server-audience-algorithms",
            ],
            Self::Verify | Self::Introspect => &["--audience", "--token-issuer"],
            Self::Call => &["METHOD", "--client"],
            Self::Login => &[
                "--username",
                "--audience",
                "--scope",
                "--user-scope",
                "--ttl",
                "--refresh",
                "--server-max-ttl",
                "--server-audience-algorithms",
            ],
            Self::Refresh => &[
                "--session-audience",
                "--session-scope",
                "--subject",
                "--claim",
                "--claims-json",
                "--by-login",
                "--user-scope",
                "--audience",
                "--scope",
                "--server-audience-algorithms",
            ],
            Self::Revoke => &["--subject", "--client", "--jwt-id", "--token", "--session", "--token-issuer"],
            Self::Exchange => &[
                "--subject",
                "--audience",
                "--scope",
                "--ttl",
                "--token-audience",
                "--token-scope",
                "--token-issuer",
                "--token-subject-prefix",
                "--token-may-act",
                "--with-actor",
                "--actor-subject",
                "--actor-audience",
                "--actor-issuer",
                "--actor-subject-prefix",
                "--server-issuer",
                "--server-max-ttl",
                "--server-audience-algorithms",
            ],
        }
    }
}

/// What a request names, and only the server can look up.
#[derive(Args)]
pub(super) struct PlannedFlags {
    /// For login: the user's name
    #[arg(long, value_name = "NAME")]
    pub(super) username: Option<String>,
    /// For login and refresh: a scope that the user has; may be repeated. '' if the user has none
    #[arg(long = "user-scope", value_name = "SCOPE")]
    pub(super) user_scopes: Vec<String>,
    /// For refresh: an audience of the session; may be repeated
    #[arg(long = "session-audience", value_name = "AUDIENCE")]
    pub(super) session_audiences: Vec<String>,
    /// For refresh: a scope of the session; may be repeated. '' if it has none
    #[arg(long = "session-scope", value_name = "SCOPE")]
    pub(super) session_scopes: Vec<String>,
    /// For refresh: a login began the session, so that subject and claims are the user's
    #[arg(long)]
    pub(super) by_login: bool,
    /// For revoke: a token, which is about --subject and was issued to --client
    #[arg(long)]
    pub(super) token: bool,
    /// For revoke: a session, which is about --subject and was begun by --client
    #[arg(long)]
    pub(super) session: bool,
    /// For revoke: all of a client's; after --token or --session, whose it is. For call: the client that is administered
    #[arg(long, value_name = "CLIENT")]
    pub(super) client: Option<String>,
    /// For revoke: the token of this id (`jti`)
    #[arg(long, value_name = "JTI", allow_hyphen_values = true)]
    pub(super) jwt_id: Option<String>,
    /// For exchange: an audience of the subject token; may be repeated [default: the client's id]
    #[arg(long = "token-audience", value_name = "AUDIENCE")]
    pub(super) token_audiences: Vec<String>,
    /// For exchange: a scope of the subject token; may be repeated. '' if it has none
    #[arg(long = "token-scope", value_name = "SCOPE")]
    pub(super) token_scopes: Vec<String>,
    /// For exchange, revoke, verify and introspect: the issuer of the token, if it is another [default: the server itself]
    #[arg(long, value_name = "ISSUER")]
    pub(super) token_issuer: Option<String>,
    /// For exchange: the `subject_prefix` that the server has for the token's issuer [default: foreign:ISSUER#]
    #[arg(long, value_name = "TEXT", requires = "token_issuer")]
    pub(super) token_subject_prefix: Option<String>,
    /// For exchange: the claim `may_act` of the subject token [default: it has none]
    #[arg(long, value_name = "JSON", value_parser = json)]
    pub(super) token_may_act: Option<Value>,
    /// For exchange: there is an actor token, the client's own unless --actor-subject says another's
    #[arg(long)]
    pub(super) with_actor: bool,
    /// For exchange: whom the actor token is about [default: the client]
    #[arg(long, value_name = "SUBJECT")]
    pub(super) actor_subject: Option<String>,
    /// For exchange: an audience of the actor token; may be repeated. Not looked at if it is the client's own
    #[arg(long = "actor-audience", value_name = "AUDIENCE")]
    pub(super) actor_audiences: Vec<String>,
    /// For exchange: the issuer of the actor token, if it is another [default: the server itself]
    #[arg(long, value_name = "ISSUER")]
    pub(super) actor_issuer: Option<String>,
    /// For exchange: the `subject_prefix` that the server has for the actor token's issuer [default: foreign:ISSUER#]
    #[arg(long, value_name = "TEXT", requires = "actor_issuer")]
    pub(super) actor_subject_prefix: Option<String>,
    /// For exchange: the server's setting issuer, where --token-may-act names an issuer (`iss`)
    #[arg(long, value_name = "ISSUER")]
    pub(super) server_issuer: Option<String>,
}

impl PlannedFlags {
    /// The flags that are given.
    pub(super) fn given(&self) -> impl Iterator<Item = &'static str> {
        [
            (self.username.is_some(), "--username"),
            (!self.user_scopes.is_empty(), "--user-scope"),
            (!self.session_audiences.is_empty(), "--session-audience"),
            (!self.session_scopes.is_empty(), "--session-scope"),
            (self.by_login, "--by-login"),
            (self.token, "--token"),
            (self.session, "--session"),
            (self.client.is_some(), "--client"),
            (self.jwt_id.is_some(), "--jwt-id"),
            (!self.token_audiences.is_empty(), "--token-audience"),
            (!self.token_scopes.is_empty(), "--token-scope"),
            (self.token_issuer.is_some(), "--token-issuer"),
            (self.token_may_act.is_some(), "--token-may-act"),
            (self.with_actor, "--with-actor"),
            (self.actor_subject.is_some(), "--actor-subject"),
            (!self.actor_audiences.is_empty(), "--actor-audience"),
            (self.actor_issuer.is_some(), "--actor-issuer"),
            (self.token_subject_prefix.is_some(), "--token-subject-prefix"),
            (self.actor_subject_prefix.is_some(), "--actor-subject-prefix"),
            (self.server_issuer.is_some(), "--server-issuer"),
        ]
        .into_iter()
        .filter_map(|(is_given, flag)| is_given.then_some(flag))
    }
}

/// The server's settings that hold for every client.
#[derive(Args)]
pub(super) struct RuleFlags {
    /// The server's setting max_ttl, if that shall count too
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    server_max_ttl: Option<Duration>,
    /// The server's setting audience_algorithms, if that shall count too: AUDIENCE=NAME, separated by commas
    #[arg(long, value_name = "RULES")]
    server_audience_algorithms: Option<String>,
}

impl RuleFlags {
    /// The flags that are given.
    pub(super) fn given(&self) -> impl Iterator<Item = &'static str> {
        let max_ttl = self.server_max_ttl.map(|_| "--server-max-ttl");
        let algorithms = self.server_audience_algorithms.as_ref().map(|_| "--server-audience-algorithms");
        max_ttl.into_iter().chain(algorithms)
    }

    pub(super) fn rules(&self) -> Result<IssueRules, Failure> {
        let max_ttl = match self.server_max_ttl {
            Some(cap) => Ttl::from_seconds(cap.as_secs())
                .ok_or_else(|| Failure::usage("--server-max-ttl: must be at least one second"))?,
            // Unless it is said, the server's own cap is not known here: one above all that permissions can allow.
            None => Ttl::from_minutes(366 * 24 * 60),
        };
        let rules = self.server_audience_algorithms.as_deref().unwrap_or_default();
        let audience_algorithms = audience_rules(rules)
            .collect::<Result<_, _>>()
            .map_err(|problem| Failure::usage(format!("--server-audience-algorithms: {problem}")))?;
        Ok(IssueRules { max_ttl, audience_algorithms })
    }
}

/// A method by its name.
pub(super) fn method(text: &str) -> Result<Method, String> {
    let found = Method::ALL.into_iter().find(|method| method.name() == text);
    found.ok_or_else(|| format!("must be one of {}", Method::ALL.map(Method::name).join(", ")))
}

fn json(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| format!("must be JSON: {error}"))
}
