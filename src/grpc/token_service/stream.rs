//! StreamVerifyTokens.

use std::{sync::Arc, time::Duration};

use tokio::task::JoinSet;
use tonic::{Request, Streaming};
use tracing::Instrument as _;

use super::TokenApi;
use crate::{
    access::{self, Authenticated},
    grpc::{
        Drain,
        call::CallContext,
        convert,
        feed::{self, Feed, Sender, Unread},
        framing,
        status::CallError,
    },
    proto::v1::{
        StreamVerifyTokensRequest, StreamVerifyTokensResponse, VerifyTokenRequest, VerifyTokenResponse,
        stream_verify_tokens_response::Result as Item,
    },
};

/// How many tokens of one stream are verified at once, and how many results wait to be sent.
const IN_FLIGHT: usize = 64;

/// How long a client may leave a result unread.
const UNREAD: Duration = Duration::from_secs(30);

impl TokenApi {
    pub(super) async fn stream_verify(
        self: &Arc<Self>,
        call: &Arc<CallContext>,
        request: Request<Streaming<StreamVerifyTokensRequest>>,
    ) -> Result<Feed<StreamVerifyTokensResponse>, CallError> {
        let caller = call.caller(&self.authenticator, request.metadata().as_ref()).await?;
        access::may_stream(caller.client())?;
        let (sender, feed) = feed::channel(IN_FLIGHT, UNREAD);
        let stream =
            VerifyStream { api: Arc::clone(self), call: Arc::clone(call), caller: caller.authenticated() };
        let requests = request.into_inner();
        tokio::spawn(stream.run(requests, sender).instrument(call.log_span().clone()));
        Ok(feed)
    }
}

/// One stream of tokens.
#[derive(Clone)]
struct VerifyStream {
    api: Arc<TokenApi>,
    call: Arc<CallContext>,
    caller: Authenticated,
}

impl VerifyStream {
    async fn run(
        self,
        requests: Streaming<StreamVerifyTokensRequest>,
        sender: Sender<StreamVerifyTokensResponse>,
    ) {
        let ended = self.serve(requests, &sender).await;
        self.call.stream_ended();
        if let Err(error) = ended {
            sender.end(error);
        }
    }

    /// Serves the stream until the client ends it or disconnects.
    async fn serve(
        &self,
        mut requests: Streaming<StreamVerifyTokensRequest>,
        sender: &Sender<StreamVerifyTokensResponse>,
    ) -> Result<(), CallError> {
        let drain: &Drain = &self.api.drain;
        let (mut verifying, mut is_open) = (JoinSet::new(), true);
        while is_open || !verifying.is_empty() {
            let response = tokio::select! {
                message = requests.message(), if is_open && verifying.len() < IN_FLIGHT => match message {
                    Ok(Some(message)) => {
                        let stream = self.clone();
                        verifying.spawn(async move { stream.verify(message).await });
                        continue;
                    }
                    Ok(None) => {
                        is_open = false;
                        continue;
                    }
                    // The client disconnected, or sent what is no message.
                    Err(status) => return Err(CallError::Undecodable(status.message().to_owned())),
                },
                Some(verified) = verifying.join_next() => verified.map_err(|_| CallError::Lost)??,
                () = sender.gone() => return Ok(()),
                () = drain.begun() => return Err(CallError::ShuttingDown),
            };
            match sender.send(response).await {
                Ok(()) => {}
                Err(Unread::Gone) => return Ok(()),
                Err(Unread::TooSlow) => return Err(CallError::SlowReader),
            }
        }
        Ok(())
    }

    /// The response to one request. An error ends the stream: the client may not go on with it.
    async fn verify(
        &self,
        message: StreamVerifyTokensRequest,
    ) -> Result<StreamVerifyTokensResponse, CallError> {
        let StreamVerifyTokensRequest { id, request } = message;
        let result = match self.verify_one(request.unwrap_or_default()).await {
            Ok(verified) => Item::Verified(verified),
            Err(error @ CallError::Authentication(_)) => return Err(error),
            Err(error) => Item::Error(error.into_item(&self.call)),
        };
        Ok(StreamVerifyTokensResponse { id, result: Some(result) })
    }

    async fn verify_one(&self, message: VerifyTokenRequest) -> Result<VerifyTokenResponse, CallError> {
        let mut caller = self.call.readmit(&self.api.authenticator, &self.caller).await?;
        let (asked, fields) = convert::verify_request(message, self.api.verifier.policy().max_leeway);
        let client = Arc::clone(caller.client());
        let grant = asked.authorize(|request| access::stream_verify(&client, request))?;
        let verified = self.api.verified(&mut caller, &grant).await?;
        framing::decode_own(convert::verified_response(&verified, fields))
    }
}
