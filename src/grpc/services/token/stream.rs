//! StreamVerifyTokens.

use std::{sync::Arc, time::Duration};

use http::HeaderMap;
use tokio::task::JoinSet;
use tonic::{Code, Request, Streaming};
use tracing::Instrument as _;

use super::verify;
use crate::{
    access::{self, Authenticated},
    grpc::{
        Drain,
        call::CallContext,
        convert, framing,
        response_stream::{self, ResponseSender, ResponseStream, SendError},
        services::Api,
        status::CallError,
    },
    proto::v1::{
        StreamVerifyTokensRequest, StreamVerifyTokensResponse, VerifyTokenRequest, VerifyTokenResponse,
        stream_verify_tokens_response::Result as Item,
    },
};

/// The most tokens of one stream that are verified at once, and the most results that wait to be sent.
const MAX_IN_FLIGHT: usize = 64;

/// How long a client may leave a result unread.
const SEND_TIMEOUT: Duration = Duration::from_secs(30);

/// Handles StreamVerifyTokens.
pub(super) async fn stream_verify_tokens(
    api: &Arc<Api>,
    call: &Arc<CallContext>,
    request: Request<Streaming<StreamVerifyTokensRequest>>,
) -> Result<ResponseStream<StreamVerifyTokensResponse>, CallError> {
    let caller = call.caller(&api.authenticator, request.metadata().as_ref()).await?;
    access::may_stream(caller.client())?;
    let (sender, responses) = response_stream::channel(MAX_IN_FLIGHT, SEND_TIMEOUT);
    let stream = VerifyStream {
        api: Arc::clone(api),
        call: Arc::clone(call),
        caller: caller.authenticated(),
        headers: Arc::new(request.metadata().as_ref().clone()),
    };
    let requests = request.into_inner();
    tokio::spawn(stream.run(requests, sender).instrument(call.log_span().clone()));
    Ok(responses)
}

/// One stream of tokens.
#[derive(Clone)]
struct VerifyStream {
    api: Arc<Api>,
    call: Arc<CallContext>,
    caller: Authenticated,
    /// The metadata with the credential, which is checked again for each token.
    headers: Arc<HeaderMap>,
}

impl VerifyStream {
    async fn run(
        self,
        requests: Streaming<StreamVerifyTokensRequest>,
        sender: ResponseSender<StreamVerifyTokensResponse>,
    ) {
        match self.serve(requests, &sender).await {
            Ok(()) => self.call.stream_ended(Code::Ok),
            Err(error) => {
                let status = error.into_status(&self.call);
                self.call.stream_ended(status.code());
                sender.end(status);
            }
        }
    }

    /// Serves the stream until the client ends the stream or disconnects.
    async fn serve(
        &self,
        mut requests: Streaming<StreamVerifyTokensRequest>,
        sender: &ResponseSender<StreamVerifyTokensResponse>,
    ) -> Result<(), CallError> {
        let drain: &Drain = &self.api.drain;
        let (mut verifying, mut is_open) = (JoinSet::new(), true);
        while is_open || !verifying.is_empty() {
            let response = tokio::select! {
                message = requests.message(), if is_open && verifying.len() < MAX_IN_FLIGHT => match message {
                    Ok(Some(message)) => {
                        let stream = self.clone();
                        verifying.spawn(async move { stream.verify(message).await });
                        continue;
                    }
                    Ok(None) => {
                        is_open = false;
                        continue;
                    }
                    Err(status) => return match status.code() {
                        Code::OutOfRange | Code::ResourceExhausted => Err(CallError::RequestTooLarge),
                        Code::Internal | Code::InvalidArgument => {
                            Err(CallError::Undecodable(status.message().to_owned()))
                        }
                        // The client disconnected.
                        _ => Ok(()),
                    },
                },
                Some(verified) = verifying.join_next() => verified.map_err(|_| CallError::Lost)??,
                () = sender.disconnected() => return Ok(()),
                () = drain.begun() => return Err(CallError::ShuttingDown),
            };
            let sent = tokio::select! {
                sent = sender.send(response) => sent,
                () = drain.begun() => return Err(CallError::ShuttingDown),
            };
            match sent {
                Ok(()) => {}
                Err(SendError::Disconnected) => return Ok(()),
                Err(SendError::TimedOut) => return Err(CallError::SlowReader),
            }
        }
        Ok(())
    }

    /// Returns the response to one request. An error ends the stream: the caller is no longer authenticated.
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
        let mut caller = self.call.readmit(&self.api.authenticator, &self.caller, &self.headers).await?;
        let (checked, fields) = convert::verify_request(message, self.api.verifier.policy().max_leeway);
        let client = Arc::clone(caller.client());
        let grant = checked.authorize(|request| access::stream_verify(&client, request))?;
        let verified = verify::verify(&self.api, &mut caller, &grant).await?;
        framing::decode_response(convert::verified_response(&verified, fields))
    }
}
