//! `tokend.v1.StatusService`.

use std::{fmt, sync::Arc};

use tonic::Request;

use super::{Api, admin::administer, implement_service};
use crate::{
    grpc::{call::CallContext, status::CallError},
    model::Method,
    proto::v1::{self, status_service_server::StatusService},
};

/// The state of this replica, which the server alone knows as a whole.
#[tonic::async_trait]
pub trait StatusSource: fmt::Debug + Send + Sync {
    /// The state of this replica.
    async fn status(&self) -> v1::GetStatusResponse;
}

implement_service!(StatusService {
    get_status(GetStatusRequest) -> GetStatusResponse;
});

async fn get_status(
    api: &Arc<Api>,
    call: &Arc<CallContext>,
    request: Request<v1::GetStatusRequest>,
) -> Result<v1::GetStatusResponse, CallError> {
    administer(call, &api.authenticator, &request, Method::GetStatus).await?;
    Ok(api.status.status().await)
}
