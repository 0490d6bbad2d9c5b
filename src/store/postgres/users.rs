//! Users in PostgreSQL.

use sqlx::{PgConnection, PgPool};

use super::changes;
use crate::{
    model::{PasswordHash, UnixTime, User, UserId, UserRecord, UserSettings, Username},
    store::{
        StoreError,
        user_rows::{self, UserColumns, user_columns},
    },
};

/// Registers a user whose id no client has: both are subjects of tokens (RFC 9700 section 4.15).
pub(super) async fn create(write: &mut PgConnection, record: &UserRecord) -> Result<(), StoreError> {
    changes::wait(write).await?;
    let UserRecord { user, password } = record;
    let UserSettings { username, disabled, claims, scopes } = &user.settings;
    let inserted = sqlx::query(concat!(
        "INSERT INTO users (",
        user_columns!(),
        ") SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10 \
           WHERE NOT EXISTS (SELECT 1 FROM clients WHERE client_id = $1)"
    ))
    .bind(user.user_id.as_str())
    .bind(username.as_str())
    .bind(*disabled)
    .bind(claims.to_json())
    .bind(user_rows::scopes_text(&user.user_id, scopes)?)
    .bind(password.reveal())
    .bind(user.create_time.seconds())
    .bind(user.update_time.seconds())
    .bind(user.password_update_time.seconds())
    .bind(user.revision)
    .execute(write)
    .await?
    .rows_affected();
    if inserted == 1 { Ok(()) } else { Err(StoreError::AlreadyExists) }
}

/// The user of an id.
pub(super) async fn one(pool: &PgPool, user_id: &UserId) -> Result<UserRecord, StoreError> {
    let row: Option<UserColumns> =
        sqlx::query_as(concat!("SELECT ", user_columns!(), " FROM users WHERE user_id = $1"))
            .bind(user_id.as_str())
            .fetch_optional(pool)
            .await?;
    user_rows::user(row.ok_or(StoreError::NotFound)?)
}

/// The user of a name.
pub(super) async fn by_name(pool: &PgPool, username: &Username) -> Result<UserRecord, StoreError> {
    let row: Option<UserColumns> =
        sqlx::query_as(concat!("SELECT ", user_columns!(), " FROM users WHERE username = $1"))
            .bind(username.as_str())
            .fetch_optional(pool)
            .await?;
    user_rows::user(row.ok_or(StoreError::NotFound)?)
}

/// Up to `limit` users by id, those after `after` only.
pub(super) async fn page(pool: &PgPool, after: Option<&UserId>, limit: i64) -> Result<Vec<User>, StoreError> {
    let rows: Vec<UserColumns> = sqlx::query_as(concat!(
        "SELECT ",
        user_columns!(),
        " FROM users WHERE user_id > $1 ORDER BY user_id LIMIT $2"
    ))
    .bind(after.map_or("", UserId::as_str))
    .bind(limit)
    .fetch_all(pool)
    .await?;
    rows.into_iter().map(|row| user_rows::user(row).map(|record| record.user)).collect()
}

/// Changes what operators decide about a user, if the user is still of the revision before.
pub(super) async fn update(pool: &PgPool, user: &User) -> Result<bool, StoreError> {
    let UserSettings { username, disabled, claims, scopes } = &user.settings;
    let updated = sqlx::query(
        "UPDATE users SET username = $3, disabled = $4, claims = $5, scopes = $6, updated_at = $7, revision = $2 \
         WHERE user_id = $1 AND revision = $2 - 1",
    )
    .bind(user.user_id.as_str())
    .bind(user.revision)
    .bind(username.as_str())
    .bind(*disabled)
    .bind(claims.to_json())
    .bind(user_rows::scopes_text(&user.user_id, scopes)?)
    .bind(user.update_time.seconds())
    .execute(pool)
    .await?
    .rows_affected();
    Ok(updated == 1)
}

/// Gives a user another password.
pub(super) async fn set_password(
    write: &mut PgConnection,
    user_id: &UserId,
    password: &PasswordHash,
    at: UnixTime,
) -> Result<UserRecord, StoreError> {
    let row: Option<UserColumns> = sqlx::query_as(concat!(
        "UPDATE users SET password_hash = $2, updated_at = $3, password_updated_at = $3, revision = revision + 1 \
         WHERE user_id = $1 RETURNING ",
        user_columns!()
    ))
    .bind(user_id.as_str())
    .bind(password.reveal())
    .bind(at.seconds())
    .fetch_optional(write)
    .await?;
    user_rows::user(row.ok_or(StoreError::NotFound)?)
}

/// Keeps another hash of the same password, if `from` is still the user's hash.
pub(super) async fn rehash(
    pool: &PgPool,
    user_id: &UserId,
    from: &PasswordHash,
    to: &PasswordHash,
) -> Result<bool, StoreError> {
    let updated =
        sqlx::query("UPDATE users SET password_hash = $3 WHERE user_id = $1 AND password_hash = $2")
            .bind(user_id.as_str())
            .bind(from.reveal())
            .bind(to.reveal())
            .execute(pool)
            .await?
            .rows_affected();
    Ok(updated == 1)
}

/// Deletes a user, if the user is of that revision, or of any.
pub(super) async fn delete(
    write: &mut PgConnection,
    user_id: &UserId,
    revision: Option<i64>,
) -> Result<bool, StoreError> {
    let deleted =
        sqlx::query("DELETE FROM users WHERE user_id = $1 AND ($2::bigint IS NULL OR revision = $2)")
            .bind(user_id.as_str())
            .bind(revision)
            .execute(write)
            .await?
            .rows_affected();
    Ok(deleted == 1)
}
