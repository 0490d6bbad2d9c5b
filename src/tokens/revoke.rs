//! Token revocation (RFC 7009). A revocation is durable, and in force at this replica, before the response.

use std::sync::Arc;

use super::{Sessions, Verifier, VerifyError};
use crate::{
    access::{Denial, Owner, RevokeGrant},
    clock::Clock,
    keys::{CLOCK_MARGIN, KeyRing, RotationSchedule},
    model::{
        ClientId, Revocation, RevocationRecord, RevocationTarget, RevokeTarget, Session, SessionId, UnixTime,
        Violations, is_revocable,
    },
    revocations::Revocations,
    store::{Store, StoreError},
};

/// How far in the future `issued_before_time` may be, in seconds: the accepted clock difference.
pub(crate) const FURTHEST_AHEAD: i64 = 60;

/// Why a revocation failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RevokeError {
    #[error(transparent)]
    Denied(#[from] Denial),
    #[error("the request names no target that can be revoked")]
    Invalid(Violations),
    #[error(transparent)]
    Unknown(VerifyError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The result of a revocation.
#[derive(Debug, Clone)]
pub(crate) struct Revoked {
    /// When the target was revoked first.
    pub(crate) revoke_time: UnixTime,
    /// The revocation; none if there was nothing to revoke.
    pub(crate) made: Option<MadeRevocation>,
}

/// A durable revocation.
#[derive(Debug, Clone)]
pub(crate) struct MadeRevocation {
    /// The revoked target.
    pub(crate) target: RevocationTarget,
    /// The rules that allowed it.
    pub(crate) policy: String,
}

/// Revokes tokens and sessions.
#[derive(Debug)]
pub struct Revoker {
    verifier: Arc<Verifier>,
    sessions: Arc<Sessions>,
    revocations: Arc<Revocations>,
    ring: Arc<KeyRing>,
    store: Arc<Store>,
    clock: Arc<dyn Clock>,
}

/// A target that was found.
struct Found {
    target: RevocationTarget,
    /// When the revocation may be deleted.
    expire_time: Option<UnixTime>,
    /// The rule that allows the revocation, if it depends on the target.
    policy: Option<String>,
}

impl Revoker {
    /// Revokes tokens that `verifier` accepts, and sessions of `sessions`.
    pub const fn new(
        verifier: Arc<Verifier>,
        sessions: Arc<Sessions>,
        revocations: Arc<Revocations>,
        ring: Arc<KeyRing>,
        store: Arc<Store>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { verifier, sessions, revocations, ring, store, clock }
    }

    /// Revokes the target of `grant`, if it exists. An earlier revocation keeps its time.
    pub(crate) async fn revoke(&self, grant: &RevokeGrant) -> Result<Revoked, RevokeError> {
        let now = self.clock.now();
        let found = match grant.target() {
            RevokeTarget::Token(token) => match self.sessions.find(token).await? {
                Some(found) => Some(self.of_session(grant, found.session, now)?),
                None => self.of_token(grant, token, now).await?,
            },
            RevokeTarget::JwtId(jwt_id) => {
                let target = RevocationTarget::Token(jwt_id.clone());
                Some(Found { target, expire_time: self.ring.any_tokens_end(now), policy: None })
            }
            RevokeTarget::Session(session_id) => self.of_session_id(grant, session_id, now).await?,
            RevokeTarget::Subject(subject, before) => Some(self.of_subject(subject, *before, now)?),
            RevokeTarget::Client(client_id) => Some(self.of_client(client_id, now)),
        };
        // RFC 7009 section 2.2: the revocation of an unknown token succeeds.
        let Some(Found { target, expire_time, policy }) = found else {
            return Ok(Revoked { revoke_time: now, made: None });
        };
        let revocation = Revocation { target, revoke_time: now, expire_time };
        let revoke_time = self.revocations.revoke(&revocation).await?.revocation.revoke_time;
        let policy = match policy {
            Some(rule) => format!("{}, {rule}", grant.policy()),
            None => grant.policy(),
        };
        Ok(Revoked { revoke_time, made: Some(MadeRevocation { target: revocation.target, policy }) })
    }

    /// Finds an access token with any audience. Returns `None` for a token that is not accepted anyway.
    async fn of_token(
        &self,
        grant: &RevokeGrant,
        token: &str,
        now: UnixTime,
    ) -> Result<Option<Found>, RevokeError> {
        let mut examined = self.verifier.examine(token, |_, _| ());
        if matches!(examined, Err(VerifyError::KeyNotInMemory)) {
            self.verifier.look_up_keys().await.map_err(RevokeError::Unknown)?;
            examined = self.verifier.examine(token, |_, _| ()).map_err(VerifyError::after_lookup);
        }
        let token = match examined {
            Ok(token) => token,
            Err(VerifyError::Refused(_)) => return Ok(None),
            Err(error) => return Err(RevokeError::Unknown(error)),
        };
        let claims = token.claims;
        // By the slowest clock and with the largest leeway.
        let accepted_until = claims.expire_time.after(self.verifier.policy().max_leeway).after(CLOCK_MARGIN);
        if accepted_until <= now {
            return Ok(None);
        }
        // `client_id` and `sub` of another issuer name its own clients and subjects, and it could have chosen the `jti` of any token.
        let policy = if token.is_own {
            grant.allows(Owner { client_id: claims.client_id.as_deref(), subject: &claims.subject })?
        } else {
            grant.allows_any_owner()?
        };
        let Some(jwt_id) = claims.jwt_id.filter(|jwt_id| is_revocable(jwt_id)) else {
            let description =
                "has no `jti` that can be revoked: revoke its session, its subject, its client or its key";
            return Err(RevokeError::Invalid(Violations::of("token", description)));
        };
        let target = RevocationTarget::Token(jwt_id);
        Ok(Some(Found { target, expire_time: Some(accepted_until), policy: Some(policy) }))
    }

    async fn of_session_id(
        &self,
        grant: &RevokeGrant,
        session_id: &SessionId,
        now: UnixTime,
    ) -> Result<Option<Found>, RevokeError> {
        match self.store.session(session_id, now).await {
            Ok(record) => self.of_session(grant, record.session, now).map(Some),
            // The access tokens may outlive their session, whose owner is then unknown.
            Err(StoreError::NotFound) => Ok(grant.allows_any_owner().ok().map(|policy| {
                let target = RevocationTarget::Session(session_id.clone());
                Found { target, expire_time: self.ring.tokens_end(now), policy: Some(policy) }
            })),
            Err(error) => Err(error.into()),
        }
    }

    fn of_session(&self, grant: &RevokeGrant, session: Session, now: UnixTime) -> Result<Found, RevokeError> {
        let owner = Owner { client_id: Some(session.client_id.as_str()), subject: &session.subject };
        let policy = Some(grant.allows(owner)?);
        let target = RevocationTarget::Session(session.session_id);
        Ok(Found { target, expire_time: self.ring.tokens_end(now), policy })
    }

    fn of_subject(
        &self,
        subject: &str,
        before: Option<UnixTime>,
        now: UnixTime,
    ) -> Result<Found, RevokeError> {
        let before = before.unwrap_or_else(|| next_second(now));
        if before.seconds() > now.seconds().saturating_add(FURTHEST_AHEAD) {
            let description = "must not lie more than a minute ahead";
            let field = "subject.issued_before_time";
            return Err(RevokeError::Invalid(Violations::of(field, description)));
        }
        let target = RevocationTarget::Subject(subject.to_owned(), before);
        // Tokens that are issued until `before` expire later.
        Ok(Found { target, expire_time: self.ring.tokens_end(now.max(before)), policy: None })
    }

    fn of_client(&self, client_id: &ClientId, now: UnixTime) -> Found {
        let before = next_second(now);
        let target = RevocationTarget::Client(client_id.clone(), before);
        Found { target, expire_time: self.ring.tokens_end(before), policy: None }
    }
}

/// The bound that includes tokens of the current second, because `iat` has whole seconds.
pub(crate) const fn next_second(now: UnixTime) -> UnixTime {
    UnixTime::from_seconds(now.seconds().saturating_add(1))
}

/// Durably revokes every token of this issuer and every session from before the instant. Running servers apply it at their next read of
/// the store. Returns the revocation in force: an earlier one may cover more.
///
/// # Errors
/// When the store fails.
pub async fn revoke_everything(
    store: &Store,
    schedule: &RotationSchedule,
    before: UnixTime,
    now: UnixTime,
) -> Result<RevocationRecord, StoreError> {
    let keys = store.keys().await?;
    // Tokens that are issued until `before` expire later.
    let expire_time = schedule.all_tokens_end(&keys, now.max(before));
    let target = RevocationTarget::Everything(before);
    store.revoke(&Revocation { target, revoke_time: now, expire_time }).await
}
