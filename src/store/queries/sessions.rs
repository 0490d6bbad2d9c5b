//! Sessions.

use serde::{Deserialize, Serialize};

use super::{Action, Row, Store, StoreError, Transaction, Value, locking, sweep, values};
use crate::{
    jose,
    model::{
        ClientId, ExtraClaims, FamilyKey, PasswordHash, RefreshDigest, ReplacedToken, RequestDigest, Session,
        SessionFilter, SessionId, SessionRecord, SessionRotation, SessionScope, Ttl, UnixTime, UserId,
    },
};

/// The columns that [`read_session`] reads; the table is `s`.
macro_rules! session_columns {
    () => {
        "s.session_id, s.client_id, s.subject, s.user_id, s.scope, s.created_at, s.refreshed_at, s.idle_expires_at, \
         s.expires_at"
    };
}

/// The condition that no revocation has ended the session `s`: four subqueries, each for one row by its whole key. `OFFSET 0` keeps
/// PostgreSQL from replacing a subquery by a join with every revocation of a kind, which it does while its statistics are stale.
macro_rules! not_revoked {
    () => {
        "NOT EXISTS (SELECT 1 FROM revocations AS r WHERE r.kind = 'session' AND r.target = s.session_id \
            LIMIT 1 OFFSET 0) \
         AND NOT EXISTS (SELECT 1 FROM revocations AS r \
            WHERE r.kind = 'subject' AND r.target = s.subject AND r.issued_before > s.created_at LIMIT 1 OFFSET 0) \
         AND NOT EXISTS (SELECT 1 FROM revocations AS r \
            WHERE r.kind = 'client' AND r.target = s.client_id AND r.issued_before > s.created_at LIMIT 1 OFFSET 0) \
         AND NOT EXISTS (SELECT 1 FROM revocations AS r \
            WHERE r.kind = 'everything' AND r.target = '' AND r.issued_before > s.created_at LIMIT 1 OFFSET 0)"
    };
}

const INSERT: &str = "INSERT INTO sessions \
    (session_id, client_id, subject, user_id, scope, created_at, refreshed_at, idle_expires_at, expires_at, \
     family, current_digest, replaced_digest, replaced_at, replaced_request, successor) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)";

impl Store {
    /// Creates a session.
    ///
    /// # Errors
    /// [`StoreError::AlreadyExists`] if there is one with that id.
    pub async fn create_session(&self, record: &SessionRecord) -> Result<(), StoreError> {
        self.action(Action::CreateSession, async {
            self.backend.writer().await?.execute(INSERT, insert_values(record)?).await?;
            Ok(())
        })
        .await
    }

    /// Creates a session of a user who has proved the password with this hash, if it is still the user's hash: no session by an old
    /// password is created after a new password was set. Returns whether the session was created.
    ///
    /// # Errors
    /// [`StoreError::AlreadyExists`] if there is one with that id.
    pub async fn create_user_session(
        &self,
        record: &SessionRecord,
        proved: &PasswordHash,
    ) -> Result<bool, StoreError> {
        self.action(Action::CreateUserSession, async {
            // The lock keeps the hash until the transaction ends: a new password waits, and then finds the session.
            let sql = locking!("SELECT 1 FROM users WHERE user_id = $1 AND password_hash = $2", " FOR SHARE");
            let user_id = record.session.user_id.as_ref().map(UserId::as_str);
            let mut transaction = self.backend.begin().await?;
            let values = values![user_id, proved.reveal()];
            let is_proved = transaction.fetch_optional(sql, values, |_| Ok(())).await?.is_some();
            if is_proved {
                transaction.execute(INSERT, insert_values(record)?).await?;
            }
            transaction.end(is_proved).await?;
            Ok(is_proved)
        })
        .await
    }

    /// A session that has not ended at `now`: neither by its times nor by a revocation of it, its subject, its client or everything.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if there is none.
    pub async fn session(&self, session_id: &SessionId, now: UnixTime) -> Result<SessionRecord, StoreError> {
        self.action(Action::Session, async move {
            let sql = concat!(
                "SELECT ",
                session_columns!(),
                ", s.family, s.current_digest, s.replaced_digest, s.replaced_at, s.replaced_request, s.successor \
                 FROM sessions AS s WHERE s.session_id = $1 AND s.idle_expires_at > $2 AND ",
                not_revoked!()
            );
            let values = values![session_id.as_str(), now];
            let mut connection = self.backend.reader().await?;
            connection.fetch_optional(sql, values, read_record).await?.ok_or(StoreError::NotFound)
        })
        .await
    }

