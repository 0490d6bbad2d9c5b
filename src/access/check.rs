//! What policy looks at, in its order: each value that is asked for, and the line that decides about it. Nothing here is
//! computed before somebody asks for it, and nothing takes memory of its own.

use std::{fmt, iter};

use super::{
    DenialReason, IssueRules,
    claim_value::is_among,
    line::{Held, Line, List, Rule},
};
use crate::model::{Bounded, Client, ExtraClaims, Method, Ttl};

/// One value, and what policy says about it.
#[derive(Debug, Clone)]
pub(crate) struct Check<'a> {
    /// Where the value stands in the request.
    pub(crate) place: Place<'a>,
    /// The value, where it is a text.
    pub(crate) value: Option<&'a str>,
    /// What decides.
    pub(super) rule: Rule,
    /// What it is for a denial.
    pub(crate) reason: DenialReason,
    /// What policy says.
    pub(crate) verdict: Verdict,
}

impl Check<'_> {
    pub(super) const fn is_allowed(&self) -> bool {
        matches!(self.verdict, Verdict::Allowed(_))
    }
}

/// What policy says about a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Yes, by this line.
    Allowed(Line),
    /// No: by this line, or because no line says yes.
    Denied(Option<Line>),
}

impl Verdict {
    pub(super) fn by(line: Option<Line>) -> Self {
        line.map_or(Self::Denied(None), Self::Allowed)
    }
}

/// Where a value stands.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Place<'a> {
    /// It is the method.
    Method(Method),
    /// A field.
    Field(&'static str),
    /// An item of a list.
    Item(&'static str, usize),
    /// An extra claim.
    Claim(&'a str),
    /// An item of a list among the permissions of the client that is administered.
    Permission(&'static str, usize),
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Method(method) => f.write_str(method.name()),
            Self::Field(name) => f.write_str(name),
            Self::Item(name, index) => write!(f, "{name}[{index}]"),
            Self::Permission(name, index) => write!(f, "client.permissions.{name}[{index}]"),
            Self::Claim(name) => write!(f, "claims.{}", Bounded(name)),
        }
    }
}

/// A token that is asked for, with the client's defaults where it asks for none.
#[derive(Debug, Clone, Copy)]
pub(super) struct AskedToken<'a> {
    pub(super) subject: Option<&'a str>,
    pub(super) audiences: &'a [String],
    pub(super) scopes: &'a [String],
    pub(super) claims: &'a ExtraClaims,
    pub(super) ttl: Option<Ttl>,
    pub(super) with_session: bool,
}

/// The method.
pub(super) fn method(client: &Client, method: Method) -> Check<'_> {
    let by_role = || by_role(client, method);
    Check {
        place: Place::Method(method),
        value: None,
        rule: Rule::List(List::Methods),
        reason: DenialReason::Method,
        verdict: Verdict::by(listed(client, List::Methods, method.name()).or_else(by_role)),
    }
}

/// The client's role that allows the method.
pub(super) fn by_role(client: &Client, method: Method) -> Option<Line> {
    client.settings.permissions.roles.iter().position(|role| role.allows(method)).map(Line::Role)
}

/// All that IssueToken looks at.
pub(super) fn issue<'a>(
    client: &'a Client,
    asked: AskedToken<'a>,
    rules: &'a IssueRules,
) -> impl Iterator<Item = Check<'a>> {
    iter::once_with(move || method(client, Method::IssueToken)).chain(token(client, asked, rules))
}

/// All that is looked at of a token that is about no user.
pub(super) fn token<'a>(
    client: &'a Client,
    asked: AskedToken<'a>,
    rules: &'a IssueRules,
) -> impl Iterator<Item = Check<'a>> {
    let subject = asked.subject.unwrap_or(client.client_id.as_str());
    each(client, List::Audiences, "audiences", asked.audiences)
        .chain(each(client, List::Scopes, "scopes", asked.scopes))
        .chain(about(client, subject, asked.claims))
        .chain(asked.ttl.into_iter().map(move |ttl| life(client, ttl, rules)))
        .chain(asked.with_session.then(|| refresh_token(client)))
}

/// All that VerifyToken looks at besides its method: the audiences that are named, or whether there are any.
pub(super) fn verify<'a>(client: &'a Client, audiences: &'a [String]) -> impl Iterator<Item = Check<'a>> {
    let none = audiences.is_empty() && client.settings.permissions.verify_audiences.is_empty();
    each(client, List::VerifyAudiences, "audiences", audiences)
        .chain(none.then(|| no_audience(List::VerifyAudiences)))
}

/// All that IntrospectToken looks at besides its method: whoever has no audience sees its own tokens.
pub(super) fn introspect<'a>(client: &'a Client, audiences: &'a [String]) -> impl Iterator<Item = Check<'a>> {
    each(client, List::VerifyAudiences, "audiences", audiences)
}

