//! May this client exchange this token, and what may come of it (RFC 8693)?
//!
//! Checks are made in this order: method, permission to do without an actor token, audiences, scopes, lifetime; and when the tokens
//! are known to be good, of the subject token its issuer, audience and subject, of the actor token its issuer, audience and subject,
//! then `may_act`, and what the subject token holds.
//!
//! An identity is an issuer and a subject. Policy compares subjects as this issuer's tokens name them, where a subject of another
//! issuer has a prefix; `may_act` and `act` name the issuer beside the subject.
//!
//! A token of this issuer hands on its scopes and claims as far as the client may have them too. Another issuer's token says who
//! somebody is and no more: a scope there means what that issuer means by it, and so do its claims. Of such a token none are
//! taken, and the client may ask for any scope that its own permissions allow.

use std::sync::Arc;

use serde_json::Value;

use super::{
    DenialReason, IssueGrant, IssueRules, PolicyError,
    check::{self, AskedToken, Check, Place, Verdict, values},
    line::{Held, Line, Rule},
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
    /// Its subject, as a token of this issuer names it.
    pub(crate) subject: String,
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
        all(&client, tokens(&client, &request, &subject, actor, own_issuer))?;
        let audiences = match request.audiences.is_empty() {
            true => values(check::left_audiences(&client, &subject.claims.audiences)),
            false => request.audiences,
        };
        let scopes = match request.scopes.is_empty() {
            true => values(check::left_scopes(&client, subject.own_scopes())),
            false => request.scopes,
        };
        let claims = subject.extra.filtered(|name, json| check::allows_claim(&client, name, json));
        // What says who may act goes on with the subject, or the next exchange would be open to everybody.
        let claims =
            claims.with(subject.own_may_act().map(|may_act| (MAY_ACT.to_owned(), may_act.to_string())));
        let ends = subject.claims.expire_time;
        let not_after = actor.map_or(ends, |actor| actor.claims.expire_time.min(ends));
        // What revokes the subject token by its time of issue reaches what comes of it.
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
            actor: acting,
            not_after: Some(not_after),
            origin_time,
            // One of another form is none that anybody could end here.
            session_id: session_id.and_then(|text| SessionId::parse(text).ok()),
            ..grant(&client, Method::ExchangeToken, request, rules)?
        })
    }
}

impl PresentedToken {
    /// The scopes that it hands on.
    fn own_scopes(&self) -> &[String] {
        if self.is_own { &self.claims.scopes } else { &[] }
    }

    /// `may_act` as a token of this issuer says it: whom it names without an issuer is a subject of the issuer that wrote it.
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

/// Permission to try this exchange.
pub(crate) fn exchange(
    client: &Arc<Client>,
    request: ExchangeRequest,
    rules: &IssueRules,
) -> Result<ExchangeGrant, PolicyError> {
    all(client, at_once(client, &request, rules))?;
    Ok(ExchangeGrant { client: Arc::clone(client), request })
}

/// All that is looked at before any token is.
pub(super) fn at_once<'a>(
    client: &'a Client,
    request: &'a ExchangeRequest,
    rules: &'a IssueRules,
) -> impl Iterator<Item = Check<'a>> {
    static NONE: ExtraClaims = ExtraClaims::NONE;
    let asked = AskedToken {
        subject: None,
        audiences: &request.audiences,
        scopes: &request.scopes,
        claims: &NONE,
        ttl: request.ttl,
        with_session: false,
    };
    check::exchange(client, request.actor_token.is_some(), asked, rules)
}

/// All that is looked at when the tokens are known to be good.
pub(super) fn tokens<'a>(
    client: &'a Client,
    request: &'a ExchangeRequest,
    subject: &'a PresentedToken,
    actor: Option<&'a PresentedToken>,
    own_issuer: &'a str,
) -> impl Iterator<Item = Check<'a>> {
    let client_id = client.client_id.as_str();
    // Its own token is the client's to show, whomever it is for.
    let others = actor.filter(|actor| !(actor.is_own && actor.subject == client_id));
    let acts = match actor {
        Some(actor) => (actor.claims.issuer.as_str(), actor.claims.subject.as_str()),
        None => (own_issuer, client_id),
    };
    let held = subject.own_scopes();
    let (no_audience, no_scope) = (request.audiences.is_empty(), request.scopes.is_empty());
    usable(client, "subject_token", subject)
        .chain([check::exchanged_subject(client, &subject.subject)])
        .chain(others.into_iter().flat_map(|actor| {
            usable(client, "actor_token", actor).chain([check::exchange_actor(client, &actor.subject)])
        }))
        .chain(subject.may_act.as_ref().map(|may_act| named(may_act, &subject.claims.issuer, acts)))
        .chain(
            no_audience
                .then(|| check::left_audiences(client, &subject.claims.audiences))
                .into_iter()
                .flatten(),
        )
        .chain(no_scope.then(|| check::left_scopes(client, held)).into_iter().flatten())
        .chain(
            subject
                .is_own
                .then(|| check::among(Held::TokenScopes, &request.scopes, held))
                .into_iter()
                .flatten(),
        )
}

/// Whether the client may do something with the token at all: it is for the client, and of an issuer whose word counts.
fn usable<'a>(
    client: &'a Client,
    field: &'static str,
    token: &'a PresentedToken,
) -> impl Iterator<Item = Check<'a>> {
    let claims = &token.claims;
    let issuer = (!token.is_own).then(|| check::exchanged_issuer(client, field, &claims.issuer));
    issuer.into_iter().chain([check::exchanged_audience(client, field, &claims.audiences)])
}

/// Whether `may_act`, which `writer` issued, lets the one of this issuer and this subject act.
fn named<'a>(may_act: &Value, writer: &str, acts: (&str, &'a str)) -> Check<'a> {
    Check {
        place: Place::Field("actor_token"),
        value: Some(acts.1),
        rule: Rule::Other,
        reason: DenialReason::Actor,
        verdict: Verdict::by(names(may_act, writer, acts).then_some(Line::MayAct)),
    }
}

/// Whether `may_act` names the one of this issuer and this subject; without `iss` it names a subject of its `writer`. In any other
/// form, and with a member that cannot be compared here, it matches no actor.
fn names(may_act: &Value, writer: &str, (issuer, subject): (&str, &str)) -> bool {
    let Value::Object(members) = may_act else { return false };
    let named_issuer = members.get("iss").map_or(Some(writer), Value::as_str);
    members.keys().all(|name| name == "sub" || name == "iss")
        && named_issuer == Some(issuer)
        && members.get("sub").and_then(Value::as_str) == Some(subject)
}
