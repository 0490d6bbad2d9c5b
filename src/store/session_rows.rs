//! From the columns of `sessions` to sessions, for both backends. What makes no sense is an error that shows no digest and no
//! key.

use serde::{Deserialize, Serialize};

use super::StoreError;
use crate::{
    jose,
    model::{
        ClientId, ExtraClaims, FamilyKey, RefreshDigest, ReplacedToken, RequestDigest, Session, SessionId,
        SessionRecord, SessionScope, Ttl, UnixTime, UserId,
    },
};

/// The columns of `sessions` that [`SessionColumns`] holds, in its order; the table goes by the name `s`.
macro_rules! session_columns {
    () => {
        "s.session_id, s.client_id, s.subject, s.user_id, s.scope, s.created_at, s.refreshed_at, s.idle_expires_at, \
         s.expires_at"
    };
}
pub(super) use session_columns;

/// What `session_columns!` selects.
pub(super) type SessionColumns = (String, String, String, Option<String>, String, i64, i64, i64, i64);

/// The columns of `sessions` that [`RecordColumns`] holds, in its order.
macro_rules! record_columns {
    () => {
        concat!(
            $crate::store::session_rows::session_columns!(),
            ", s.family, s.current_digest, s.replaced_digest, s.replaced_at, s.replaced_request, s.successor"
        )
    };
}
pub(super) use record_columns;

/// What `record_columns!` selects.
pub(super) type RecordColumns = (
    String,
    String,
    String,
    Option<String>,
    String,
    i64,
    i64,
    i64,
    i64,
    Vec<u8>,
    Vec<u8>,
    Option<Vec<u8>>,
    Option<i64>,
    Option<Vec<u8>>,
    Option<Vec<u8>>,
);

/// That no revocation has ended the session `s`: a condition in SQL. Four questions, each for one row by its whole key. What comes
/// at the end of each, if anything, keeps a planner from answering one of them by a look at every revocation of a kind, which it
/// does while its statistics are older than they are.
macro_rules! not_revoked {
    () => {
        $crate::store::session_rows::not_revoked!("")
    };
    ($end:literal) => {
        concat!(
            "NOT EXISTS (SELECT 1 FROM revocations AS r WHERE r.kind = 'session' AND r.target = s.session_id",
            $end,
            ") AND NOT EXISTS (SELECT 1 FROM revocations AS r \
               WHERE r.kind = 'subject' AND r.target = s.subject AND r.issued_before > s.created_at",
            $end,
            ") AND NOT EXISTS (SELECT 1 FROM revocations AS r \
               WHERE r.kind = 'client' AND r.target = s.client_id AND r.issued_before > s.created_at",
            $end,
            ") AND NOT EXISTS (SELECT 1 FROM revocations AS r \
               WHERE r.kind = 'everything' AND r.target = '' AND r.issued_before > s.created_at",
            $end,
            ")"
        )
    };
}
pub(super) use not_revoked;

/// A session's scope as one document. The claims are a text in it, for their values must come back as they were given.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Scope {
    audiences: Vec<String>,
    scopes: Vec<String>,
    claims: String,
    ttl: Option<Ttl>,
}

/// One session.
pub(super) fn session(columns: SessionColumns) -> Result<Session, StoreError> {
    let (
        session_id,
        client_id,
        subject,
        user_id,
        scope,
        created_at,
        refreshed_at,
        idle_expires_at,
        expires_at,
    ) = columns;
    let bad = |column, problem| corrupt(column, &session_id, problem);
    let user_id = user_id.map(UserId::parse).transpose();
    Ok(Session {
        client_id: ClientId::parse(client_id.as_str()).map_err(|_| bad("client_id", "not a client's id"))?,
        subject,
        user_id: user_id.map_err(|_| bad("user_id", "not a user's id"))?,
        scope: read_scope(&scope).ok_or_else(|| bad("scope", "not the scope of a session"))?,
        create_time: UnixTime::from_seconds(created_at),
        refresh_time: UnixTime::from_seconds(refreshed_at),
        idle_expire_time: UnixTime::from_seconds(idle_expires_at),
        expire_time: UnixTime::from_seconds(expires_at),
        session_id: SessionId::parse(session_id.as_str())
            .map_err(|_| bad("session_id", "not a session's id"))?,
    })
}

/// One session with what its refresh tokens are known by.
pub(super) fn record(columns: RecordColumns) -> Result<SessionRecord, StoreError> {
    let (session_id, client_id, subject, user_id, scope, created_at, refreshed_at, idle_expires_at, ..) =
        columns;
    let (.., expires_at, family, current, replaced, replaced_at, request, successor) = columns;
    let session = session((
        session_id,
        client_id,
        subject,
        user_id,
        scope,
        created_at,
        refreshed_at,
        idle_expires_at,
        expires_at,
    ))?;
    let bad = |column, problem| corrupt(column, session.session_id.as_str(), problem);
    let octets = |column, bytes: Vec<u8>| {
        <[u8; 32]>::try_from(bytes).map_err(|_| bad(column, "not the 32 octets that it must be"))
    };
    let replaced = match (replaced, replaced_at, successor) {
        (None, None, None) => None,
        (Some(digest), Some(replaced_at), Some(successor)) => Some(ReplacedToken {
            digest: RefreshDigest::from_bytes(octets("replaced_digest", digest)?),
            replace_time: UnixTime::from_seconds(replaced_at),
            request: request
                .map(|digest| octets("replaced_request", digest).map(RequestDigest::from_bytes))
                .transpose()?,
            successor,
        }),
        _ => return Err(bad("replaced_digest", "neither a replaced token nor none")),
    };
    Ok(SessionRecord {
        family: FamilyKey::from_bytes(octets("family", family)?),
        current: RefreshDigest::from_bytes(octets("current_digest", current)?),
        replaced,
        session,
    })
}

/// The `scope` column for a session.
pub(super) fn scope_text(session: &Session) -> Result<String, StoreError> {
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
    StoreError::Corrupt { table: "sessions", column, row: session_id.to_owned(), problem: problem.to_owned() }
}
