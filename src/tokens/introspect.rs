//! Saying whether a token is good (RFC 7662). Whatever is wrong with a token, and whoever may not know of it, is one answer.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::{Sessions, Verifier, VerifyError};
use crate::{
    access::IntrospectGrant,
    model::{Session, TokenClaims},
    store::StoreError,
};

/// A good token that the caller may know of.
pub(crate) enum IntrospectedToken {
    /// An access token, with its registered claims and with every claim.
    Access(TokenClaims, Map<String, Value>),
    /// A refresh token of this session.
    Refresh(Session),
}

/// Why nobody can say whether a token is good. That it is bad is no error, and no failure makes a token good or bad.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IntrospectError {
    /// Of an access token.
    #[error(transparent)]
    Verify(VerifyError),
    /// The store could not be asked about a refresh token.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Says whether tokens are good.
#[derive(Debug)]
pub struct Introspector {
    verifier: Arc<Verifier>,
    sessions: Arc<Sessions>,
}

impl Introspector {
    /// Looks at access tokens as `verifier` does, and at refresh tokens of `sessions`.
    pub const fn new(verifier: Arc<Verifier>, sessions: Arc<Sessions>) -> Self {
        Self { verifier, sessions }
    }

    /// The token that `grant` allows the caller to ask about, if it is good and the caller may know that.
    pub(crate) async fn introspect(
        &self,
        grant: &IntrospectGrant,
    ) -> Result<Option<IntrospectedToken>, IntrospectError> {
        if let Some(session) = self.refresh_token(grant).await? {
            return Ok(Some(IntrospectedToken::Refresh(session)));
        }
        match self.access_token(grant).await {
            Ok(token) => Ok(token),
            Err(VerifyError::Refused(_)) => Ok(None),
            Err(error @ (VerifyError::KeyUnavailable(_) | VerifyError::Stale(_))) => {
                Err(IntrospectError::Verify(error))
            }
        }
    }

    /// The session of a refresh token that is good, and belongs to the caller. Asking about it uses nothing up, and one that was
    /// used before ends nothing here: whoever only asks may have found it anywhere.
    async fn refresh_token(&self, grant: &IntrospectGrant) -> Result<Option<Session>, StoreError> {
        if !grant.accepts_issuer(&self.verifier.policy().issuer, true) {
            return Ok(None);
        }
        let known = self.sessions.look(grant.token()).await?;
        let good = known.filter(|known| known.is_good).map(|known| known.session);
        let Some(session) = good.filter(|good| grant.owns(&good.client_id, &good.scope.audiences)) else {
            return Ok(None);
        };
        Ok(self.sessions.may_go_on(&session).await?.then_some(session))
    }

    async fn access_token(&self, grant: &IntrospectGrant) -> Result<Option<IntrospectedToken>, VerifyError> {
        let token = self.verifier.examine(grant.token()).await?;
        if !grant.accepts_issuer(&token.claims.issuer, token.is_own) {
            return Ok(None);
        }
        // In tokens of other issuers `client_id` names a client of theirs.
        let client_id = token.claims.client_id.as_deref().filter(|_| token.is_own);
        if !grant.shows(&token.claims.audiences, client_id) {
            return Ok(None);
        }
        self.verifier.check_good(&token)?;
        Ok(Some(IntrospectedToken::Access(token.claims, token.members)))
    }
}
