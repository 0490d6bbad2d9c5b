//! Sessions in SQLite.

use sqlx::{Executor, Sqlite, SqliteConnection, SqlitePool};

use crate::{
    model::{
        ClientId, PasswordHash, ReplacedToken, Session, SessionFilter, SessionId, SessionRecord,
        SessionRotation, UnixTime, UserId,
    },
    store::{
        StoreError,
        session_rows::{self, RecordColumns, SessionColumns, not_revoked, record_columns, session_columns},
    },
};

/// Keeps a new session.
pub(super) async fn create<'c>(
    executor: impl Executor<'c, Database = Sqlite>,
    record: &SessionRecord,
) -> Result<(), StoreError> {
    let SessionRecord { session, family, current, replaced } = record;
    sqlx::query(
        "INSERT INTO sessions \
         (session_id, client_id, subject, user_id, scope, created_at, refreshed_at, idle_expires_at, expires_at, \
          family, current_digest, replaced_digest, replaced_at, replaced_request, successor) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
    )
    .bind(session.session_id.as_str())
    .bind(session.client_id.as_str())
    .bind(session.subject.as_str())
    .bind(session.user_id.as_ref().map(UserId::as_str))
    .bind(session_rows::scope_text(session)?)
    .bind(session.create_time.seconds())
    .bind(session.refresh_time.seconds())
    .bind(session.idle_expire_time.seconds())
    .bind(session.expire_time.seconds())
    .bind(family.as_bytes().as_slice())
    .bind(current.as_bytes().as_slice())
    .bind(replaced.as_ref().map(|token| token.digest.as_bytes().as_slice()))
    .bind(replaced.as_ref().map(|token| token.replace_time.seconds()))
    .bind(replaced.as_ref().and_then(|token| token.request.as_ref()).map(|digest| digest.as_bytes().as_slice()))
    .bind(replaced.as_ref().map(|token| token.successor.as_slice()))
    .execute(executor)
    .await?;
    Ok(())
}

/// Whether the hash is the user's still.
pub(super) async fn is_proved(
    write: &mut SqliteConnection,
    record: &SessionRecord,
    proved: &PasswordHash,
) -> Result<bool, StoreError> {
    let found: Option<i32> =
        sqlx::query_scalar("SELECT 1 FROM users WHERE user_id = ?1 AND password_hash = ?2")
            .bind(record.session.user_id.as_ref().map(UserId::as_str))
            .bind(proved.reveal())
            .fetch_optional(write)
            .await?;
    Ok(found.is_some())
}

/// Deletes all that a user began by logging in. Answers how many.
pub(super) async fn end_of_user(write: &mut SqliteConnection, user_id: &UserId) -> Result<u64, StoreError> {
    // Whoever logs in is the subject, by which sessions are found.
    let ended = sqlx::query("DELETE FROM sessions WHERE subject = ?1 AND user_id = ?1")
        .bind(user_id.as_str())
        .execute(write)
        .await?;
    Ok(ended.rows_affected())
}

/// Deletes all that a client began.
pub(super) async fn end_of_client(
    write: &mut SqliteConnection,
    client_id: &ClientId,
) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM sessions WHERE client_id = ?1").bind(client_id.as_str()).execute(write).await?;
    Ok(())
}

/// A session that has not ended.
pub(super) async fn one(
    readers: &SqlitePool,
    session_id: &SessionId,
    now: UnixTime,
) -> Result<SessionRecord, StoreError> {
    let row: Option<RecordColumns> = sqlx::query_as(concat!(
        "SELECT ",
        record_columns!(),
        " FROM sessions AS s WHERE s.session_id = ?1 AND s.idle_expires_at > ?2 AND ",
        not_revoked!()
    ))
    .bind(session_id.as_str())
    .bind(now.seconds())
    .fetch_optional(readers)
    .await?;
    session_rows::record(row.ok_or(StoreError::NotFound)?)
}

/// Takes the next step of a session. One statement: of any number at once, one finds the token that it replaces.
pub(super) async fn rotate(writer: &SqlitePool, rotation: &SessionRotation) -> Result<bool, StoreError> {
    let SessionRotation { session_id, current, replaced, idle_expire_time } = rotation;
    let ReplacedToken { digest, replace_time, request, successor } = replaced;
    let updated = sqlx::query(concat!(
        "UPDATE sessions AS s \
         SET current_digest = ?3, replaced_digest = ?2, replaced_at = ?4, replaced_request = ?5, successor = ?6, \
             refreshed_at = ?4, idle_expires_at = ?7 \
         WHERE s.session_id = ?1 AND s.current_digest = ?2 AND s.idle_expires_at > ?4 AND ",
        not_revoked!()
    ))
    .bind(session_id.as_str())
    .bind(digest.as_bytes().as_slice())
    .bind(current.as_bytes().as_slice())
    .bind(replace_time.seconds())
    .bind(request.as_ref().map(|request| request.as_bytes().as_slice()))
    .bind(successor.as_slice())
    .bind(idle_expire_time.seconds())
    .execute(writer)
    .await?
    .rows_affected();
    Ok(updated == 1)
}

/// Up to `limit` sessions that have not ended, by id, those after `after` only.
pub(super) async fn page(
    readers: &SqlitePool,
    filter: &SessionFilter,
    now: UnixTime,
    after: Option<&SessionId>,
    limit: i64,
) -> Result<Vec<Session>, StoreError> {
    // A statement for each filter, so that each is found by an index.
    macro_rules! page {
        ($filter:literal) => {
            concat!(
                "SELECT ",
                session_columns!(),
                " FROM sessions AS s WHERE ",
                $filter,
                " AND s.session_id > ?3 AND s.idle_expires_at > ?4 AND ",
                not_revoked!(),
                " ORDER BY s.session_id LIMIT ?5"
            )
        };
    }
    let sql = match (&filter.subject, &filter.client_id) {
        (None, None) => page!("?1 IS NULL AND ?2 IS NULL"),
        (Some(_), None) => page!("s.subject = ?1 AND ?2 IS NULL"),
        (None, Some(_)) => page!("?1 IS NULL AND s.client_id = ?2"),
        (Some(_), Some(_)) => page!("s.subject = ?1 AND s.client_id = ?2"),
    };
    let rows: Vec<SessionColumns> = sqlx::query_as(sql)
        .bind(filter.subject.as_deref())
        .bind(filter.client_id.as_ref().map(ClientId::as_str))
        .bind(after.map_or("", SessionId::as_str))
        .bind(now.seconds())
        .bind(limit)
        .fetch_all(readers)
        .await?;
    rows.into_iter().map(session_rows::session).collect()
}

/// Deletes up to `limit` that have come to their end by time. Answers how many. Rows that another replica is deleting are left to
/// it.
pub(super) async fn forget_expired(
    write: &mut SqliteConnection,
    now: UnixTime,
    limit: u64,
) -> Result<u64, StoreError> {
    let done = sqlx::query(
        "DELETE FROM sessions WHERE session_id IN \
         (SELECT session_id FROM sessions WHERE idle_expires_at <= ?1 ORDER BY idle_expires_at LIMIT ?2)",
    )
    .bind(now.seconds())
    .bind(limit.cast_signed())
    .execute(write)
    .await?;
    Ok(done.rows_affected())
}