/// Whether the client accepts tokens of `issuer` at VerifyToken and IntrospectToken; `is_own`: of this server's.
pub(super) fn verified_issuer<'a>(client: &Client, issuer: &'a str, is_own: bool) -> Check<'a> {
    let own = is_own.then_some(Line::OwnIssuer);
    Check {
        place: Place::Field("token"),
        value: Some(issuer),
        rule: Rule::List(List::VerifyIssuers),
        reason: DenialReason::VerifiedIssuer,
        verdict: Verdict::by(own.or_else(|| listed(client, List::VerifyIssuers, issuer))),
    }
}

/// All that Login looks at before it knows the user.
pub(super) fn login<'a>(
    client: &'a Client,
    username: &'a str,
    asked: AskedToken<'a>,
    rules: &'a IssueRules,
) -> impl Iterator<Item = Check<'a>> {
    let user = Check {
        place: Place::Field("username"),
        value: Some(username),
        rule: Rule::List(List::LoginUsernames),
        reason: DenialReason::Subject,
        verdict: Verdict::by(listed(client, List::LoginUsernames, username)),
    };
    [method(client, Method::Login), user].into_iter().chain(user_token(client, asked, rules))
}

/// All that is looked at of a token whose subject and claims are not the client's to choose, but a user's or another token's.
pub(super) fn user_token<'a>(
    client: &'a Client,
    asked: AskedToken<'a>,
    rules: &'a IssueRules,
) -> impl Iterator<Item = Check<'a>> {
    each(client, List::Audiences, "audiences", asked.audiences)
        .chain(each(client, List::Scopes, "scopes", asked.scopes))
        .chain(asked.ttl.into_iter().map(move |ttl| life(client, ttl, rules)))
        .chain(asked.with_session.then(|| refresh_token(client)))
}

/// All that RefreshToken looks at before it knows the session.
pub(super) fn refresh<'a>(
    client: &'a Client,
    audiences: &'a [String],
    scopes: &'a [String],
) -> impl Iterator<Item = Check<'a>> {
    iter::once_with(move || method(client, Method::RefreshToken))
        .chain(each(client, List::Audiences, "audiences", audiences))
        .chain(each(client, List::Scopes, "scopes", scopes))
}

/// What is looked at of what a token is about: its subject, and the claims that were asked for.
pub(super) fn about<'a>(
    client: &'a Client,
    subject: &'a str,
    claims: &'a ExtraClaims,
) -> impl Iterator<Item = Check<'a>> {
    iter::once_with(move || self::subject(client, subject))
        .chain(claims.members().iter().flat_map(move |(name, json)| claim(client, name, json)))
}

/// Whether each value that is asked for is among those that there are.
pub(super) fn among<'a>(
    held: Held,
    asked: &'a [String],
    has: &'a [String],
) -> impl Iterator<Item = Check<'a>> {
    asked.iter().enumerate().map(move |(index, value)| Check {
        place: Place::Item(held.field(), index),
        value: Some(value),
        rule: Rule::Other,
        reason: held.reason(),
        verdict: Verdict::by(has.contains(value).then_some(Line::Held(held))),
    })
}

/// Of the audiences that something has, those that the client may have in tokens: what a token is for if nobody says it. There
/// must be one; else the token would be for the client's default audiences.
pub(super) fn left_audiences<'a>(client: &'a Client, has: &'a [String]) -> impl Iterator<Item = Check<'a>> {
    let none = !has.iter().any(|audience| listed(client, List::Audiences, audience).is_some());
    each(client, List::Audiences, "audiences", has)
        .filter(Check::is_allowed)
        .chain(none.then(|| no_audience(List::Audiences)))
}

/// Of the scopes that something has, those that the client may have in tokens.
pub(super) fn left_scopes<'a>(client: &'a Client, has: &'a [String]) -> impl Iterator<Item = Check<'a>> {
    each(client, List::Scopes, "scopes", has).filter(Check::is_allowed)
}

/// All that ExchangeToken looks at before it looks at a token.
pub(super) fn exchange<'a>(
    client: &'a Client,
    is_acting: bool,
    asked: AskedToken<'a>,
    rules: &'a IssueRules,
) -> impl Iterator<Item = Check<'a>> {
    let impersonate = client.settings.permissions.impersonate.then_some(Line::Impersonate);
    let alone = Check {
        place: Place::Field("actor_token"),
        value: None,
        rule: Rule::Other,
        reason: DenialReason::Impersonation,
        verdict: Verdict::by(impersonate),
    };
    iter::once_with(move || method(client, Method::ExchangeToken))
        .chain((!is_acting).then_some(alone))
        .chain(user_token(client, asked, rules))
}

/// Whether the client may exchange tokens of this subject.
pub(super) fn exchanged_subject<'a>(client: &Client, subject: &'a str) -> Check<'a> {
    Check {
        place: Place::Field("subject_token"),
        value: Some(subject),
        rule: Rule::List(List::ExchangeSubjects),
        reason: DenialReason::TokenSubject,
        verdict: Verdict::by(listed(client, List::ExchangeSubjects, subject)),
    }
}

/// Whether the client may show a token of this subject as the actor's.
pub(super) fn exchange_actor<'a>(client: &Client, subject: &'a str) -> Check<'a> {
    Check {
        place: Place::Field("actor_token"),
        rule: Rule::List(List::ExchangeActors),
        verdict: Verdict::by(listed(client, List::ExchangeActors, subject)),
        ..exchanged_subject(client, subject)
    }
}

