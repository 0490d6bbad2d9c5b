//! ExchangeToken.

use std::sync::Arc;

use tonic::Request;

use super::TokenApi;
use crate::{
    access::{self, Caller, ExchangeGrant, IssueGrant},
    admission::CallClass,
    grpc::{call::CallContext, convert, status::CallError},
    model::Method,
    proto::v1,
    tokens::{ExchangeError, PresentedTokens},
};

impl TokenApi {
    pub(super) async fn exchange(
        self: &Arc<Self>,
        call: &Arc<CallContext>,
        request: Request<v1::ExchangeTokenRequest>,
    ) -> Result<v1::ExchangeTokenResponse, CallError> {
        let mut caller = call.caller(&self.authenticator, request.metadata().as_ref()).await?;
        let message = request.into_inner();
        let ticket = self.ticket(caller.client(), Method::ExchangeToken, &message.request_id, &message);
        let (asked, token_type) = convert::exchange_request(message);
        asked.if_sound(|request| call.asked_to_exchange(request));
        let grant = asked.authorize(|request| access::exchange(caller.client(), request, &self.rules))?;
        // Of a request that comes again too: the tokens must be good still, and theirs to exchange.
        let tokens = self.presented_tokens(&mut caller, &grant).await?;
        let grant = self.exchanger.check(grant, tokens, &self.rules)?;
        let Some(ticket) = ticket else { return self.exchange_granted(call, &grant, token_type) };
        let (api, own) = (Arc::clone(self), Arc::clone(call));
        let action = async move {
            let _admitted = caller;
            api.exchange_granted(&own, &grant, token_type)
        };
        self.repeats.once(call, ticket, action).await
    }

    /// The tokens of an exchange, which are good. While keys are looked up, the call has no permit: neither the store nor another
    /// issuer keeps exchanges waiting for which all keys are in memory.
    async fn presented_tokens(
        &self,
        caller: &mut Caller,
        grant: &ExchangeGrant,
    ) -> Result<PresentedTokens, CallError> {
        let mut looked_up = Vec::new();
        loop {
            match self.exchanger.presented_tokens(grant, &looked_up) {
                Err(ExchangeError::KeyNotInMemory(keys)) => {
                    caller.permit().leave_class();
                    self.exchanger.look_up(&keys).await?;
                    caller.permit().change_class(CallClass::Exchange).await?;
                    looked_up.push(keys);
                }
                outcome => return Ok(outcome?),
            }
        }
    }

    fn exchange_granted(
        &self,
        call: &CallContext,
        grant: &IssueGrant,
        token_type: String,
    ) -> Result<v1::ExchangeTokenResponse, CallError> {
        let issued = self.exchanger.issue(grant)?;
        self.metrics.issued(&issued);
        let scopes = grant.scopes().to_vec();
        call.token(grant, &self.rules, &issued);
        Ok(convert::exchanged_answer(issued, scopes, token_type))
    }
}
