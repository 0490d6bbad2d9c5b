//! IntrospectToken.

use tonic::Request;

use super::TokenApi;
use crate::{
    access,
    grpc::{caller::caller, convert, status::CallError},
    proto::v1,
    spans,
};

impl TokenApi {
    pub(super) async fn introspect(
        &self,
        request: Request<v1::IntrospectTokenRequest>,
    ) -> Result<v1::IntrospectTokenResponse, CallError> {
        let caller = caller(&self.authenticator, &request).await?;
        let asked = convert::introspect_request(request.into_inner());
        let grant = asked.authorize(|request| access::introspect(&caller, request))?;
        let step = spans::step("verify");
        let introspected = self.introspector.introspect(&grant).await;
        drop(step);
        Ok(convert::introspected_answer(introspected?, &self.verifier.policy().issuer))
    }
}
