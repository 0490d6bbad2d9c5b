//! IntrospectToken.

use tonic::Request;

use super::TokenApi;
use crate::{
    access,
    admission::CallClass,
    grpc::{call::CallContext, convert, status::CallError},
    proto::v1,
    spans,
    tokens::{IntrospectError, Introspector, VerifyError},
};

impl TokenApi {
    pub(super) async fn introspect(
        &self,
        call: &CallContext,
        request: Request<v1::IntrospectTokenRequest>,
    ) -> Result<v1::IntrospectTokenResponse, CallError> {
        let mut caller = call.caller(&self.authenticator, request.metadata().as_ref()).await?;
        let asked = convert::introspect_request(request.into_inner());
        let grant = asked.authorize(|request| access::introspect(caller.client(), request))?;
        let _step = spans::step("verify");
        let introspected = if Introspector::is_refresh_token(&grant) {
            caller.permit().change_class(CallClass::Introspect).await?;
            self.introspector.refresh_token(&grant).await.map_err(IntrospectError::Store)?
        } else {
            match self.with_keys(&mut caller, || self.introspector.access_token(&grant)).await {
                Ok(token) => token,
                Err(VerifyError::Refused(_)) => None,
                Err(error) => return Err(IntrospectError::Verify(error).into()),
            }
        };
        Ok(convert::introspected_answer(introspected, &self.verifier.policy().issuer))
    }
}
