//! From flags to a question to policy: with all that decides, and with nothing else.

use super::{
    exchange::ACCESS_TOKEN,
    failure::Failure,
    output::plain,
    policy_flags::{PlannedFlags, RuleFlags, What},
    token_flags::TokenFlags,
};
use crate::{
    access::{Begun, PlannedExchange, PlannedSession, PlannedToken, Question, Whose},
    grpc::{
        read_exchange_request, read_introspect_request, read_issue_request, read_login_request,
        read_refresh_request, read_revoke_request, read_verify_request,
    },
    model::{Method, SessionScope, Violations},
    proto::v1::{
        ExchangeTokenRequest, IntrospectTokenRequest, IssueTokenRequest, LoginRequest, RefreshTokenRequest,
        RevokeTokenRequest, VerifyTokenRequest,
        revoke_token_request::{SubjectTarget, Target},
    },
};

/// Stands where a request holds what proves something, which policy does not look at.
const PROOF: &str = "-";
/// The same where it must be a session's id.
const SESSION_ID: &str = "AAAAAAAAAAAAAAAAAAAAAA";

/// What was asked.
pub(super) struct Asked<'a> {
    pub(super) what: What,
    pub(super) method: Option<Method>,
    pub(super) token: TokenFlags,
    pub(super) planned: PlannedFlags,
    pub(super) rules: &'a RuleFlags,
}

impl Asked<'_> {
    /// The question that the client of this id would ask.
    pub(super) fn question(self, client_id: &str) -> Result<Question, Failure> {
        self.nothing_else()?;
        let what = self.what;
        let (method, planned) = (self.method, self.planned);
        let token = self.token.request()?;
        match what {
            What::Issue if token.not_before_time.is_some() => {
                Err(Failure::usage("issue: policy does not look at --not-before; leave it out"))
            }
            What::Issue => read_issue_request(token).map(Question::Issue).map_err(|wrong| malformed(&wrong)),
            What::Verify => {
                let message = VerifyTokenRequest { audiences: token.audiences, ..Default::default() };
                let request = read_verify_request(message).map_err(|wrong| malformed(&wrong))?;
                Ok(Question::Verify(request, planned.token_issuer))
            }
            What::Introspect => {
                let message = IntrospectTokenRequest {
                    token: PROOF.to_owned(),
                    audiences: token.audiences,
                    ..Default::default()
                };
                let request = read_introspect_request(message).map_err(|wrong| malformed(&wrong))?;
                Ok(Question::Introspect(request, planned.token_issuer))
            }
            What::Call => {
                let method = method.ok_or_else(|| needs(what, "a METHOD", ""))?;
                let of_clients = method.name().starts_with("ClientService/") && method != Method::ListClients;
                match planned.client {
                    Some(_) if !of_clients => {
                        Err(Failure::usage(format!("call: {} takes no --client", method.name())))
                    }
                    client_id => Ok(Question::Call(method, client_id)),
                }
            }
            What::Login => login(token, planned),
            What::Refresh => refresh(token, planned),
            What::Revoke => revoke(token, planned),
            What::Exchange => exchange(client_id, token, planned),
        }
    }

    fn nothing_else(&self) -> Result<(), Failure> {
        let (what, flags) = (self.what, self.what.flags());
        let method = self.method.map(|_| "METHOD");
        let given = self.token.given().chain(self.planned.given()).chain(self.rules.given()).chain(method);
        match given.into_iter().find(|flag| !flags.contains(flag)) {
            None => Ok(()),
            Some(flag) => Err(Failure::usage(format!(
                "{}: does not take {flag}; it takes {}",
                what.name(),
                flags.join(", ")
            ))),
        }
    }
}

