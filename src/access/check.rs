//! The checks of each request, in order. Checks are lazy and allocate nothing.

use std::{borrow::Cow, iter};

use super::{
    DenialReason, IssueRules,
    claim_value::is_among,
    decision::{Check, Field, Verdict},
    rule::{Entitlement, PatternList, Permission, Rule},
};
use crate::model::{Client, ExtraClaims, Method, Ttl};

/// A requested token, with the client's defaults.
#[derive(Debug, Clone, Copy)]
pub(super) struct RequestedToken<'a> {
    pub(super) subject: Option<&'a str>,
    pub(super) audiences: &'a [String],
    pub(super) scopes: &'a [String],
    pub(super) claims: &'a ExtraClaims,
    pub(super) ttl: Option<Ttl>,
    pub(super) with_session: bool,
}

pub(super) fn method(client: &Client, method: Method) -> Check<'_> {
    let list = PatternList::Methods;
    Check {
        field: Field::Method(method),
        value: None,
        permission: Permission::List(list),
        reason: DenialReason::Method,
        verdict: Verdict::by(listed(client, list, method.name()).or_else(|| by_role(client, method))),
    }
}

/// The client's role that allows the method.
pub(super) fn by_role(client: &Client, method: Method) -> Option<Rule> {
    client.settings.permissions.roles.iter().position(|role| role.allows(method)).map(Rule::Role)
}

/// The checks of IssueToken.
pub(super) fn issue<'a>(
    client: &'a Client,
    requested: RequestedToken<'a>,
    rules: &'a IssueRules,
) -> impl Iterator<Item = Check<'a>> {
    iter::once_with(move || method(client, Method::IssueToken)).chain(token(client, requested, rules))
}

/// The checks of a token that is not about a user.
pub(super) fn token<'a>(
    client: &'a Client,
    requested: RequestedToken<'a>,
    rules: &'a IssueRules,
) -> impl Iterator<Item = Check<'a>> {
    let subject = requested.subject.unwrap_or(client.client_id.as_str());
    each(client, PatternList::Audiences, "audiences", requested.audiences)
        .chain(each(client, PatternList::Scopes, "scopes", requested.scopes))
        .chain(subject_and_claims(client, subject, requested.claims))
        .chain(lifetime_and_session(client, requested, rules))
}

/// The checks of a token whose subject and claims the client does not choose.
pub(super) fn user_token<'a>(
    client: &'a Client,
    requested: RequestedToken<'a>,
    rules: &'a IssueRules,
) -> impl Iterator<Item = Check<'a>> {
    each(client, PatternList::Audiences, "audiences", requested.audiences)
        .chain(each(client, PatternList::Scopes, "scopes", requested.scopes))
        .chain(lifetime_and_session(client, requested, rules))
}

/// The checks of VerifyToken except for the method: the named audiences, or that there is any.
pub(super) fn verify<'a>(client: &'a Client, audiences: &'a [String]) -> impl Iterator<Item = Check<'a>> {
    let none = audiences.is_empty() && client.settings.permissions.verify_audiences.is_empty();
    introspect(client, audiences).chain(none.then(|| no_audience(PatternList::VerifyAudiences)))
}

/// The checks of IntrospectToken except for the method. Without an audience, a client may introspect its own tokens.
pub(super) fn introspect<'a>(client: &'a Client, audiences: &'a [String]) -> impl Iterator<Item = Check<'a>> {
    each(client, PatternList::VerifyAudiences, "audiences", audiences)
}

/// Whether the client accepts tokens of `issuer` at VerifyToken and IntrospectToken. `is_own`: `issuer` is this server's.
pub(super) fn verified_issuer<'a>(client: &Client, issuer: &'a str, is_own: bool) -> Check<'a> {
    let (list, reason) = (PatternList::VerifyIssuers, DenialReason::VerifiedIssuer);
    listed_or(is_own.then_some(Rule::OwnIssuer), client, Field::Name("token"), list, issuer, reason)
}

/// The checks of Login before the user is known.
pub(super) fn login<'a>(
    client: &'a Client,
    username: &'a str,
    requested: RequestedToken<'a>,
    rules: &'a IssueRules,
) -> impl Iterator<Item = Check<'a>> {
    let (list, reason) = (PatternList::LoginUsernames, DenialReason::Subject);
    let user = listed_or(None, client, Field::Name("username"), list, username, reason);
    [method(client, Method::Login), user].into_iter().chain(user_token(client, requested, rules))
}

