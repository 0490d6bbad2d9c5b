//! RevokeToken.

use tonic::Request;

use super::TokenApi;
use crate::{
    grpc::{caller::caller, status::CallError},
    proto::v1,
};

impl TokenApi {
    pub(super) async fn revoke(
        &self,
        request: Request<v1::RevokeTokenRequest>,
    ) -> Result<v1::RevokeTokenResponse, CallError> {
        let _caller = caller(&self.authenticator, &request).await?;
        Err(CallError::MethodUnknown)
    }
}