fn login(token: IssueTokenRequest, planned: PlannedFlags) -> Result<Question, Failure> {
    let what = What::Login;
    let username = planned.username.ok_or_else(|| needs(what, "--username", ""))?;
    let user_scopes = held(what, "--user-scope", planned.user_scopes, &token)?;
    let message = LoginRequest {
        username,
        password: PROOF.to_owned(),
        audiences: token.audiences,
        scopes: token.scopes,
        ttl: token.ttl,
        include_refresh_token: token.include_refresh_token,
    };
    let request = read_login_request(message).map_err(|wrong| malformed(&wrong))?;
    Ok(Question::Login(request, user_scopes))
}

fn refresh(token: IssueTokenRequest, planned: PlannedFlags) -> Result<Question, Failure> {
    let what = What::Refresh;
    if planned.session_audiences.is_empty() {
        return Err(needs(what, "--session-audience", ": each audience that the session has"));
    }
    let scopes = held(what, "--session-scope", planned.session_scopes, &token)?;
    let begun = match (planned.by_login, token.subject.is_empty()) {
        (true, true) if token.claims_json.is_empty() => {
            Begun::LoggedIn(held(what, "--user-scope", planned.user_scopes, &token)?)
        }
        (true, _) => {
            return Err(Failure::usage(
                "refresh: does not take --subject, --claim and --claims-json with --by-login: they are the user's",
            ));
        }
        (false, true) => {
            return Err(needs(
                what,
                "--subject, or --by-login",
                ": whom the session is about, or how it was begun",
            ));
        }
        (false, false) if planned.user_scopes.is_empty() => Begun::Issued(token.subject.clone()),
        (false, false) => {
            return Err(Failure::usage("refresh: does not take --user-scope without --by-login"));
        }
    };
    // The claims are the session's, and were checked when it was begun.
    let claims = IssueTokenRequest { claims_json: token.claims_json, ..Default::default() };
    let claims = read_issue_request(claims).map_err(|wrong| malformed(&wrong))?.claims;
    let message = RefreshTokenRequest {
        refresh_token: PROOF.to_owned(),
        audiences: token.audiences,
        scopes: token.scopes,
        ..Default::default()
    };
    let request = read_refresh_request(message).map_err(|wrong| malformed(&wrong))?;
    // A life becomes as short as it must be, and is never refused.
    let scope = SessionScope { audiences: planned.session_audiences, scopes, claims, ttl: None };
    Ok(Question::Refresh(request, PlannedSession { scope, begun }))
}

fn revoke(token: IssueTokenRequest, planned: PlannedFlags) -> Result<Question, Failure> {
    let usage = |wanted| Err(Failure::usage(wanted));
    let subject = Some(token.subject).filter(|subject| !subject.is_empty());
    let PlannedFlags { token, session, client, jwt_id, token_issuer, .. } = planned;
    let (target, whose) = match (token, session, subject, client, jwt_id) {
        (true, false, None, None, None) if token_issuer.is_some() => {
            (Target::Token(PROOF.to_owned()), Whose::Foreign)
        }
        _ if token_issuer.is_some() => return usage("revoke: takes --token-issuer with --token alone"),
        (true, false, Some(subject), Some(client_id), None) => {
            (Target::Token(PROOF.to_owned()), Whose::Owned { subject, client_id })
        }
        (false, true, Some(subject), Some(client_id), None) => {
            (Target::SessionId(SESSION_ID.to_owned()), Whose::Owned { subject, client_id })
        }
        (true, true, ..) => return usage("revoke: takes --token or --session, not both"),
        (true, false, ..) => {
            return usage("revoke: needs with --token both --subject and --client, or --token-issuer");
        }
        (false, true, ..) => return usage("revoke: needs with --session both --subject and --client"),
        (false, false, Some(subject), None, None) => {
            (Target::Subject(SubjectTarget { subject, issued_before_time: None }), Whose::Said)
        }
        (false, false, None, Some(client_id), None) => (Target::ClientId(client_id), Whose::Said),
        (false, false, None, None, Some(jwt_id)) => (Target::JwtId(jwt_id), Whose::Said),
        (false, false, ..) => {
            return usage("revoke: needs one of --subject, --client and --jwt-id, or --token or --session");
        }
    };
    let message = RevokeTokenRequest { target: Some(target), ..Default::default() };
    let target = read_revoke_request(message).map_err(|wrong| malformed(&wrong))?;
    Ok(Question::Revoke(target, whose))
}

