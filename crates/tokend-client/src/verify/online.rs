//! Verification by a call of VerifyToken.

use std::{fmt, sync::Arc, time::Duration};

use tokend_jose::{JsonObject, Reason, read_foreign_claims};
use tonic::{Code, Request, Status, transport::Channel};
use tonic_types::StatusExt as _;

use super::{Claims, cache::TokenCache};
use crate::{
    Clock, Credential, VerifyError,
    proto::{VerifyTokenRequest, token_service_client::TokenServiceClient},
};

/// How long a call may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Verifies with calls of a tokend server.
pub(super) struct Online {
    pub(super) channel: Channel,
    pub(super) credential: Credential,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) audiences: Vec<String>,
    /// The only accepted issuer; none for those that the client may verify.
    pub(super) issuer: Option<String>,
    pub(super) leeway: Duration,
    /// Responses with the time until which they may be used.
    pub(super) cache: TokenCache<Duration>,
}

impl Online {
    pub(super) async fn verify(&self, token: &str) -> Result<Claims, VerifyError> {
        let now = self.clock.monotonic();
        if let Some(entry) = self.cache.get(token).filter(|entry| now < entry.note) {
            return Ok(entry.claims.clone());
        }
        let message = VerifyTokenRequest {
            token: token.to_owned(),
            audiences: self.audiences.clone(),
            issuers: self.issuer.iter().cloned().collect(),
            leeway: (!self.leeway.is_zero()).then(|| prost_types::Duration {
                seconds: i64::try_from(self.leeway.as_secs()).unwrap_or(i64::MAX),
                nanos: 0,
            }),
            read_mask: Some(prost_types::FieldMask {
                paths: vec!["claims_json".to_owned(), "cache_ttl".to_owned()],
            }),
            ..Default::default()
        };
        let mut request = Request::new(message);
        let credential = self.credential.authorization(&*self.clock).await;
        if let Some(value) = credential.map_err(|error| unavailable(&error.to_string()))? {
            request.metadata_mut().as_mut().insert(http::header::AUTHORIZATION, value);
        }
        let mut client = TokenServiceClient::new(self.channel.clone());
        let response = tokio::time::timeout(TIMEOUT, client.verify_token(request)).await;
        let response = response
            .map_err(|_| unavailable("tokend did not respond in time"))?
            .map_err(|status| rejection(&status))?
            .into_inner();
        let members = JsonObject::parse(&response.claims_json)
            .map_err(|_| unavailable("the claims in tokend's response are not a JSON object"))?;
        // The profile of other issuers reads tokens of every issuer that the server accepts.
        let claims = Claims::new(read_foreign_claims(&members, false)?, &response.claims_json);
        let ttl = response.cache_ttl.and_then(|ttl| Duration::try_from(ttl).ok()).unwrap_or_default();
        if !ttl.is_zero() {
            self.cache.insert(token, claims.clone(), now + ttl);
        }
        Ok(claims)
    }
}

/// The error of VerifyToken. A token is rejected only by a reason that names the token; any other error says nothing about it.
fn rejection(status: &Status) -> VerifyError {
    let name = status.get_details_error_info().map(|info| info.reason).unwrap_or_default();
    match Reason::ALL.into_iter().find(|reason| reason.name() == name) {
        Some(reason) if status.code() == Code::InvalidArgument => {
            let text = status.message();
            let detail = text.split_once(": ").map_or(text, |(_, detail)| detail).to_owned();
            VerifyError::Rejected { reason, detail: detail.into() }
        }
        _ => unavailable(&format!("{}: {}", status.code(), status.message())),
    }
}

fn unavailable(problem: &str) -> VerifyError {
    tracing::warn!(problem, "tokend verified no token");
    VerifyError::Unavailable(problem.to_owned().into())
}

impl fmt::Debug for Online {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Online").field("audiences", &self.audiences).finish_non_exhaustive()
    }
}
