//! Authorizes a token exchange (RFC 8693).
//!
//! The order of the checks is: method, impersonation, audiences, scopes, lifetime; after the tokens are verified, issuer, audience and
//! subject of the subject token, issuer, audience and subject of the actor token, `may_act`, and the scopes of the subject token.
//!
//! An identity is an issuer and a subject. Policy compares subjects in the form of this issuer's tokens, where a subject of another
//! issuer has a prefix; `may_act` and `act` contain the issuer beside the subject.
//!
//! The new token inherits scopes and claims from a token of this issuer, as far as the client may have them. From a token of another
//! issuer it inherits only the subject, because that issuer defines the meaning of its scopes and claims; the client may then request
//! any scope that its own permissions allow.

use std::sync::Arc;

use serde_json::Value;

use super::{
    DenialReason, IssueGrant, IssueRules, PolicyError,
    check::{self, RequestedToken, values},
    decision::{Check, Field, Verdict},
    policy::{all, grant},
    rule::{Entitlement, Permission, Rule},
};
use crate::model::{
    Actor, Client, ExchangeRequest, ExtraClaims, IssueRequest, Method, SessionId, TokenClaims,
};

/// The claim that names the actor of a subject (RFC 8693 section 4.4).
pub(crate) const MAY_ACT: &str = "may_act";

/// Permission to try an exchange.
pub(crate) struct ExchangeGrant {
    client: Arc<Client>,
    request: ExchangeRequest,
}

/// A presented token that is valid.
pub(crate) struct PresentedToken {
    /// The subject in the form of this issuer's tokens.
    pub(crate) subject: String,
    /// The registered claims.
    pub(crate) claims: TokenClaims,
    pub(crate) may_act: Option<Value>,
    /// The other claims of a token that was issued here.
    pub(crate) extra: ExtraClaims,
    /// Whether the token was issued here.
    pub(crate) is_own: bool,
}

impl ExchangeGrant {
    pub(crate) fn subject_token(&self) -> &str {
        &self.request.subject_token
    }

    pub(crate) fn actor_token(&self) -> Option<&str> {
        self.request.actor_token.as_deref()
    }

    /// Permission to issue the new token with the claim `act`, after both tokens are verified.
    pub(crate) fn issue_for(
        self,
        subject: PresentedToken,
        actor: Option<&PresentedToken>,
        act: Option<Actor>,
        own_issuer: &str,
        rules: &IssueRules,
    ) -> Result<IssueGrant, PolicyError> {
        let Self { client, request } = self;
        all(&client, tokens(&client, &request, &subject, actor, own_issuer))?;
        let audiences = match request.audiences.is_empty() {
            true => values(check::default_audiences(&client, &subject.claims.audiences)),
            false => request.audiences,
        };
        let scopes = match request.scopes.is_empty() {
            true => values(check::default_scopes(&client, subject.own_scopes())),
            false => request.scopes,
        };
        let claims = subject.extra.filtered(|name, json| check::allows_claim(&client, name, json));
        // The new token inherits `may_act`; otherwise any client could use it in the next exchange.
        let claims =
            claims.with(subject.own_may_act().map(|may_act| (MAY_ACT.to_owned(), may_act.to_string())));
        let expiry = subject.claims.expire_time;
        let not_after = actor.map_or(expiry, |actor| actor.claims.expire_time.min(expiry));
        // A revocation of the subject token by its issue time also revokes the new token.
        let origin_time = subject.claims.first_issue_time().filter(|_| subject.is_own);
        let session_id = subject.claims.session_id.filter(|_| subject.is_own);
        let request = IssueRequest {
            subject: Some(subject.subject),
            audiences,
            scopes,
            ttl: request.ttl,
            claims,
            ..IssueRequest::default()
        };
        Ok(IssueGrant {
            actor: act,
            not_after: Some(not_after),
            origin_time,
            // A session id of another form names no session of this server.
            session_id: session_id.and_then(|text| SessionId::parse(text).ok()),
            ..grant(&client, Method::ExchangeToken, request, rules)?
        })
    }
}

impl PresentedToken {
    /// The scopes that a new token inherits.
    fn own_scopes(&self) -> &[String] {
        if self.is_own { &self.claims.scopes } else { &[] }
    }

