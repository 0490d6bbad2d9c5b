//! Token introspection (RFC 7662). An invalid token and a token that the caller may not see have one response.

use std::sync::Arc;

use super::{Sessions, Verifier, VerifyError, sessions::RefreshToken};
use crate::{
    access::IntrospectGrant,
    jose::JsonObject,
    model::{Session, TokenClaims},
    store::StoreError,
};

/// An active token that the caller may see.
pub(crate) enum IntrospectedToken {
    /// An access token: the registered claims, all claims, and the signed payload.
    Access(TokenClaims, JsonObject<'static>, String),
    Refresh(Session),
}

/// Why a token cannot be introspected. An inactive token is not an error.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IntrospectError {
    #[error(transparent)]
    Verify(VerifyError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Introspects tokens.
#[derive(Debug)]
pub struct Introspector {
    verifier: Arc<Verifier>,
    sessions: Arc<Sessions>,
}

impl Introspector {
    /// Introspects access tokens by `verifier`, and refresh tokens of `sessions`.
    pub const fn new(verifier: Arc<Verifier>, sessions: Arc<Sessions>) -> Self {
        Self { verifier, sessions }
    }

    /// Whether the token has the form of a refresh token, which needs the store.
    pub(crate) fn is_refresh_token(grant: &IntrospectGrant) -> bool {
        RefreshToken::parse(grant.token()).is_some()
    }

    /// Introspects a refresh token. Reads the store. Neither uses the token nor revokes its session after reuse: the caller may not be
    /// its owner.
    pub(crate) async fn refresh_token(
        &self,
        grant: &IntrospectGrant,
    ) -> Result<Option<IntrospectedToken>, StoreError> {
        if !grant.accepts_issuer(&self.verifier.policy().issuer, true) {
            return Ok(None);
        }
        let found = self.sessions.find(grant.token()).await?;
        let session = found
            .filter(|found| found.is_current)
            .map(|found| found.session)
            .filter(|session| grant.shows_refresh_token(&session.client_id, &session.scope.audiences));
        let Some(session) = session else { return Ok(None) };
        let is_active = self.sessions.has_active_user(&session).await?;
        Ok(is_active.then_some(IntrospectedToken::Refresh(session)))
    }

    /// Introspects an access token, from memory.
    pub(crate) fn access_token(
        &self,
        grant: &IntrospectGrant,
    ) -> Result<Option<IntrospectedToken>, VerifyError> {
        let token = self
            .verifier
            .examine(grant.token(), |_, payload| (payload.members.into_owned(), payload.text.to_owned()))?;
        // In tokens of other issuers `client_id` names a client of that issuer.
        let client_id = token.claims.client_id.as_deref().filter(|_| token.is_own);
        if !grant.accepts_issuer(&token.claims.issuer, token.is_own)
            || !grant.shows_access_token(&token.claims.audiences, client_id)
        {
            return Ok(None);
        }
        self.verifier.check_good(&token)?;
        let (members, text) = token.payload;
        Ok(Some(IntrospectedToken::Access(token.claims, members, text)))
    }
}