    /// Uses a session's current refresh token and replaces it, if it is still the current one and the session has not ended at the
    /// time of use: of several concurrent uses, one replaces it. Returns whether this one did.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]
    pub async fn rotate_session(&self, rotation: &SessionRotation) -> Result<bool, StoreError> {
        self.action(Action::RotateSession, async {
            let SessionRotation { session_id, current, replaced, idle_expire_time } = rotation;
            let sql = concat!(
                "UPDATE sessions AS s \
                 SET current_digest = $3, replaced_digest = $2, replaced_at = $4, replaced_request = $5, successor = $6, \
                     refreshed_at = $4, idle_expires_at = $7 \
                 WHERE s.session_id = $1 AND s.current_digest = $2 AND s.idle_expires_at > $4 AND ",
                not_revoked!()
            );
            let values = values![
                session_id.as_str(),
                replaced.digest.as_bytes(),
                current.as_bytes(),
                replaced.replace_time,
                replaced.request.as_ref().map(RequestDigest::as_bytes),
                replaced.successor.as_slice(),
                *idle_expire_time,
            ];
            Ok(self.backend.writer().await?.execute(sql, values).await? == 1)
        })
        .await
    }

    /// Up to `limit` sessions that have not ended at `now`, by id, those after `after` only.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Corrupt`]
    pub async fn sessions_page(
        &self,
        filter: &SessionFilter,
        now: UnixTime,
        after: Option<&SessionId>,
        limit: u32,
    ) -> Result<Vec<Session>, StoreError> {
        // A statement for each filter, so that each uses an index.
        macro_rules! page {
            ($filter:literal) => {
                concat!(
                    "SELECT ",
                    session_columns!(),
                    " FROM sessions AS s WHERE ",
                    $filter,
                    " AND s.session_id > $3 AND s.idle_expires_at > $4 AND ",
                    not_revoked!(),
                    " ORDER BY s.session_id LIMIT $5"
                )
            };
        }
        self.action(Action::SessionsPage, async move {
            let sql = match (&filter.subject, &filter.client_id) {
                (None, None) => page!("CAST($1 AS text) IS NULL AND CAST($2 AS text) IS NULL"),
                (Some(_), None) => page!("s.subject = $1 AND CAST($2 AS text) IS NULL"),
                (None, Some(_)) => page!("CAST($1 AS text) IS NULL AND s.client_id = $2"),
                (Some(_), Some(_)) => page!("s.subject = $1 AND s.client_id = $2"),
            };
            let client_id = filter.client_id.as_ref().map(ClientId::as_str);
            let after = after.map_or("", SessionId::as_str);
            let values = values![filter.subject.as_deref(), client_id, after, now, limit];
            self.backend.reader().await?.fetch_all(sql, values, read_session).await
        })
        .await
    }

    /// Deletes up to `limit` sessions that have ended at `now`. Returns how many.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]
    pub async fn forget_sessions(&self, now: UnixTime, limit: u32) -> Result<u64, StoreError> {
        self.action(Action::ForgetSessions, async move {
            let sql = locking!(
                "DELETE FROM sessions WHERE session_id IN \
                 (SELECT session_id FROM sessions WHERE idle_expires_at <= $1 ORDER BY idle_expires_at LIMIT $2",
                " FOR UPDATE SKIP LOCKED",
                ")"
            );
            let mut transaction = self.backend.begin().await?;
            let expired = transaction.execute(sql, values![now, limit]).await?;
            let revoked = sweep::sweep(&mut transaction, now, u64::from(limit).saturating_sub(expired)).await?;
            transaction.end(true).await?;
            Ok(expired + revoked)
        })
        .await
    }
}

/// Deletes the sessions of a user's logins. Returns how many.
pub(super) async fn delete_of_user(
    transaction: &mut Transaction,
    user_id: &UserId,
) -> Result<u64, StoreError> {
    // The user is the subject of these sessions, and there is an index of subjects.
    let sql = "DELETE FROM sessions WHERE subject = $1 AND user_id = $1";
    transaction.execute(sql, values![user_id.as_str()]).await
}

