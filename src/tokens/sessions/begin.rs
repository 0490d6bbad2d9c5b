//! Begins a session.

use zeroize::Zeroizing;

use super::{SessionError, Sessions, token::RefreshToken};
use crate::{
    access::IssueGrant,
    model::{FamilyKey, PasswordHash, Session, SessionId, SessionRecord, SessionScope, UnixTime, UserId},
    tokens::IssuedToken,
};

/// A new refresh token. It has no `Debug`, because it contains the token.
pub(crate) struct FreshRefreshToken {
    pub(crate) text: Zeroizing<String>,
    /// The expiry of the unused token.
    pub(crate) expire_time: UnixTime,
}

impl FreshRefreshToken {
    pub(super) fn new(token: &RefreshToken, expire_time: UnixTime) -> Self {
        Self { text: token.reveal(), expire_time }
    }
}

/// A new session. It has no `Debug`, because it contains tokens.
pub(crate) struct BegunSession {
    /// The grant of the access token.
    pub(crate) grant: IssueGrant,
    /// The first access token.
    pub(crate) token: IssuedToken,
    /// The first refresh token.
    pub(crate) refresh: FreshRefreshToken,
}

impl Sessions {
    /// Begins a session with the access token of `grant`. The session is durable when this returns.
    pub(crate) async fn begin(&self, grant: IssueGrant) -> Result<BegunSession, SessionError> {
        let (begun, record) = self.prepare(grant, None)?;
        self.store.create_session(&record).await?;
        Ok(begun)
    }

    /// Begins a session of a user whose password matched the hash `proved`. Returns `None` if the user has another hash by now.
    pub(crate) async fn begin_for_user(
        &self,
        grant: IssueGrant,
        user_id: &UserId,
        proved: &PasswordHash,
    ) -> Result<Option<BegunSession>, SessionError> {
        let (begun, record) = self.prepare(grant, Some(user_id.clone()))?;
        let is_stored = self.store.create_user_session(&record, proved).await?;
        Ok(is_stored.then_some(begun))
    }

    /// Makes a session and its first tokens, without storing them.
    fn prepare(
        &self,
        grant: IssueGrant,
        user_id: Option<UserId>,
    ) -> Result<(BegunSession, SessionRecord), SessionError> {
        let (session_id, family) = (SessionId::generate()?, FamilyKey::generate()?);
        let refresh_token = RefreshToken::generate(&session_id, &family)?;
        let expire_time = self.clock.now().after(self.policy.max_ttl);
        let grant = grant.in_session(session_id.clone(), expire_time);
        // Signed before the write: a failed signature leaves no session, and a failed write returns no token.
        let token = self.issuer.issue(&grant)?;
        let create_time = token.issue_time;
        let idle_expire_time = create_time.after(self.policy.idle_ttl).min(expire_time);
        let session = Session {
            session_id,
            client_id: grant.client_id().clone(),
            subject: grant.subject().to_owned(),
            user_id,
            scope: SessionScope {
                audiences: grant.audiences().to_vec(),
                scopes: grant.scopes().to_vec(),
                claims: grant.requested_claims(),
                ttl: Some(grant.ttl()),
            },
            create_time,
            refresh_time: create_time,
            idle_expire_time,
            expire_time,
        };
        let current = refresh_token.digest();
        let record = SessionRecord { session, family, current, replaced: None };
        let refresh = FreshRefreshToken::new(&refresh_token, idle_expire_time);
        Ok((BegunSession { grant, token, refresh }, record))
    }
}
