//! ExchangeToken.

use tonic::Request;

use super::TokenApi;
use crate::{
    access,
    grpc::{caller::caller, convert, status::CallError, trail},
    proto::v1,
    tokens::ExchangedToken,
};

impl TokenApi {
    pub(super) async fn exchange(
        &self,
        request: Request<v1::ExchangeTokenRequest>,
    ) -> Result<v1::ExchangeTokenResponse, CallError> {
        let caller = caller(&self.authenticator, &request).await?;
        let (asked, token_type) = convert::exchange_request(request.into_inner());
        asked.if_sound(trail::asked_to_exchange);
        let grant = asked.authorize(|request| access::exchange(&caller, request, &self.rules))?;
        let ExchangedToken { token, grant } = self.exchanger.exchange(grant, &self.rules).await?;
        self.metrics.issued(&token);
        trail::token(&grant, &self.rules, &token);
        Ok(convert::exchanged_answer(token, grant.scopes().to_vec(), token_type))
    }
}