    /// `may_act` in the form of this issuer's tokens: without `iss` it names a subject of the token's issuer.
    fn own_may_act(&self) -> Option<Value> {
        let mut may_act = self.may_act.clone()?;
        if !self.is_own
            && let Value::Object(members) = &mut may_act
        {
            members.entry("iss").or_insert_with(|| Value::from(self.claims.issuer.as_str()));
        }
        Some(may_act)
    }
}

/// Permission to try an exchange.
pub(crate) fn exchange(
    client: &Arc<Client>,
    request: ExchangeRequest,
    rules: &IssueRules,
) -> Result<ExchangeGrant, PolicyError> {
    all(client, at_once(client, &request, rules))?;
    Ok(ExchangeGrant { client: Arc::clone(client), request })
}

/// The checks before the tokens are verified.
pub(super) fn at_once<'a>(
    client: &'a Client,
    request: &'a ExchangeRequest,
    rules: &'a IssueRules,
) -> impl Iterator<Item = Check<'a>> {
    static NONE: ExtraClaims = ExtraClaims::NONE;
    let requested = RequestedToken {
        subject: None,
        audiences: &request.audiences,
        scopes: &request.scopes,
        claims: &NONE,
        ttl: request.ttl,
        with_session: false,
    };
    check::exchange(client, request.actor_token.is_some(), requested, rules)
}

/// The checks after the tokens are verified.
pub(super) fn tokens<'a>(
    client: &'a Client,
    request: &'a ExchangeRequest,
    subject: &'a PresentedToken,
    actor: Option<&'a PresentedToken>,
    own_issuer: &'a str,
) -> impl Iterator<Item = Check<'a>> {
    let client_id = client.client_id.as_str();
    // A client may always present its own token as the actor token.
    let other_actor = actor.filter(|actor| !(actor.is_own && actor.subject == client_id));
    let acting = match actor {
        Some(actor) => (actor.claims.issuer.as_str(), actor.claims.subject.as_str()),
        None => (own_issuer, client_id),
    };
    let own_scopes = subject.own_scopes();
    let (no_audience, no_scope) = (request.audiences.is_empty(), request.scopes.is_empty());
    usable(client, "subject_token", subject)
        .chain([check::exchanged_subject(client, &subject.subject)])
        .chain(other_actor.into_iter().flat_map(|actor| {
            usable(client, "actor_token", actor).chain([check::exchange_actor(client, &actor.subject)])
        }))
        .chain(subject.may_act.as_ref().map(|may_act| check_may_act(may_act, &subject.claims.issuer, acting)))
        .chain(
            no_audience
                .then(|| check::default_audiences(client, &subject.claims.audiences))
                .into_iter()
                .flatten(),
        )
        .chain(no_scope.then(|| check::default_scopes(client, own_scopes)).into_iter().flatten())
        .chain(
            subject
                .is_own
                .then(|| check::among(Entitlement::TokenScopes, &request.scopes, own_scopes))
                .into_iter()
                .flatten(),
        )
}

/// Whether the client may use the token: by its issuer and its audiences.
fn usable<'a>(
    client: &'a Client,
    field: &'static str,
    token: &'a PresentedToken,
) -> impl Iterator<Item = Check<'a>> {
    let claims = &token.claims;
    let issuer = (!token.is_own).then(|| check::exchanged_issuer(client, field, &claims.issuer));
    issuer.into_iter().chain([check::exchanged_audience(client, field, &claims.audiences)])
}

/// Whether `may_act` of a token of `issuer` names the acting identity.
fn check_may_act<'a>(may_act: &Value, issuer: &str, acting: (&str, &'a str)) -> Check<'a> {
    Check {
        field: Field::Name("actor_token"),
        value: Some(acting.1),
        permission: Permission::Other,
        reason: DenialReason::Actor,
        verdict: Verdict::by(names(may_act, issuer, acting).then_some(Rule::MayAct)),
    }
}

/// Whether `may_act` names this issuer and subject; without `iss` it names a subject of `default_issuer`. With any other member, or in
/// any other form, it names no identity.
fn names(may_act: &Value, default_issuer: &str, (issuer, subject): (&str, &str)) -> bool {
    let Value::Object(members) = may_act else { return false };
    members.keys().all(|name| name == "sub" || name == "iss")
        && members.get("iss").map_or(Some(default_issuer), Value::as_str) == Some(issuer)
        && members.get("sub").and_then(Value::as_str) == Some(subject)
}
