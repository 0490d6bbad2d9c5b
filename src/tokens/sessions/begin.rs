//! The beginning of a session.

use zeroize::Zeroizing;

use super::{SessionError, Sessions, token::RefreshToken};
use crate::{
    access::IssueGrant,
    model::{FamilyKey, PasswordHash, Session, SessionId, SessionRecord, SessionScope, UnixTime, UserId},
    tokens::IssuedToken,
};

/// A refresh token for its client. It has no `Debug`: it holds the token.
pub(crate) struct FreshRefreshToken {
    /// The token itself.
    pub(crate) text: Zeroizing<String>,
    /// When it ends unless it is used before.
    pub(crate) expire_time: UnixTime,
}

impl FreshRefreshToken {
    /// `token`, which is good until `expire_time`.
    pub(super) fn new(token: &RefreshToken, expire_time: UnixTime) -> Self {
        Self { text: token.reveal(), expire_time }
    }
}

/// A session that was just begun. It has no `Debug`: it holds tokens.
pub(crate) struct BegunSession {
    /// What was allowed.
    pub(crate) grant: IssueGrant,
    /// The first access token.
    pub(crate) token: IssuedToken,
    /// The first refresh token.
    pub(crate) refresh: FreshRefreshToken,
}

impl Sessions {
    /// Begins a session with the token that `grant` allows. The session is durable when this answers.
    pub(crate) async fn begin(&self, grant: IssueGrant) -> Result<BegunSession, SessionError> {
        let (begun, record) = self.made(grant, None)?;
        self.store.create_session(&record).await?;
        Ok(begun)
    }

    /// The same for the user `user_id`, who has proved to know the password of the hash `proved`; none if that is not the user's
    /// hash any more.
    pub(crate) async fn begin_for_user(
        &self,
        grant: IssueGrant,
        user_id: &UserId,
        proved: &PasswordHash,
    ) -> Result<Option<BegunSession>, SessionError> {
        let (begun, record) = self.made(grant, Some(user_id.clone()))?;
        let kept = self.store.create_user_session(&record, proved).await?;
        Ok(kept.then_some(begun))
    }

    /// A session that is to be kept, with its first tokens.
    fn made(
        &self,
        grant: IssueGrant,
        user_id: Option<UserId>,
    ) -> Result<(BegunSession, SessionRecord), SessionError> {
        let (session_id, family) = (SessionId::generate()?, FamilyKey::generate()?);
        let refresh_token = RefreshToken::generate(&session_id, &family)?;
        let ends = self.clock.now().after(self.policy.max_ttl);
        let grant = grant.in_session(session_id.clone(), ends);
        // Signed first: what cannot be signed leaves no session behind, and what cannot be kept is not handed out.
        let token = self.issuer.issue(&grant)?;
        let begins = token.issue_time;
        let idle_expire_time = begins.after(self.policy.idle_ttl).min(ends);
        let session = Session {
            session_id,
            client_id: grant.client_id().clone(),
            subject: grant.subject().to_owned(),
            user_id,
            scope: SessionScope {
                audiences: grant.audiences().to_vec(),
                scopes: grant.scopes().to_vec(),
                claims: grant.asked_claims(),
                ttl: Some(grant.ttl()),
            },
            create_time: begins,
            refresh_time: begins,
            idle_expire_time,
            expire_time: ends,
        };
        let current = refresh_token.digest();
        let record = SessionRecord { session, family, current, replaced: None };
        let refresh = FreshRefreshToken::new(&refresh_token, idle_expire_time);
        Ok((BegunSession { grant, token, refresh }, record))
    }
}
