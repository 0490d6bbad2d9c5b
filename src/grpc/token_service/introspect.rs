//! IntrospectToken.

use tonic::Request;

use super::TokenApi;
use crate::{
    grpc::{caller::caller, status::CallError},
    proto::v1,
};

impl TokenApi {
    pub(super) async fn introspect(
        &self,
        request: Request<v1::IntrospectTokenRequest>,
    ) -> Result<v1::IntrospectTokenResponse, CallError> {
        let _caller = caller(&self.authenticator, &request).await?;
        Err(CallError::MethodUnknown)
    }
}
