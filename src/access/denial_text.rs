//! The message of a denial: the client, the value, the missing permission and the command that grants it.

use std::time::Duration;

use super::{
    DenialReason,
    decision::{Check, Field},
    rule::{PatternList, Permission, Rule},
};
use crate::model::{Bounded, Client, Method, Ttl};

/// A denied check.
pub(super) struct DenialText<'a> {
    pub(super) check: &'a Check<'a>,
    pub(super) client: &'a Client,
    /// The rule that forbids the value.
    pub(super) rule: Option<Rule>,
}

impl DenialText<'_> {
    /// The message to the caller. It may repeat what the caller sent, and nothing of a token or a session.
    pub(super) fn message(&self) -> String {
        let (field, client) = (&self.check.field, &self.client.client_id);
        match (self.check.reason, self.check.permission) {
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
            (_, Permission::MaxTtl { requested, max }) => self.too_long(requested, max),
            (DenialReason::Claim, _) if self.rule.is_some() => format!(
                "client \"{client}\" may not have this value in {field}; add it to permissions.claim_values \
                 (tokend client update {client} --claim-value NAME=PATTERN replaces the list)"
            ),
            (_, Permission::List(list)) => self.not_listed(list),
            (_, Permission::Other) => format!("client \"{client}\" may not have {field}"),
        }
    }

    /// The message for programs.
    pub(super) fn metadata(&self) -> Vec<(&'static str, String)> {
        let mut metadata = vec![("client", self.client.client_id.to_string())];
        let value = match self.method() {
            Some(method) => Some(method.to_owned()),
            None => self.sent_value().map(|value| Bounded(value).to_string()),
        };
        metadata.extend(value.map(|value| ("value", value)));
        match self.check.permission {
            Permission::List(list) => metadata.push(("permission", list.name().to_owned())),
            Permission::MaxTtl { max, .. } => {
                metadata.push(("max_ttl", format!("{}s", max.seconds())));
                if self.rule == Some(Rule::MaxTtl) {
                    metadata.push(("permission", "max_ttl".to_owned()));
                } else {
                    metadata.push(("setting", "max_ttl".to_owned()));
                }
            }
            Permission::Other => {}
        }
        metadata
    }

    /// The value for the log. A username at Login is not logged, because a caller may send a password as the username.
    pub(super) fn loggable_value(&self) -> Option<&str> {
        let is_name = matches!(self.check.permission, Permission::List(PatternList::LoginUsernames));
        self.method().or_else(|| self.check.value.filter(|_| !is_name && !self.is_claim_value()))
    }

    /// The value, if the request contains it literally.
    fn sent_value(&self) -> Option<&str> {
        let is_sent = match self.check.field {
            Field::Name(name) => matches!(name, "subject" | "client_id" | "client.client_id"),
            Field::Item(..) | Field::Claim(_) => !self.is_claim_value(),
            Field::Method(_) | Field::Permission(..) => false,
        };
        self.check.value.filter(|_| is_sent)
    }

    const fn method(&self) -> Option<&'static str> {
        match (self.check.reason, &self.check.field) {
            (_, Field::Method(method)) => Some(method.name()),
            // A refresh token needs the permission to call RefreshToken.
            (DenialReason::Method, _) => Some(Method::RefreshToken.name()),
            _ => None,
        }
    }

    /// Whether the check is about a claim's value rather than its name.
    fn is_claim_value(&self) -> bool {
        self.check.reason == DenialReason::Claim && self.rule.is_some()
    }

    /// `scope "write"`
    fn sent(&self, kind: &str) -> String {
        self.sent_value()
            .map_or_else(|| format!("this {kind}"), |value| format!("{kind} \"{}\"", Bounded(value)))
    }

    fn too_long(&self, requested: Ttl, max: Ttl) -> String {
        let client = &self.client.client_id;
        let [requested, max] = [requested, max]
            .map(|ttl| humantime::format_duration(Duration::from_secs(ttl.seconds())).to_string());
        if self.rule == Some(Rule::MaxTtl) {
            let flag = requested.replace(' ', "");
            format!(
                "ttl {requested} is longer than {max}, which permissions.max_ttl of client \"{client}\" allows \
                 (tokend client update {client} --max-ttl {flag})"
            )
        } else {
            format!("ttl {requested} is longer than {max}, which the server's setting max_ttl allows")
        }
    }

    fn not_listed(&self, list: PatternList) -> String {
        let (client, name, field) = (&self.client.client_id, list.name(), &self.check.field);
        let what = match list {
            PatternList::Methods => format!("call {}", self.method().unwrap_or_default()),
            PatternList::Audiences | PatternList::VerifyAudiences if self.check.value.is_none() => match list
            {
                PatternList::Audiences => "have tokens for any audience of the token".to_owned(),
                _ => "verify any audience".to_owned(),
            },
            PatternList::Audiences => format!("have tokens for {}", self.sent("audience")),
            PatternList::Scopes => format!("have tokens with {}", self.sent("scope")),
            PatternList::Subjects => format!("have tokens about {}", self.sent("subject")),
            PatternList::Claims => format!("have tokens with {}", self.sent("claim")),
            PatternList::VerifyAudiences => format!("verify {}", self.sent("audience")),
            PatternList::VerifyIssuers => "verify tokens of this issuer".to_owned(),
            PatternList::LoginUsernames => "log in this user".to_owned(),
            PatternList::RevokeSubjects if self.sent_value().is_some() => {
                format!("revoke {}", self.sent("subject"))
            }
            PatternList::RevokeSubjects => format!("revoke what {field} names"),
            PatternList::RevokeClients => format!("revoke {}", self.sent("client")),
            PatternList::ExchangeSubjects => format!("exchange tokens of the subject of {field}"),
            PatternList::ExchangeAudiences => {
                format!("use {field}: it is for other audiences than the client's own id")
            }
            PatternList::ExchangeIssuers => format!("use tokens of the issuer of {field}"),
            PatternList::ExchangeActors => format!("present tokens of the subject of {field}"),
            PatternList::AdminClients => format!("administer {}", self.sent("client")),
        };
        let (add, argument) = match self.argument() {
            Some(value) => ("it", value),
            // The owner of the target is unknown.
            None if list == PatternList::RevokeSubjects && self.check.value.is_none() => ("`*`", "'*'"),
            None => ("a matching pattern", "PATTERN"),
        };
        let flag = name.trim_end_matches('s').replace('_', "-");
        format!(
            "client \"{client}\" may not {what}; add {add} to permissions.{name} \
             (tokend client update {client} --add-{flag} {argument})"
        )
    }

    /// The value as a shell argument; none if the caller does not know it, or a shell or tokend would read it as a pattern, a flag or
    /// several words.
    fn argument(&self) -> Option<&str> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._:/@+=%-".contains(&byte);
        self.method().or_else(|| self.sent_value()).filter(|value| {
            !value.is_empty()
                && !value.starts_with('-')
                && value.bytes().all(is_plain)
                && Bounded(value).to_string() == **value
        })
    }
}
