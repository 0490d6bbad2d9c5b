//! From flags to a question to policy. Flags that do not affect the answer are rejected, and nothing is assumed silently.

use super::flags::{AssumptionFlags, What};
use crate::{
    access::{AssumedExchange, AssumedOwner, AssumedSession, AssumedToken, Question, SessionStart},
    cli::{error::CliError, output::escaped, token::ACCESS_TOKEN},
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

/// Stands for a token or a password, which policy does not check.
const PLACEHOLDER: &str = "-";
/// The same, in the form of a session's id.
const SESSION_ID: &str = "AAAAAAAAAAAAAAAAAAAAAA";

/// The question of the client `client_id`.
pub(super) fn question(
    what: What,
    method: Option<Method>,
    token: IssueTokenRequest,
    assumed: AssumptionFlags,
    client_id: &str,
) -> Result<Question, CliError> {
    match what {
        What::Issue if token.not_before_time.is_some() => {
            Err(CliError::usage("issue: policy does not check --not-before; remove it"))
        }
        What::Issue => Ok(Question::Issue(read_issue_request(token)?)),
        What::Verify => {
            let message = VerifyTokenRequest { audiences: token.audiences, ..Default::default() };
            let request = read_verify_request(message)?;
            Ok(Question::Verify(request, assumed.token_issuer))
        }
        What::Introspect => {
            let message = IntrospectTokenRequest {
                token: PLACEHOLDER.to_owned(),
                audiences: token.audiences,
                ..Default::default()
            };
            let request = read_introspect_request(message)?;
            Ok(Question::Introspect(request, assumed.token_issuer))
        }
        What::Call => {
            let method = method.ok_or_else(|| missing(what, "a METHOD", ""))?;
            let of_clients = method.name().starts_with("ClientService/") && method != Method::ListClients;
            match assumed.client {
                Some(_) if !of_clients => {
                    Err(CliError::usage(format!("call: {} takes no --client", method.name())))
                }
                client_id => Ok(Question::Call(method, client_id)),
            }
        }
        What::Login => login(token, assumed),
        What::Refresh => refresh(token, assumed),
        What::Revoke => revoke(token, assumed),
        What::Exchange => exchange(client_id, token, assumed),
    }
}

fn login(token: IssueTokenRequest, assumed: AssumptionFlags) -> Result<Question, CliError> {
    let what = What::Login;
    let username = assumed.username.ok_or_else(|| missing(what, "--username", ""))?;
    let user_scopes = assumed_scopes(what, "--user-scope", assumed.user_scopes, &token)?;
    let message = LoginRequest {
        username,
        password: PLACEHOLDER.to_owned(),
        audiences: token.audiences,
        scopes: token.scopes,
        ttl: token.ttl,
        include_refresh_token: token.include_refresh_token,
    };
    let request = read_login_request(message)?;
    Ok(Question::Login(request, user_scopes))
}

fn refresh(token: IssueTokenRequest, assumed: AssumptionFlags) -> Result<Question, CliError> {
    let what = What::Refresh;
    if assumed.session_audiences.is_empty() {
        return Err(missing(what, "--session-audience", ": each audience of the session"));
    }
    let scopes = assumed_scopes(what, "--session-scope", assumed.session_scopes, &token)?;
    let start = match (assumed.by_login, token.subject.is_empty()) {
        (true, true) if token.claims_json.is_empty() => {
            SessionStart::Login(assumed_scopes(what, "--user-scope", assumed.user_scopes, &token)?)
        }
        (true, _) => {
            return Err(CliError::usage(
                "refresh: does not take --subject, --claim and --claims-json with --by-login: the session has the user's",
            ));
        }
        (false, true) => {
            return Err(missing(
                what,
                "--subject, or --by-login",
                ": the subject of the session, or how it began",
            ));
        }
        (false, false) if assumed.user_scopes.is_empty() => SessionStart::Issue(token.subject.clone()),
        (false, false) => {
            return Err(CliError::usage("refresh: does not take --user-scope without --by-login"));
        }
    };
    // The claims are those of the session, and were checked when it began.
    let claims = IssueTokenRequest { claims_json: token.claims_json, ..Default::default() };
    let claims = read_issue_request(claims)?.claims;
    let message = RefreshTokenRequest {
        refresh_token: PLACEHOLDER.to_owned(),
        audiences: token.audiences,
        scopes: token.scopes,
        ..Default::default()
    };
    let request = read_refresh_request(message)?;
    // A lifetime is shortened, and never rejected.
    let scope = SessionScope { audiences: assumed.session_audiences, scopes, claims, ttl: None };
    Ok(Question::Refresh(request, AssumedSession { scope, start }))
}

fn revoke(token: IssueTokenRequest, assumed: AssumptionFlags) -> Result<Question, CliError> {
    let usage = |problem| Err(CliError::usage(problem));
    let subject = Some(token.subject).filter(|subject| !subject.is_empty());
    let AssumptionFlags { token, session, client, jwt_id, token_issuer, .. } = assumed;
    let (target, owner) = match (token, session, subject, client, jwt_id) {
        (true, false, None, None, None) if token_issuer.is_some() => {
            (Target::Token(PLACEHOLDER.to_owned()), AssumedOwner::OtherIssuer)
        }
        _ if token_issuer.is_some() => return usage("revoke: takes --token-issuer with --token alone"),
        (true, false, Some(subject), Some(client_id), None) => {
            (Target::Token(PLACEHOLDER.to_owned()), AssumedOwner::Known { subject, client_id })
        }
        (false, true, Some(subject), Some(client_id), None) => {
            (Target::SessionId(SESSION_ID.to_owned()), AssumedOwner::Known { subject, client_id })
        }
        (true, true, ..) => return usage("revoke: takes --token or --session, not both"),
        (true, false, ..) => {
            return usage("revoke: needs with --token both --subject and --client, or --token-issuer");
        }
        (false, true, ..) => return usage("revoke: needs with --session both --subject and --client"),
        (false, false, Some(subject), None, None) => {
            (Target::Subject(SubjectTarget { subject, issued_before_time: None }), AssumedOwner::InTarget)
        }
        (false, false, None, Some(client_id), None) => (Target::ClientId(client_id), AssumedOwner::InTarget),
        (false, false, None, None, Some(jwt_id)) => (Target::JwtId(jwt_id), AssumedOwner::InTarget),
        (false, false, ..) => {
            return usage("revoke: needs one of --subject, --client and --jwt-id, or --token or --session");
        }
    };
    let message = RevokeTokenRequest { target: Some(target), ..Default::default() };
    let target = read_revoke_request(message)?;
    Ok(Question::Revoke(target, owner))
}

fn exchange(
    client_id: &str,
    token: IssueTokenRequest,
    assumed: AssumptionFlags,
) -> Result<Question, CliError> {
    let what = What::Exchange;
    if token.subject.is_empty() {
        return Err(missing(what, "--subject", ": the subject of the subject token"));
    }
    let names_issuer = assumed.token_may_act.as_ref().is_some_and(|may_act| may_act.get("iss").is_some());
    if names_issuer && assumed.server_issuer.is_none() {
        return Err(missing(what, "--server-issuer", ", because --token-may-act names an issuer"));
    }
    let own_id = || client_id.to_owned();
    let is_own = |issuer: &Option<String>| issuer.is_none() || *issuer == assumed.server_issuer;
    // The scopes of another issuer are not checked.
    let scopes = match is_own(&assumed.token_issuer) {
        true => assumed_scopes(what, "--token-scope", assumed.token_scopes, &token)?,
        false => assumed.token_scopes,
    };
    let is_acting = assumed.with_actor
        || assumed.actor_subject.is_some()
        || assumed.actor_issuer.is_some()
        || !assumed.actor_audiences.is_empty();
    let actor_subject = assumed.actor_subject.unwrap_or_else(own_id);
    let own_actor = is_own(&assumed.actor_issuer) && actor_subject == client_id;
    if is_acting && !own_actor && assumed.actor_audiences.is_empty() {
        return Err(missing(what, "--actor-audience", ", because the actor token is not the client's own"));
    }
    let subject = AssumedToken {
        issuer: assumed.token_issuer,
        subject: token.subject,
        subject_prefix: assumed.token_subject_prefix,
        audiences: match assumed.token_audiences.is_empty() {
            true => vec![own_id()],
            false => assumed.token_audiences,
        },
        scopes,
        may_act: assumed.token_may_act,
    };
    let actor = is_acting.then_some(AssumedToken {
        issuer: assumed.actor_issuer,
        subject: actor_subject,
        subject_prefix: assumed.actor_subject_prefix,
        audiences: assumed.actor_audiences,
        scopes: Vec::new(),
        may_act: None,
    });
    let if_acting = |text: &str| if is_acting { text.to_owned() } else { String::new() };
    let message = ExchangeTokenRequest {
        subject_token: PLACEHOLDER.to_owned(),
        subject_token_type: ACCESS_TOKEN.to_owned(),
        actor_token: if_acting(PLACEHOLDER),
        actor_token_type: if_acting(ACCESS_TOKEN),
        audiences: token.audiences,
        scopes: token.scopes,
        ttl: token.ttl,
        ..Default::default()
    };
    let request = read_exchange_request(message)?;
    let own_issuer = assumed.server_issuer.unwrap_or_default();
    Ok(Question::Exchange(Box::new(AssumedExchange { request, subject, actor, own_issuer })))
}

/// The scopes that `flag` assumes. The flag is required, be it empty, if scopes are requested.
fn assumed_scopes(
    what: What,
    flag: &str,
    values: Vec<String>,
    token: &IssueTokenRequest,
) -> Result<Vec<String>, CliError> {
    if values.is_empty() && !token.scopes.is_empty() {
        return Err(missing(what, flag, ", because --scope requests scopes"));
    }
    Ok(values.into_iter().filter(|value| !value.is_empty()).collect())
}

fn missing(what: What, flag: &str, why: &str) -> CliError {
    CliError::usage(format!("{}: needs {flag}{why}", what.name()))
}

/// The violations that the server would find in a request.
impl From<Violations> for CliError {
    fn from(violations: Violations) -> Self {
        let lines = violations.as_slice().iter();
        let lines =
            lines.map(|violation| format!("{}: {}", escaped(&violation.field), violation.description));
        Self::usage(lines.collect::<Vec<_>>().join("\n  "))
    }
}
