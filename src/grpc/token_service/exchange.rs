//! ExchangeToken.

use std::sync::Arc;

use tonic::Request;

use super::TokenApi;
use crate::{
    access::{self, ExchangeGrant, IssueGrant},
    grpc::{admission::LaneName, caller::caller, convert, status::CallError, trail},
    model::Method,
    proto::v1,
    tokens::{ExchangeError, PresentedTokens},
};

impl TokenApi {
    pub(super) async fn exchange(
        self: &Arc<Self>,
        request: Request<v1::ExchangeTokenRequest>,
    ) -> Result<v1::ExchangeTokenResponse, CallError> {
        let caller = caller(&self.authenticator, &request).await?;
        let message = request.into_inner();
        let ticket = self.ticket(&caller, Method::ExchangeToken, &message.request_id, &message);
        let (asked, token_type) = convert::exchange_request(message);
        asked.if_sound(trail::asked_to_exchange);
        let grant = asked.authorize(|request| access::exchange(&caller, request, &self.rules))?;
        // Of a request that comes again too: the tokens must be good still, and theirs to exchange.
        let tokens = self.presented_tokens(&grant).await?;
        let grant = self.exchanger.check(grant, tokens, &self.rules)?;
        let api = Arc::clone(self);
        self.repeats.once(ticket, async move { api.exchange_granted(&grant, token_type) }).await
    }

    /// The tokens of an exchange, which are good. While keys are looked up, the call has no permit: neither the store nor another
    /// issuer keeps exchanges waiting for which all keys are in memory.
    async fn presented_tokens(&self, grant: &ExchangeGrant) -> Result<PresentedTokens, CallError> {
        let mut looked_up = Vec::new();
        loop {
            match self.exchanger.presented_tokens(grant, &looked_up) {
                Err(ExchangeError::KeyNotInMemory(keys)) => {
                    trail::leave_lane();
                    self.exchanger.look_up(&keys).await?;
                    trail::change_lane(LaneName::Exchange).await?;
                    looked_up.push(keys);
                }
                outcome => return Ok(outcome?),
            }
        }
    }

    fn exchange_granted(
        &self,
        grant: &IssueGrant,
        token_type: String,
    ) -> Result<v1::ExchangeTokenResponse, CallError> {
        let issued = self.exchanger.issue(grant)?;
        self.metrics.issued(&issued);
        trail::token(grant, &self.rules, &issued);
        Ok(convert::exchanged_answer(issued, grant.scopes().to_vec(), token_type))
    }
}
