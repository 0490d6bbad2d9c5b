//! Saying whether a token is good (RFC 7662). Whatever is wrong with a token, and whoever may not know of it, is one answer.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::{Sessions, Verifier, VerifyError, sessions::RefreshToken};
use crate::{
    access::IntrospectGrant,
    model::{Session, TokenClaims},
    store::StoreError,
};

/// A good token that the caller may know of.
pub(crate) enum IntrospectedToken {
    /// An access token, with its registered claims, with every claim, and with its payload as it was signed.
    Access(TokenClaims, Map<String, Value>, String),
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

    /// Whether the token has the form of a refresh token, of which only the store knows more.
    pub(crate) fn is_refresh_token(grant: &IntrospectGrant) -> bool {
        RefreshToken::parse(grant.token()).is_some()
    }

    /// The session of a refresh token that is good, and belongs to the caller. This reads the store. Asking about a token uses nothing
    /// up, and one that was used before ends nothing here: the caller may not be its owner.
    pub(crate) async fn refresh_token(
        &self,
        grant: &IntrospectGrant,
    ) -> Result<Option<IntrospectedToken>, StoreError> {
        if !grant.accepts_issuer(&self.verifier.policy().issuer, true) {
            return Ok(None);
        }
        let known = self.sessions.look(grant.token()).await?;
        let good = known.filter(|known| known.is_good).map(|known| known.session);
        let Some(session) = good.filter(|good| grant.owns(&good.client_id, &good.scope.audiences)) else {
            return Ok(None);
        };
        let is_active = self.sessions.may_go_on(&session).await?;
        Ok(is_active.then_some(IntrospectedToken::Refresh(session)))
    }

    /// An access token that is good, and that the caller may know of. From memory.
    pub(crate) fn access_token(
        &self,
        grant: &IntrospectGrant,
    ) -> Result<Option<IntrospectedToken>, VerifyError> {
        let token = self.verifier.examine(grant.token())?;
        if !grant.accepts_issuer(&token.claims.issuer, token.is_own) {
            return Ok(None);
        }
        // In tokens of other issuers `client_id` names a client of theirs.
        let client_id = token.claims.client_id.as_deref().filter(|_| token.is_own);
        if !grant.shows(&token.claims.audiences, client_id) {
            return Ok(None);
        }
        self.verifier.check_good(&token)?;
        Ok(Some(IntrospectedToken::Access(token.claims, token.members, token.payload)))
    }
}