/// Whether the client may use a token of another issuer.
pub(super) fn exchanged_issuer<'a>(client: &Client, field: &'static str, issuer: &'a str) -> Check<'a> {
    Check {
        place: Place::Field(field),
        value: Some(issuer),
        rule: Rule::List(List::ExchangeIssuers),
        reason: DenialReason::TokenIssuer,
        verdict: Verdict::by(listed(client, List::ExchangeIssuers, issuer)),
    }
}

/// Whether the client may use a token that is for these: whoever gets hold of a token for others must gain nothing by it.
pub(super) fn exchanged_audience<'a>(
    client: &Client,
    field: &'static str,
    audiences: &'a [String],
) -> Check<'a> {
    let own = |audience: &&String| *audience == client.client_id.as_str();
    let line = match audiences.iter().find(own) {
        Some(_) => Some(Line::OwnId),
        None => audiences.iter().find_map(|audience| listed(client, List::ExchangeAudiences, audience)),
    };
    Check {
        place: Place::Field(field),
        value: audiences.first().map(String::as_str),
        rule: Rule::List(List::ExchangeAudiences),
        reason: DenialReason::TokenAudience,
        verdict: Verdict::by(line),
    }
}

/// The values that were looked at.
pub(super) fn values<'a>(checks: impl Iterator<Item = Check<'a>>) -> Vec<String> {
    checks.filter_map(|check| check.value).map(str::to_owned).collect()
}

/// Whether the client may have this claim, with this value, in tokens.
pub(super) fn allows_claim(client: &Client, name: &str, json: &str) -> bool {
    claim(client, name, json).all(|check| check.is_allowed())
}

fn each<'a>(
    client: &'a Client,
    list: List,
    field: &'static str,
    values: &'a [String],
) -> impl Iterator<Item = Check<'a>> {
    let reason = match list {
        List::Scopes => DenialReason::Scope,
        _ => DenialReason::Audience,
    };
    values.iter().enumerate().map(move |(index, value)| Check {
        place: Place::Item(field, index),
        value: Some(value),
        rule: Rule::List(list),
        reason,
        verdict: Verdict::by(listed(client, list, value)),
    })
}

/// There is no audience at all.
const fn no_audience(list: List) -> Check<'static> {
    Check {
        place: Place::Field("audiences"),
        value: None,
        rule: Rule::List(list),
        reason: DenialReason::Audience,
        verdict: Verdict::Denied(None),
    }
}

fn subject<'a>(client: &Client, subject: &'a str) -> Check<'a> {
    let own = (subject == client.client_id.as_str()).then_some(Line::OwnId);
    Check {
        place: Place::Field("subject"),
        value: Some(subject),
        rule: Rule::List(List::Subjects),
        reason: DenialReason::Subject,
        verdict: Verdict::by(own.or_else(|| listed(client, List::Subjects, subject))),
    }
}

/// The claim's name, and its value for each line that says what it may be.
fn claim<'a>(client: &'a Client, name: &'a str, json: &'a str) -> impl Iterator<Item = Check<'a>> {
    let check = move |value, verdict| Check {
        place: Place::Claim(name),
        value: Some(value),
        rule: Rule::List(List::Claims),
        reason: DenialReason::Claim,
        verdict,
    };
    let named = iter::once_with(move || check(name, Verdict::by(listed(client, List::Claims, name))));
    let restrictions = client.settings.permissions.claim_values.iter().enumerate();
    named.chain(restrictions.filter(move |(_, allowed)| allowed.outermost_claim() == name).map(
        move |(index, allowed)| {
            let line = Line::ClaimValues(index);
            let verdict =
                if is_among(json, allowed) { Verdict::Allowed(line) } else { Verdict::Denied(Some(line)) };
            check(json, verdict)
        },
    ))
}

/// A refresh token is only for those who may use it.
fn refresh_token(client: &Client) -> Check<'_> {
    Check { place: Place::Field("include_refresh_token"), ..method(client, Method::RefreshToken) }
}

fn life<'a>(client: &Client, asked: Ttl, rules: &IssueRules) -> Check<'a> {
    let own = client.settings.permissions.max_ttl;
    let (most, verdict) = if asked > own {
        (own, Verdict::Denied(Some(Line::MaxTtl)))
    } else if asked > rules.max_ttl {
        (rules.max_ttl, Verdict::Denied(Some(Line::ServerMaxTtl)))
    } else {
        (own, Verdict::Allowed(Line::MaxTtl))
    };
    let rule = Rule::MaxTtl { asked, most };
    Check { place: Place::Field("ttl"), value: None, rule, reason: DenialReason::Ttl, verdict }
}

/// The line of `list` that names `value`.
pub(super) fn listed(client: &Client, list: List, value: &str) -> Option<Line> {
    let patterns = list.patterns(&client.settings.permissions);
    patterns.iter().position(|pattern| pattern.matches(value)).map(|index| Line::Pattern(list, index))
}
