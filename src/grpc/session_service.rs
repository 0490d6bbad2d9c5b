//! `tokend.v1.SessionService`.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::{call::CallContext, caller::administer, convert, status::CallError, token_service::TokenApi};
use crate::{
    access::Authenticator,
    model::Method,
    proto::v1::{self, session_service_server::SessionService},
    tokens::{SessionError, Sessions},
};

#[derive(Debug)]
pub(super) struct SessionApi {
    pub(super) authenticator: Arc<Authenticator>,
    pub(super) sessions: Arc<Sessions>,
    /// Ends sessions, as RevokeToken does.
    pub(super) tokens: Arc<TokenApi>,
}

#[tonic::async_trait]
impl SessionService for SessionApi {
    async fn list_sessions(
        &self,
        request: Request<v1::ListSessionsRequest>,
    ) -> Result<Response<v1::ListSessionsResponse>, Status> {
        let call = CallContext::of(request.extensions())?;
        call.respond(self.list(&call, request).await)
    }

    async fn end_session(
        &self,
        request: Request<v1::EndSessionRequest>,
    ) -> Result<Response<v1::EndSessionResponse>, Status> {
        let call = CallContext::of(request.extensions())?;
        call.respond(self.tokens.end_session(&call, request).await)
    }
}

impl SessionApi {
    async fn list(
        &self,
        call: &Arc<CallContext>,
        request: Request<v1::ListSessionsRequest>,
    ) -> Result<v1::ListSessionsResponse, CallError> {
        let grant = administer(call, &self.authenticator, &request, Method::ListSessions).await?;
        let page = convert::session_page(request.into_inner()).map_err(CallError::Invalid)?;
        let listed = self.sessions.list(&grant, &page.filter, page.after.as_ref(), page.size).await;
        let (sessions, more) = listed.map_err(SessionError::from)?;
        let mut sessions = sessions.into_iter().map(convert::session_message).collect();
        let next_page_token =
            convert::cut(&mut sessions, more, |last: &v1::Session| &last.session_id).unwrap_or_default();
        Ok(v1::ListSessionsResponse { sessions, next_page_token })
    }
}