fn exchange(client_id: &str, token: IssueTokenRequest, planned: PlannedFlags) -> Result<Question, Failure> {
    let what = What::Exchange;
    if token.subject.is_empty() {
        return Err(needs(what, "--subject", ": whom the subject token is about"));
    }
    let names_issuer = planned.token_may_act.as_ref().is_some_and(|may_act| may_act.get("iss").is_some());
    if names_issuer && planned.server_issuer.is_none() {
        return Err(needs(what, "--server-issuer", ", for --token-may-act names an issuer"));
    }
    let own_id = || client_id.to_owned();
    let is_own = |issuer: &Option<String>| issuer.is_none() || *issuer == planned.server_issuer;
    // Another issuer's scopes mean nothing here.
    let scopes = match is_own(&planned.token_issuer) {
        true => held(what, "--token-scope", planned.token_scopes, &token)?,
        false => planned.token_scopes,
    };
    let is_acting = planned.with_actor
        || planned.actor_subject.is_some()
        || planned.actor_issuer.is_some()
        || !planned.actor_audiences.is_empty();
    let actor_subject = planned.actor_subject.unwrap_or_else(own_id);
    let own_actor = is_own(&planned.actor_issuer) && actor_subject == client_id;
    if is_acting && !own_actor && planned.actor_audiences.is_empty() {
        return Err(needs(what, "--actor-audience", ", for the actor token is not the client's own"));
    }
    let subject = PlannedToken {
        issuer: planned.token_issuer,
        subject: token.subject,
        subject_prefix: planned.token_subject_prefix,
        audiences: match planned.token_audiences.is_empty() {
            true => vec![own_id()],
            false => planned.token_audiences,
        },
        scopes,
        may_act: planned.token_may_act,
    };
    let actor = is_acting.then_some(PlannedToken {
        issuer: planned.actor_issuer,
        subject: actor_subject,
        subject_prefix: planned.actor_subject_prefix,
        audiences: planned.actor_audiences,
        scopes: Vec::new(),
        may_act: None,
    });
    let proof = |is_there: bool, text: &str| if is_there { text.to_owned() } else { String::new() };
    let message = ExchangeTokenRequest {
        subject_token: PROOF.to_owned(),
        subject_token_type: ACCESS_TOKEN.to_owned(),
        actor_token: proof(is_acting, PROOF),
        actor_token_type: proof(is_acting, ACCESS_TOKEN),
        audiences: token.audiences,
        scopes: token.scopes,
        ttl: token.ttl,
        ..Default::default()
    };
    let request = read_exchange_request(message).map_err(|wrong| malformed(&wrong))?;
    let own_issuer = planned.server_issuer.unwrap_or_default();
    Ok(Question::Exchange(PlannedExchange { request, subject, actor, own_issuer }))
}

/// What `flag` says that somebody has. It must say it, be it nothing, where scopes are asked for.
fn held(
    what: What,
    flag: &str,
    values: Vec<String>,
    token: &IssueTokenRequest,
) -> Result<Vec<String>, Failure> {
    if values.is_empty() && !token.scopes.is_empty() {
        return Err(needs(what, flag, " where --scope asks for scopes: what there is of them"));
    }
    Ok(values.into_iter().filter(|value| !value.is_empty()).collect())
}

fn needs(what: What, flag: &str, why: &str) -> Failure {
    Failure::usage(format!("{}: needs {flag}{why}", what.name()))
}

/// What the server would find wrong with the request.
pub(super) fn malformed(violations: &Violations) -> Failure {
    let lines =
        violations.as_slice().iter().map(|wrong| format!("{}: {}", plain(&wrong.field), wrong.description));
    Failure::usage(lines.collect::<Vec<_>>().join("\n  "))
}
