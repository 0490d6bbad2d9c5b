//! `tokend.v1.SessionService`.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::{caller::administer, status::CallError};
use crate::{
    access::Authenticator,
    model::Method,
    proto::v1::{self, session_service_server::SessionService},
    tokens::Sessions,
};

#[derive(Debug)]
pub(super) struct SessionApi {
    pub(super) authenticator: Arc<Authenticator>,
    pub(super) sessions: Arc<Sessions>,
}

#[tonic::async_trait]
impl SessionService for SessionApi {
    async fn list_sessions(
        &self,
        request: Request<v1::ListSessionsRequest>,
    ) -> Result<Response<v1::ListSessionsResponse>, Status> {
        self.list(request).await.map(Response::new).map_err(CallError::into_status)
    }
}

impl SessionApi {
    async fn list(
        &self,
        request: Request<v1::ListSessionsRequest>,
    ) -> Result<v1::ListSessionsResponse, CallError> {
        let _grant = administer(&self.authenticator, &request, Method::ListSessions).await?;
        Err(CallError::MethodUnknown)
    }
}
