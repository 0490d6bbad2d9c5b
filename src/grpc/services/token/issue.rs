//! The methods whose response is a token: IssueToken, Login, RefreshToken and ExchangeToken.

use std::sync::Arc;

use http::HeaderMap;
use tonic::Request;

use crate::{
    access::{self, Caller, ExchangeGrant, IssueGrant},
    admission::CallClass,
    grpc::{call::CallContext, convert, services::Api, status::CallError},
    model::Method,
    proto::v1,
    tokens::{
        BegunSession, ExchangeError, FreshRefreshToken, IssuedToken, LoggedIn, LoginError, PresentedTokens,
    },
};

/// Handles IssueToken.
pub(in crate::grpc) async fn issue_token(
    api: &Arc<Api>,
    call: &Arc<CallContext>,
    headers: &HeaderMap,
    message: v1::IssueTokenRequest,
) -> Result<v1::IssueTokenResponse, CallError> {
    let mut caller = call.caller(&api.authenticator, headers).await?;
    let client_id = &caller.client().client_id;
    let identified = api.responses.identify(client_id, Method::IssueToken, &message.request_id, &message);
    let checked = convert::issue_request(message);
    checked.if_valid(|request| call.note_issue_request(request));
    let grant = checked.authorize(|request| access::issue(caller.client(), request, &api.rules))?;
    if grant.with_session() {
        caller.permit().change_class(CallClass::Session).await?;
    }
    let Some(identified) = identified else { return issue_granted(api, call, grant).await };
    let (shared_api, shared_call) = (Arc::clone(api), Arc::clone(call));
    let issue = async move {
        let _permit = caller;
        issue_granted(&shared_api, &shared_call, grant).await
    };
    api.responses.run_once(call, Some(identified), issue).await
}

async fn issue_granted(
    api: &Api,
    call: &CallContext,
    grant: IssueGrant,
) -> Result<v1::IssueTokenResponse, CallError> {
    if grant.with_session() {
        let BegunSession { grant, token, refresh } = api.sessions.begin(grant).await?;
        api.metrics.session_begun();
        return Ok(token_response(api, call, &grant, token, Some(&refresh)));
    }
    let token = api.issuer.issue(&grant)?;
    Ok(token_response(api, call, &grant, token, None))
}

/// Handles Login.
pub(super) async fn login(
    api: &Arc<Api>,
    call: &Arc<CallContext>,
    request: Request<v1::LoginRequest>,
) -> Result<v1::LoginResponse, CallError> {
    let caller = call.caller(&api.authenticator, request.metadata().as_ref()).await?;
    let checked = convert::login_request(request.into_inner());
    let grant = checked.authorize(|request| access::login(caller.client(), request, &api.rules))?;
    let outcome = api.logins.login(grant, call.address()).await;
    api.metrics.login(&outcome);
    if let Err(LoginError::Failed(failed)) = &outcome {
        failed.user_id.iter().for_each(|user_id| call.note_user(user_id));
    }
    let LoggedIn { token, grant, refresh } = outcome?;
    if refresh.is_some() {
        api.metrics.session_begun();
    }
    Ok(token_response(api, call, &grant, token, refresh.as_ref()).into())
}

/// Handles RefreshToken.
pub(super) async fn refresh_token(
    api: &Arc<Api>,
    call: &Arc<CallContext>,
    request: Request<v1::RefreshTokenRequest>,
) -> Result<v1::RefreshTokenResponse, CallError> {
    let caller = call.caller(&api.authenticator, request.metadata().as_ref()).await?;
    let checked = convert::refresh_request(request.into_inner());
    let grant = checked.authorize(|request| access::refresh(caller.client(), request, &api.rules))?;
    let outcome = api.sessions.refresh(&grant).await;
    api.metrics.refreshed(&outcome);
    if let Err(error) = &outcome {
        error.session_id().into_iter().for_each(|session_id| call.note_session(session_id));
        error.subject().into_iter().for_each(|subject| call.note_subject(subject));
    }
    let refreshed = outcome?;
    Ok(token_response(api, call, &refreshed.grant, refreshed.token, Some(&refreshed.refresh)).into())
}

/// Handles ExchangeToken.
pub(super) async fn exchange_token(
    api: &Arc<Api>,
    call: &Arc<CallContext>,
    request: Request<v1::ExchangeTokenRequest>,
) -> Result<v1::ExchangeTokenResponse, CallError> {
    let mut caller = call.caller(&api.authenticator, request.metadata().as_ref()).await?;
    let message = request.into_inner();
    let client_id = &caller.client().client_id;
    let identified = api.responses.identify(client_id, Method::ExchangeToken, &message.request_id, &message);
    let (checked, token_type) = convert::exchange_request(message);
    checked.if_valid(|request| call.note_exchange_request(request));
    let grant = checked.authorize(|request| access::exchange(caller.client(), request, &api.rules))?;
    // A repeated request is checked again: its tokens must still be valid.
    let tokens = presented_tokens(api, &mut caller, &grant).await?;
    let grant = api.exchanger.check(grant, tokens, &api.rules)?;
    let (shared_api, shared_call) = (Arc::clone(api), Arc::clone(call));
    let exchange = async move {
        let _permit = caller;
        let token = shared_api.exchanger.issue(&grant)?;
        let response = token_response(&shared_api, &shared_call, &grant, token, None);
        Ok(v1::ExchangeTokenResponse { issued_token_type: token_type, ..response.into() })
    };
    api.responses.run_once(call, identified, exchange).await
}

/// Verifies the tokens of an exchange. The call holds no permit while keys are looked up: neither the store nor another issuer delays
/// exchanges whose keys are in memory.
async fn presented_tokens(
    api: &Api,
    caller: &mut Caller,
    grant: &ExchangeGrant,
) -> Result<PresentedTokens, CallError> {
    let mut looked_up = Vec::new();
    loop {
        match api.exchanger.presented_tokens(grant, &looked_up) {
            Err(ExchangeError::KeyNotInMemory(keys)) => {
                caller.permit().leave_class();
                api.exchanger.look_up(&keys).await?;
                caller.permit().change_class(CallClass::Exchange).await?;
                looked_up.push(keys);
            }
            outcome => return Ok(outcome?),
        }
    }
}

/// Counts an issued token, notes it for the audit log, and makes the response.
fn token_response(
    api: &Api,
    call: &CallContext,
    grant: &IssueGrant,
    token: IssuedToken,
    refresh: Option<&FreshRefreshToken>,
) -> v1::IssueTokenResponse {
    api.metrics.issued(&token);
    call.note_token(grant, &api.rules, &token);
    convert::token_response(token, grant.scopes().to_vec(), refresh)
}
