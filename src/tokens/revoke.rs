//! Revoking (RFC 7009). Whatever is answered as revoked is durable, and in force here.

use std::sync::Arc;

use super::{Sessions, Verifier, VerifyError};
use crate::{
    access::{Denial, Owner, RevokeGrant},
    clock::Clock,
    keys::{CLOCK_MARGIN, KeyRing},
    model::{
        ClientId, Revocation, RevocationTarget, RevokeTarget, Session, SessionId, UnixTime, Violations,
        is_revocable,
    },
    revocations::Revocations,
    store::{Store, StoreError},
};

/// How far ahead the instant may lie up to which tokens are revoked, in seconds: as far as clocks may differ.
pub(crate) const FURTHEST_AHEAD: i64 = 60;

/// Why nothing was revoked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RevokeError {
    /// It is not the caller's to revoke.
    #[error(transparent)]
    Denied(#[from] Denial),
    /// It cannot be revoked so.
    #[error("the request names nothing that can be revoked")]
    Invalid(Violations),
    /// Nobody can say what token it is.
    #[error(transparent)]
    Unknown(VerifyError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a call came to.
#[derive(Debug, Clone)]
pub(crate) struct Revoked {
    /// Since when.
    pub(crate) revoke_time: UnixTime,
    /// What was revoked; none: there was nothing to revoke.
    pub(crate) made: Option<MadeRevocation>,
}

/// A revocation that is durable.
#[derive(Debug, Clone)]
pub(crate) struct MadeRevocation {
    /// Of what.
    pub(crate) target: RevocationTarget,
    /// By which lines of the caller's policy it was allowed.
    pub(crate) policy: String,
}

/// Revokes tokens and sessions.
#[derive(Debug)]
pub struct Revoker {
    verifier: Arc<Verifier>,
    sessions: Arc<Sessions>,
    revocations: Arc<Revocations>,
    ring: Arc<KeyRing>,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
}

/// What is to be revoked, and until when that is to be remembered.
struct Found {
    target: RevocationTarget,
    expire_time: Option<UnixTime>,
    /// The line that allows it, if what was found decided about it.
    policy: Option<String>,
}

impl Revoker {
    /// Revokes the tokens that `verifier` takes, and what is of `sessions`.
    pub const fn new(
        verifier: Arc<Verifier>,
        sessions: Arc<Sessions>,
        revocations: Arc<Revocations>,
        ring: Arc<KeyRing>,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { verifier, sessions, revocations, ring, store, clock }
    }

    /// Revokes what `grant` names, if there is something to revoke and it is the caller's to do. What was revoked before stays so
    /// since then.
    pub(crate) async fn revoke(&self, grant: &RevokeGrant) -> Result<Revoked, RevokeError> {
        let now = self.clock.now();
        let found = match grant.target() {
            RevokeTarget::Token(token) => match self.sessions.look(token).await? {
                Some(known) => Some(self.of_session(grant, known.session, now)?),
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
        // RFC 7009 section 2.2: whoever wants an unknown token gone has what it wants.
        let Some(Found { target, expire_time, policy }) = found else {
            return Ok(Revoked { revoke_time: now, made: None });
        };
        let revocation = Revocation { target, revoke_time: now, expire_time };
        let revoke_time = self.revocations.make(&revocation).await?.revocation.revoke_time;
        let policy = match policy {
            Some(line) => format!("{}, {line}", grant.policy()),
            None => grant.policy(),
        };
        Ok(Revoked { revoke_time, made: Some(MadeRevocation { target: revocation.target, policy }) })
    }

    /// An access token, for whomever it is. None if nobody accepts it anyway.
    async fn of_token(
        &self,
        grant: &RevokeGrant,
        token: &str,
        now: UnixTime,
    ) -> Result<Option<Found>, RevokeError> {
        let mut examined = self.verifier.examine(token);
        if matches!(examined, Err(VerifyError::KeyNotInMemory)) {
            self.verifier.look_up_keys().await.map_err(RevokeError::Unknown)?;
            examined = self.verifier.examine(token).map_err(VerifyError::after_lookup);
        }
        let token = match examined {
            Ok(token) => token,
            Err(VerifyError::Refused(_)) => return Ok(None),
            Err(error) => return Err(RevokeError::Unknown(error)),
        };
        let claims = token.claims;
        // By whosever clock, and with whatever leeway.
        let accepted_until = claims.expire_time.after(self.verifier.policy().max_leeway).after(CLOCK_MARGIN);
        if accepted_until <= now {
            return Ok(None);
        }
        // Another issuer's `client_id` and `sub` name clients and subjects of its own; and who can sign as that issuer could have
        // chosen the `jti` of any token.
        let policy = if token.is_own {
            grant.allows(Owner { client_id: claims.client_id.as_deref(), subject: &claims.subject })?
        } else {
            grant.allows_whatever_it_is()?
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
            // Its access tokens may live longer than it did. Whose they are, nobody knows any more.
            Err(StoreError::NotFound) => Ok(grant.allows_whatever_it_is().ok().map(|policy| {
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
        // What is issued until then lives on from then.
        Ok(Found { target, expire_time: self.ring.tokens_end(now.max(before)), policy: None })
    }

    fn of_client(&self, client_id: &ClientId, now: UnixTime) -> Found {
        let before = next_second(now);
        let target = RevocationTarget::Client(client_id.clone(), before);
        Found { target, expire_time: self.ring.tokens_end(before), policy: None }
    }
}

/// Tokens say the second in which they were issued: with this bound those of the current one are revoked too, rather than none
/// of them.
pub(crate) const fn next_second(now: UnixTime) -> UnixTime {
    UnixTime::from_seconds(now.seconds().saturating_add(1))
}
