//! `tokend.v1.SessionService`.

use std::sync::Arc;

use tonic::Request;

use super::{Api, admin::administer, implement_service, token::end_session};
use crate::{
    grpc::{call::CallContext, convert, status::CallError},
    model::Method,
    proto::v1::{self, session_service_server::SessionService},
    tokens::SessionError,
};

implement_service!(SessionService {
    list_sessions(ListSessionsRequest) -> ListSessionsResponse;
    end_session(EndSessionRequest) -> EndSessionResponse;
});

async fn list_sessions(
    api: &Arc<Api>,
    call: &Arc<CallContext>,
    request: Request<v1::ListSessionsRequest>,
) -> Result<v1::ListSessionsResponse, CallError> {
    let grant = administer(call, &api.authenticator, &request, Method::ListSessions).await?;
    let (filter, page) = convert::list_sessions_request(request.into_inner()).map_err(CallError::Invalid)?;
    let listed = api.sessions.list(&grant, &filter, page.after.as_ref(), page.size).await;
    let (sessions, more) = listed.map_err(SessionError::from)?;
    let mut sessions = sessions.into_iter().map(convert::session_message).collect();
    let last = convert::fit_page(&mut sessions, more, |last: &v1::Session| &last.session_id);
    let next_page_token = last.unwrap_or_default();
    Ok(v1::ListSessionsResponse { sessions, next_page_token })
}
