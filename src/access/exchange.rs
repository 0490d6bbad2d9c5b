//! May this client exchange this token, and what may come of it (RFC 8693)?
//!
//! Checks are made in this order: method, leave to do without an actor token, audiences, scopes, life; and when the tokens are
//! known to be good, of the subject token its issuer, audience and subject, of the actor token its issuer and audience, then
//! `may_act`, and what the subject token holds.
//!
//! A token of this issuer hands on its scopes and claims as far as the client may have them too. Another issuer's token says who
//! somebody is and no more: a scope there means what that issuer means by it, and so do its claims. Of such a token none are
//! taken, and the client may ask for any scope that its own permissions allow.

use std::sync::Arc;

use serde_json::Value;

use super::{
    Caller, Denial, DenialReason, IssueGrant, IssueRules, PolicyError,
    check::{self, AskedToken},
    policy::{all, grant},
};
use crate::model::{
    Actor, Client, ExchangeRequest, ExtraClaims, IssueRequest, Method, SessionId, TokenClaims,
};

/// The claim that says who may act for a subject (RFC 8693 section 4.4).
pub(crate) const MAY_ACT: &str = "may_act";

/// An exchange that may be tried.
pub(crate) struct ExchangeGrant {
    client: Arc<Client>,
    request: ExchangeRequest,
}

/// A token that was presented, and is good.
pub(crate) struct PresentedToken {
    /// Its registered claims.
    pub(crate) claims: TokenClaims,
    /// `may_act`
    pub(crate) may_act: Option<Value>,
    /// Its other claims, if it was issued here.
    pub(crate) extra: ExtraClaims,
    /// Whether it was issued here.
    pub(crate) is_own: bool,
}

impl ExchangeGrant {
    /// The subject token as it came.
    pub(crate) fn subject_token(&self) -> &str {
        &self.request.subject_token
    }

    /// The actor token as it came.
    pub(crate) fn actor_token(&self) -> Option<&str> {
        self.request.actor_token.as_deref()
    }

    /// Leave for the token that comes of these two. `acting` is to be its `act`, and `own_issuer` who issues it.
    pub(crate) fn issue_for(
        self,
        subject: PresentedToken,
        actor: Option<&PresentedToken>,
        acting: Option<Actor>,
        own_issuer: &str,
        rules: &IssueRules,
    ) -> Result<IssueGrant, PolicyError> {
        let Self { client, request } = self;
        usable(&client, "subject_token", &subject)?;
        all(&client, [check::exchanged_subject(&client, &subject.claims.subject)])?;
        let client_id = client.client_id.as_str();
        if let Some(actor) = actor.filter(|actor| !(actor.is_own && actor.claims.subject == client_id)) {
            usable(&client, "actor_token", actor)?;
        }
        let acts = match actor {
            Some(actor) => (actor.claims.issuer.as_str(), actor.claims.subject.as_str()),
            None => (own_issuer, client_id),
        };
        if subject.may_act.as_ref().is_some_and(|may_act| !names(may_act, acts)) {
            return Err(denied(DenialReason::Actor, "actor_token").into());
        }
        let audiences = audiences(&client, request.audiences, &subject)?;
        let scopes = scopes(&client, request.scopes, &subject)?;
        let claims = subject.extra.filtered(|name, json| check::allows_claim(&client, name, json));
        // What says who may act goes on with the subject, or the next exchange would be open to everybody.
        let claims = claims.with(subject.may_act.map(|may_act| (MAY_ACT.to_owned(), may_act.to_string())));
        let ends = subject.claims.expire_time;
        let not_after = actor.map_or(ends, |actor| actor.claims.expire_time.min(ends));
        // What revokes the subject token by its time of issue reaches what comes of it.
        let origin_time = subject.claims.first_issue_time().filter(|_| subject.is_own);
        let session_id = subject.claims.session_id.filter(|_| subject.is_own);
        let request = IssueRequest {
            subject: Some(subject.claims.subject),
            audiences,
            scopes,
            ttl: request.ttl,
            claims,
            ..IssueRequest::default()
        };
        Ok(IssueGrant {
            actor: acting,
            not_after: Some(not_after),
            origin_time,
            // One of another form is none that anybody could end here.
            session_id: session_id.and_then(|text| SessionId::parse(text).ok()),
            ..grant(&client, Method::ExchangeToken, request, rules)?
        })
    }
}

/// May `caller` try this exchange?
pub(crate) fn exchange(
    caller: &Caller,
    request: ExchangeRequest,
    rules: &IssueRules,
) -> Result<ExchangeGrant, PolicyError> {
    let client = caller.shared_client();
    let none = ExtraClaims::default();
    let asked = AskedToken {
        subject: None,
        audiences: &request.audiences,
        scopes: &request.scopes,
        claims: &none,
        ttl: request.ttl,
        with_session: false,
    };
    all(client, check::exchange(client, request.actor_token.is_some(), asked, rules))?;
    Ok(ExchangeGrant { client: Arc::clone(client), request })
}

/// Whether the client may do something with the token at all: it is for the client, and of an issuer whose word counts.
fn usable(client: &Client, field: &'static str, token: &PresentedToken) -> Result<(), Denial> {
    let claims = &token.claims;
    if !token.is_own {
        all(client, [check::exchanged_issuer(client, field, &claims.issuer)])?;
    }
    all(client, [check::exchanged_audience(client, field, &claims.audiences)])
}

/// Whether `may_act` names the one of this issuer and this subject. By any other form, and by a member that nobody here can
/// compare, it names nobody.
fn names(may_act: &Value, (issuer, subject): (&str, &str)) -> bool {
    let Value::Object(members) = may_act else { return false };
    members.get("sub").and_then(Value::as_str) == Some(subject)
        && members.iter().all(|(name, value)| match name.as_str() {
            "sub" => true,
            "iss" => value.as_str() == Some(issuer),
            _ => false,
        })
}

/// Those that are asked for, which are allowed; or what of the subject token's the client may have.
fn audiences(client: &Client, asked: Vec<String>, subject: &PresentedToken) -> Result<Vec<String>, Denial> {
    if !asked.is_empty() {
        return Ok(asked);
    }
    let own = allowed(&subject.claims.audiences, |audience| check::allows_audience(client, audience));
    if own.is_empty() { Err(denied(DenialReason::Audience, "audiences")) } else { Ok(own) }
}

fn scopes(client: &Client, asked: Vec<String>, subject: &PresentedToken) -> Result<Vec<String>, Denial> {
    let held = &subject.claims.scopes;
    if asked.is_empty() {
        let held = if subject.is_own { held.as_slice() } else { &[] };
        return Ok(allowed(held, |scope| check::allows_scope(client, scope)));
    }
    match asked.iter().position(|scope| subject.is_own && !held.contains(scope)) {
        Some(index) => Err(denied(DenialReason::TokenScope, &format!("scopes[{index}]"))),
        None => Ok(asked),
    }
}

/// Those of `values` that the client may have in tokens.
fn allowed(values: &[String], may_have: impl Fn(&str) -> bool) -> Vec<String> {
    values.iter().filter(|value| may_have(value)).cloned().collect()
}

fn denied(reason: DenialReason, field: &str) -> Denial {
    Denial { reason, field: field.to_owned(), line: None }
}
