//! RefreshToken.

use tonic::Request;

use super::TokenApi;
use crate::{
    grpc::{caller::caller, status::CallError},
    proto::v1,
};

impl TokenApi {
    pub(super) async fn refresh(
        &self,
        request: Request<v1::RefreshTokenRequest>,
    ) -> Result<v1::RefreshTokenResponse, CallError> {
        let _caller = caller(&self.authenticator, &request).await?;
        Err(CallError::MethodUnknown)
    }
}
