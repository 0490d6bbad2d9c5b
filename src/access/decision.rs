//! The decisions of policy about the values of a request.

use std::{borrow::Cow, fmt, sync::Arc};

use super::{
    DenialReason,
    denial::Denial,
    rule::{Permission, Rule},
};
use crate::model::{Bounded, Client, Method};

/// The most values of a request in the text of its decisions, so that the audit log stays readable.
const MAX_NAMED: usize = 16;

/// The check of one value.
#[derive(Debug, Clone)]
pub(crate) struct Check<'a> {
    /// The value's position in the request.
    pub(crate) field: Field<'a>,
    /// The value, if it is a text.
    pub(crate) value: Option<&'a str>,
    /// The permission that decides.
    pub(super) permission: Permission,
    pub(crate) reason: DenialReason,
    /// The decision.
    pub(crate) verdict: Verdict,
}

impl Check<'_> {
    pub(super) const fn is_allowed(&self) -> bool {
        matches!(self.verdict, Verdict::Allowed(_))
    }
}

/// The decision about a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Allowed(Rule),
    /// Denied by this rule, or because no rule allows the value.
    Denied(Option<Rule>),
}

impl Verdict {
    pub(super) fn by(rule: Option<Rule>) -> Self {
        rule.map_or(Self::Denied(None), Self::Allowed)
    }
}

/// The position of a value in a request.
#[derive(Debug, Clone)]
pub(crate) enum Field<'a> {
    Method(Method),
    Name(&'static str),
    /// An item of a list.
    Item(&'static str, usize),
    /// An extra claim.
    Claim(Cow<'a, str>),
    /// An item of a list in the permissions of the administered client.
    Permission(&'static str, usize),
}

impl Field<'_> {
    /// A copy that may outlive the request, with a claim name of bounded length.
    pub(super) fn into_static(self) -> Field<'static> {
        match self {
            Self::Claim(name) => Field::Claim(Cow::Owned(Bounded(&name).to_string())),
            Self::Method(method) => Field::Method(method),
            Self::Name(name) => Field::Name(name),
            Self::Item(name, index) => Field::Item(name, index),
            Self::Permission(name, index) => Field::Permission(name, index),
        }
    }
}

impl fmt::Display for Field<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Method(method) => f.write_str(method.name()),
            Self::Name(name) => f.write_str(name),
            Self::Item(name, index) => write!(f, "{name}[{index}]"),
            Self::Permission(name, index) => write!(f, "client.permissions.{name}[{index}]"),
            Self::Claim(name) => write!(f, "claims.{}", Bounded(name)),
        }
    }
}

/// The rules that allowed the values of a request, for the audit log. Bounded, because events wait in memory.
#[derive(Debug, Clone, Default)]
pub(super) struct Decisions {
    named: Vec<(Field<'static>, Verdict)>,
    more: usize,
}

impl Decisions {
    /// The rules that allow the values; else the first denial.
    pub(super) fn of<'a>(client: &Client, checks: impl Iterator<Item = Check<'a>>) -> Result<Self, Denial> {
        let mut decisions = Self::default();
        for check in checks {
            if let Some(denial) = Denial::of(&check, client) {
                return Err(denial);
            }
            decisions.add(check);
        }
        Ok(decisions)
    }

    fn add(&mut self, check: Check<'_>) {
        if self.named.len() < MAX_NAMED {
            self.named.push((check.field.into_static(), check.verdict));
        } else {
            self.more += 1;
        }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.named.is_empty()
    }
}

/// The text of a grant's decisions: `audiences[0] by permissions.audiences[2] "billing-*"`, and so on.
pub(super) struct DecisionsText {
    pub(super) client: Arc<Client>,
    pub(super) decisions: Decisions,
}

impl DecisionsText {
    /// Decides `checks` again.
    pub(super) fn of<'a>(client: &Arc<Client>, checks: impl IntoIterator<Item = Check<'a>>) -> Self {
        let mut decisions = Decisions::default();
        checks.into_iter().for_each(|check| decisions.add(check));
        Self { client: Arc::clone(client), decisions }
    }
}

impl fmt::Display for DecisionsText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (field, verdict)) in self.decisions.named.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            match verdict {
                Verdict::Allowed(rule) => write!(f, "{separator}{field} by {}", rule.of(&self.client))?,
                Verdict::Denied(_) => write!(f, "{separator}{field} denied")?,
            }
        }
        match self.decisions.more {
            0 => Ok(()),
            more => write!(f, ", and {more} more"),
        }
    }
}