/// Deletes the sessions that a client created.
pub(super) async fn delete_of_client(
    transaction: &mut Transaction,
    client_id: &ClientId,
) -> Result<(), StoreError> {
    let sql = "DELETE FROM sessions WHERE client_id = $1";
    transaction.execute(sql, values![client_id.as_str()]).await?;
    Ok(())
}

fn insert_values(record: &SessionRecord) -> Result<Vec<Value<'_>>, StoreError> {
    let SessionRecord { session, family, current, replaced } = record;
    let replaced = replaced.as_ref();
    let request = replaced.and_then(|token| token.request.as_ref());
    Ok(values![
        session.session_id.as_str(),
        session.client_id.as_str(),
        session.subject.as_str(),
        session.user_id.as_ref().map(UserId::as_str),
        scope_text(session)?,
        session.create_time,
        session.refresh_time,
        session.idle_expire_time,
        session.expire_time,
        family.as_bytes(),
        current.as_bytes(),
        replaced.map(|token| token.digest.as_bytes()),
        replaced.map(|token| token.replace_time),
        request.map(RequestDigest::as_bytes),
        replaced.map(|token| token.successor.as_slice()),
    ])
}

fn read_session(row: &Row) -> Result<Session, StoreError> {
    let session_id: &str = row.get("session_id")?;
    let invalid = |column, problem| corrupt(column, session_id, problem);
    let user_id = row.get::<Option<String>>("user_id")?.map(UserId::parse).transpose();
    Ok(Session {
        client_id: ClientId::parse(row.get::<String>("client_id")?)
            .map_err(|_| invalid("client_id", "not a client's id"))?,
        subject: row.get("subject")?,
        user_id: user_id.map_err(|_| invalid("user_id", "not a user's id"))?,
        scope: read_scope(row.get("scope")?).ok_or_else(|| invalid("scope", "not the scope of a session"))?,
        create_time: row.time("created_at")?,
        refresh_time: row.time("refreshed_at")?,
        idle_expire_time: row.time("idle_expires_at")?,
        expire_time: row.time("expires_at")?,
        session_id: SessionId::parse(session_id).map_err(|_| invalid("session_id", "not a session's id"))?,
    })
}

fn read_record(row: &Row) -> Result<SessionRecord, StoreError> {
    let session = read_session(row)?;
    let invalid = |column, problem| corrupt(column, session.session_id.as_str(), problem);
    let digest = |column: &'static str, bytes: &[u8]| {
        <[u8; 32]>::try_from(bytes).map_err(|_| invalid(column, "not 32 bytes"))
    };
    let optional = |column| row.get::<Option<&[u8]>>(column);
    let replaced = (optional("replaced_digest")?, row.optional_time("replaced_at")?, optional("successor")?);
    let replaced = match replaced {
        (None, None, None) => None,
        (Some(replaced), Some(replace_time), Some(successor)) => Some(ReplacedToken {
            digest: RefreshDigest::from_bytes(digest("replaced_digest", replaced)?),
            replace_time,
            request: optional("replaced_request")?
                .map(|request| digest("replaced_request", request).map(RequestDigest::from_bytes))
                .transpose()?,
            successor: successor.to_vec(),
        }),
        _ => return Err(invalid("replaced_digest", "only a part of a replaced token")),
    };
    Ok(SessionRecord {
        family: FamilyKey::from_bytes(digest("family", row.get("family")?)?),
        current: RefreshDigest::from_bytes(digest("current_digest", row.get("current_digest")?)?),
        replaced,
        session,
    })
}

/// A session's scope as one JSON document. The claims are a string in it: their values must not change.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Scope {
    audiences: Vec<String>,
    scopes: Vec<String>,
    claims: String,
    ttl: Option<Ttl>,
}

fn scope_text(session: &Session) -> Result<String, StoreError> {
    let SessionScope { audiences, scopes, claims, ttl } = session.scope.clone();
    serde_json::to_string(&Scope { audiences, scopes, claims: claims.to_json(), ttl })
        .map_err(|_| corrupt("scope", session.session_id.as_str(), "it cannot be written"))
}

fn read_scope(text: &str) -> Option<SessionScope> {
    let Scope { audiences, scopes, claims, ttl } = serde_json::from_str(text).ok()?;
    let claims = jose::object_members(&claims).map(ExtraClaims::from_members).ok()?;
    Some(SessionScope { audiences, scopes, claims, ttl })
}

fn corrupt(column: &'static str, session_id: &str, problem: &str) -> StoreError {
    StoreError::corrupt("sessions", column, session_id, problem)
}