/// The checks of RefreshToken before the session is known.
pub(super) fn refresh<'a>(
    client: &'a Client,
    audiences: &'a [String],
    scopes: &'a [String],
) -> impl Iterator<Item = Check<'a>> {
    iter::once_with(move || method(client, Method::RefreshToken))
        .chain(each(client, PatternList::Audiences, "audiences", audiences))
        .chain(each(client, PatternList::Scopes, "scopes", scopes))
}

/// The checks of a token's subject and extra claims.
pub(super) fn subject_and_claims<'a>(
    client: &'a Client,
    subject: &'a str,
    claims: &'a ExtraClaims,
) -> impl Iterator<Item = Check<'a>> {
    iter::once_with(move || self::subject(client, subject))
        .chain(claims.members().iter().flat_map(move |(name, json)| claim(client, name, json)))
}

/// Whether each requested value is in the entitlement.
pub(super) fn among<'a>(
    entitlement: Entitlement,
    requested: &'a [String],
    entitled: &'a [String],
) -> impl Iterator<Item = Check<'a>> {
    requested.iter().enumerate().map(move |(index, value)| Check {
        field: Field::Item(entitlement.field(), index),
        value: Some(value),
        permission: Permission::Other,
        reason: entitlement.reason(),
        verdict: Verdict::by(entitled.contains(value).then_some(Rule::Entitlement(entitlement))),
    })
}

/// The default audiences of a session or a token: those that the client may have. There must be one; else the token would get the
/// client's default audiences.
pub(super) fn default_audiences<'a>(
    client: &'a Client,
    entitled: &'a [String],
) -> impl Iterator<Item = Check<'a>> {
    let none = !entitled.iter().any(|audience| listed(client, PatternList::Audiences, audience).is_some());
    each(client, PatternList::Audiences, "audiences", entitled)
        .filter(Check::is_allowed)
        .chain(none.then(|| no_audience(PatternList::Audiences)))
}

/// The default scopes of a session or a token: those that the client may have.
pub(super) fn default_scopes<'a>(
    client: &'a Client,
    entitled: &'a [String],
) -> impl Iterator<Item = Check<'a>> {
    each(client, PatternList::Scopes, "scopes", entitled).filter(Check::is_allowed)
}

/// The checks of ExchangeToken before the tokens are verified.
pub(super) fn exchange<'a>(
    client: &'a Client,
    has_actor: bool,
    requested: RequestedToken<'a>,
    rules: &'a IssueRules,
) -> impl Iterator<Item = Check<'a>> {
    let impersonation = Check {
        field: Field::Name("actor_token"),
        value: None,
        permission: Permission::Other,
        reason: DenialReason::Impersonation,
        verdict: Verdict::by(client.settings.permissions.impersonate.then_some(Rule::Impersonate)),
    };
    iter::once_with(move || method(client, Method::ExchangeToken))
        .chain((!has_actor).then_some(impersonation))
        .chain(user_token(client, requested, rules))
}

/// Whether the client may exchange tokens with this subject.
pub(super) fn exchanged_subject<'a>(client: &Client, subject: &'a str) -> Check<'a> {
    let (list, reason) = (PatternList::ExchangeSubjects, DenialReason::TokenSubject);
    listed_or(None, client, Field::Name("subject_token"), list, subject, reason)
}

/// Whether the client may present an actor token with this subject.
pub(super) fn exchange_actor<'a>(client: &Client, subject: &'a str) -> Check<'a> {
    let (list, reason) = (PatternList::ExchangeActors, DenialReason::TokenSubject);
    listed_or(None, client, Field::Name("actor_token"), list, subject, reason)
}

/// Whether the client may use a token of another issuer.
pub(super) fn exchanged_issuer<'a>(client: &Client, field: &'static str, issuer: &'a str) -> Check<'a> {
    let (list, reason) = (PatternList::ExchangeIssuers, DenialReason::TokenIssuer);
    listed_or(None, client, Field::Name(field), list, issuer, reason)
}

/// Whether the client may use a token with these audiences: a stolen token for other services must be useless to the client.
pub(super) fn exchanged_audience<'a>(
    client: &Client,
    field: &'static str,
    audiences: &'a [String],
) -> Check<'a> {
    let list = PatternList::ExchangeAudiences;
    let rule = match audiences.iter().any(|audience| *audience == client.client_id.as_str()) {
        true => Some(Rule::OwnId),
        false => audiences.iter().find_map(|audience| listed(client, list, audience)),
    };
    Check {
        field: Field::Name(field),
        value: audiences.first().map(String::as_str),
        permission: Permission::List(list),
        reason: DenialReason::TokenAudience,
        verdict: Verdict::by(rule),
    }
}

