//! ExchangeToken.

use tonic::Request;

use super::TokenApi;
use crate::{
    grpc::{caller::caller, status::CallError},
    proto::v1,
};

impl TokenApi {
    pub(super) async fn exchange(
        &self,
        request: Request<v1::ExchangeTokenRequest>,
    ) -> Result<v1::ExchangeTokenResponse, CallError> {
        let _caller = caller(&self.authenticator, &request).await?;
        Err(CallError::MethodUnknown)
    }
}
