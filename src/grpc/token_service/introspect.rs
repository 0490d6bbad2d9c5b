//! IntrospectToken.

use tonic::Request;

use super::TokenApi;
use crate::{
    access,
    grpc::{admission::LaneName, caller::caller, convert, status::CallError, trail},
    proto::v1,
    spans,
    tokens::{IntrospectError, Introspector, VerifyError},
};

impl TokenApi {
    pub(super) async fn introspect(
        &self,
        request: Request<v1::IntrospectTokenRequest>,
    ) -> Result<v1::IntrospectTokenResponse, CallError> {
        let caller = caller(&self.authenticator, &request).await?;
        let asked = convert::introspect_request(request.into_inner());
        let grant = asked.authorize(|request| access::introspect(&caller, request))?;
        let _step = spans::step("verify");
        let introspected = if Introspector::is_refresh_token(&grant) {
            trail::change_lane(LaneName::Introspect).await?;
            self.introspector.refresh_token(&grant).await.map_err(IntrospectError::Store)?
        } else {
            match self.with_keys(|| self.introspector.access_token(&grant)).await {
                Ok(token) => token,
                Err(VerifyError::Refused(_)) => None,
                Err(error) => return Err(IntrospectError::Verify(error).into()),
            }
        };
        Ok(convert::introspected_answer(introspected, &self.verifier.policy().issuer))
    }
}