pub(super) fn values<'a>(checks: impl Iterator<Item = Check<'a>>) -> Vec<String> {
    checks.filter_map(|check| check.value).map(str::to_owned).collect()
}

/// Whether the client may have this claim with this value in tokens.
pub(super) fn allows_claim(client: &Client, name: &str, json: &str) -> bool {
    claim(client, name, json).all(|check| check.is_allowed())
}

fn each<'a>(
    client: &'a Client,
    list: PatternList,
    field: &'static str,
    values: &'a [String],
) -> impl Iterator<Item = Check<'a>> {
    let reason = match list {
        PatternList::Scopes => DenialReason::Scope,
        _ => DenialReason::Audience,
    };
    let check = move |(index, value)| listed_or(None, client, Field::Item(field, index), list, value, reason);
    values.iter().map(String::as_str).enumerate().map(check)
}

/// A denial because there is no audience.
const fn no_audience(list: PatternList) -> Check<'static> {
    Check {
        field: Field::Name("audiences"),
        value: None,
        permission: Permission::List(list),
        reason: DenialReason::Audience,
        verdict: Verdict::Denied(None),
    }
}

fn subject<'a>(client: &Client, subject: &'a str) -> Check<'a> {
    let is_own = subject == client.client_id.as_str();
    let (list, reason) = (PatternList::Subjects, DenialReason::Subject);
    listed_or(is_own.then_some(Rule::OwnId), client, Field::Name("subject"), list, subject, reason)
}

/// The claim's name, and its value for each rule about the claim.
fn claim<'a>(client: &'a Client, name: &'a str, json: &'a str) -> impl Iterator<Item = Check<'a>> {
    let (list, reason) = (PatternList::Claims, DenialReason::Claim);
    let check = move |value| listed_or(None, client, Field::Claim(Cow::Borrowed(name)), list, value, reason);
    let rules = client.settings.permissions.claim_values.iter().enumerate();
    let about_claim = rules.filter(move |(_, allowed)| allowed.outermost_claim() == name);
    iter::once_with(move || check(name)).chain(about_claim.map(move |(index, allowed)| {
        let rule = Rule::ClaimValues(index);
        let verdict =
            if is_among(json, allowed) { Verdict::Allowed(rule) } else { Verdict::Denied(Some(rule)) };
        Check {
            field: Field::Claim(Cow::Borrowed(name)),
            value: Some(json),
            permission: Permission::List(list),
            reason,
            verdict,
        }
    }))
}

fn lifetime_and_session<'a>(
    client: &'a Client,
    requested: RequestedToken<'a>,
    rules: &'a IssueRules,
) -> impl Iterator<Item = Check<'a>> {
    // A refresh token needs the permission to call RefreshToken.
    let session =
        move || Check { field: Field::Name("include_refresh_token"), ..method(client, Method::RefreshToken) };
    let lifetime = requested.ttl.into_iter().map(move |ttl| lifetime(client, ttl, rules));
    lifetime.chain(requested.with_session.then(session))
}

fn lifetime<'a>(client: &Client, requested: Ttl, rules: &IssueRules) -> Check<'a> {
    let own = client.settings.permissions.max_ttl;
    let (max, verdict) = if requested > own {
        (own, Verdict::Denied(Some(Rule::MaxTtl)))
    } else if requested > rules.max_ttl {
        (rules.max_ttl, Verdict::Denied(Some(Rule::ServerMaxTtl)))
    } else {
        (own, Verdict::Allowed(Rule::MaxTtl))
    };
    let permission = Permission::MaxTtl { requested, max };
    Check { field: Field::Name("ttl"), value: None, permission, reason: DenialReason::Ttl, verdict }
}

/// Checks `value` by `rule`, or else by a list of the client's permissions.
fn listed_or<'a>(
    rule: Option<Rule>,
    client: &Client,
    field: Field<'a>,
    list: PatternList,
    value: &'a str,
    reason: DenialReason,
) -> Check<'a> {
    let verdict = Verdict::by(rule.or_else(|| listed(client, list, value)));
    Check { field, value: Some(value), permission: Permission::List(list), reason, verdict }
}

/// The rule of `list` that matches `value`.
pub(super) fn listed(client: &Client, list: PatternList, value: &str) -> Option<Rule> {
    let patterns = list.patterns(&client.settings.permissions);
    patterns.iter().position(|pattern| pattern.matches(value)).map(|index| Rule::Pattern(list, index))
}
