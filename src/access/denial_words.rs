//! What a denied caller is told: the client, the value, the missing permission and the command that grants it.

use std::time::Duration;

use super::{
    DenialReason,
    check::{Check, Place},
    line::{Line, List, Rule},
};
use crate::model::{Bounded, Client, Method, Ttl};

/// A denial that is put into words.
pub(super) struct Words<'a> {
    pub(super) check: &'a Check<'a>,
    pub(super) client: &'a Client,
    /// The line that forbids it.
    pub(super) line: Option<Line>,
}

impl Words<'_> {
    /// The denial in a sentence. It repeats what the caller sent, and nothing of a token or a session that the caller named.
    pub(super) fn message(&self) -> String {
        let (field, client) = (self.check.place, &self.client.client_id);
        match (self.check.reason, self.check.rule) {
            (DenialReason::UserScope, _) => format!("the user does not have {}", self.sent("scope")),
            (DenialReason::SessionAudience, _) => format!("the session is not for {}", self.sent("audience")),
            (DenialReason::SessionScope, _) => format!("the session does not have {}", self.sent("scope")),
            (DenialReason::TokenScope, _) => {
                format!("the subject token does not have {}", self.sent("scope"))
            }
            (DenialReason::Actor, _) => "the subject token's `may_act` does not name this actor".to_owned(),
            (DenialReason::Impersonation, _) => format!(
                "client \"{client}\" may exchange no token without an actor token; send one, or set permissions.impersonate \
                 (tokend client update {client} --impersonate true)"
            ),
            (DenialReason::Exceeding, _) => format!(
                "client \"{client}\" lacks {field}, and may administer only clients whose permissions it has itself"
            ),
            (_, Rule::MaxTtl { asked, most }) => self.too_long(asked, most),
            (DenialReason::Claim, _) if self.line.is_some() => format!(
                "client \"{client}\" may not have this value in {field}; add it to permissions.claim_values \
                 (tokend client update {client} --claim-value NAME=PATTERN replaces the list)"
            ),
            (_, Rule::List(list)) => self.not_listed(list),
            (_, Rule::Other) => format!("client \"{client}\" may not have {field}"),
        }
    }

    /// The same for programs.
    pub(super) fn metadata(&self) -> Vec<(&'static str, String)> {
        let mut metadata = vec![("client", self.client.client_id.to_string())];
        let value = match self.method() {
            Some(method) => Some(method.to_owned()),
            None => self.told_value().map(|value| Bounded(value).to_string()),
        };
        metadata.extend(value.map(|value| ("value", value)));
        match self.check.rule {
            Rule::List(list) => metadata.push(("permission", list.name().to_owned())),
            Rule::MaxTtl { most, .. } => {
                metadata.push(("max_ttl", format!("{}s", most.seconds())));
                if self.line == Some(Line::MaxTtl) {
                    metadata.push(("permission", "max_ttl".to_owned()));
                } else {
                    metadata.push(("setting", "max_ttl".to_owned()));
                }
            }
            Rule::Other => {}
        }
        metadata
    }

    /// The value for the log. A name at Login is not logged: it may be a password that was typed into the wrong field.
    pub(super) fn loggable_value(&self) -> Option<&str> {
        let is_name = matches!(self.check.rule, Rule::List(List::LoginUsernames));
        self.method().or_else(|| self.check.value.filter(|_| !is_name && !self.is_claim_value()))
    }

    /// The value, if the request holds it as it is.
    fn told_value(&self) -> Option<&str> {
        let is_sent = match self.check.place {
            Place::Field(name) => {
                matches!(name, "subject" | "client_id" | "client.client_id")
            }
            Place::Item(..) | Place::Claim(_) => !self.is_claim_value(),
            Place::Method(_) | Place::Permission(..) => false,
        };
        self.check.value.filter(|_| is_sent)
    }

    /// The method that is missing, for a check of one.
    const fn method(&self) -> Option<&'static str> {
        match (self.check.reason, self.check.place) {
            (_, Place::Method(method)) => Some(method.name()),
            // A refresh token is asked for by another method.
            (DenialReason::Method, _) => Some(Method::RefreshToken.name()),
            _ => None,
        }
    }

    /// Whether the check is of a claim's value, and not of its name.
    fn is_claim_value(&self) -> bool {
        self.check.reason == DenialReason::Claim && self.line.is_some()
    }

    /// `scope "write"`
    fn sent(&self, kind: &str) -> String {
        self.told_value()
            .map_or_else(|| format!("this {kind}"), |value| format!("{kind} \"{}\"", Bounded(value)))
    }

    fn too_long(&self, asked: Ttl, most: Ttl) -> String {
        let client = &self.client.client_id;
        let [asked, most] = [asked, most]
            .map(|ttl| humantime::format_duration(Duration::from_secs(ttl.seconds())).to_string());
        if self.line == Some(Line::MaxTtl) {
            let flag = asked.replace(' ', "");
            format!(
                "ttl {asked} is longer than {most}, which permissions.max_ttl of client \"{client}\" allows \
                 (tokend client update {client} --max-ttl {flag})"
            )
        } else {
            format!("ttl {asked} is longer than {most}, which the server's setting max_ttl allows")
        }
    }

    fn not_listed(&self, list: List) -> String {
        let (client, name, field) = (&self.client.client_id, list.name(), self.check.place);
        let what = match list {
            List::Methods => format!("call {}", self.method().unwrap_or_default()),
            List::Audiences | List::VerifyAudiences if self.check.value.is_none() => {
                let (verb, other) = match list {
                    List::Audiences => ("have tokens for", "any audience of the token"),
                    _ => ("verify", "any audience"),
                };
                format!("{verb} {other}")
            }
            List::Audiences => format!("have tokens for {}", self.sent("audience")),
            List::Scopes => format!("have tokens with {}", self.sent("scope")),
            List::Subjects => format!("have tokens about {}", self.sent("subject")),
            List::Claims => format!("have tokens with {}", self.sent("claim")),
            List::VerifyAudiences => format!("verify {}", self.sent("audience")),
            List::VerifyIssuers => "verify tokens of this issuer".to_owned(),
            List::LoginUsernames => "log in this user".to_owned(),
            List::RevokeSubjects if self.told_value().is_some() => format!("revoke {}", self.sent("subject")),
            List::RevokeSubjects => format!("revoke what {field} names"),
            List::RevokeClients => format!("revoke {}", self.sent("client")),
            List::ExchangeSubjects => format!("exchange tokens of the subject of {field}"),
            List::ExchangeAudiences => {
                format!("use {field}: it is for other audiences than the client's own id")
            }
            List::ExchangeIssuers => format!("use tokens of the issuer of {field}"),
            List::ExchangeActors => format!("present tokens of the subject of {field}"),
            List::AdminClients => format!("administer {}", self.sent("client")),
        };
        let (add, argument) = match self.argument() {
            Some(value) => ("it", value),
            // The owner of the target is unknown.
            None if list == List::RevokeSubjects && self.check.value.is_none() => ("`*`", "'*'"),
            None => ("a matching pattern", "PATTERN"),
        };
        let flag = name.trim_end_matches('s').replace('_', "-");
        format!(
            "client \"{client}\" may not {what}; add {add} to permissions.{name} \
             (tokend client update {client} --add-{flag} {argument})"
        )
    }

    /// The value as an argument in a shell. None where the caller does not know it, or where it would be read as a pattern, as a flag
    /// or as more than one word.
    fn argument(&self) -> Option<&str> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._:/@+=%-".contains(&byte);
        self.method().or_else(|| self.told_value()).filter(|value| {
            !value.is_empty()
                && !value.starts_with('-')
                && value.bytes().all(is_plain)
                && Bounded(value).to_string() == **value
        })
    }
}
