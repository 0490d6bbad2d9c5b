//! From the columns of `users` to records, for both backends. What makes no sense is an error that shows nothing of a
//! password's hash.

use super::StoreError;
use crate::{
    jose,
    model::{ExtraClaims, PasswordHash, UnixTime, User, UserId, UserRecord, UserSettings, Username},
};

/// The columns of `users` that [`UserColumns`] holds, in its order.
macro_rules! user_columns {
    () => {
        "user_id, username, disabled, claims, scopes, password_hash, created_at, updated_at, password_updated_at, revision"
    };
}
pub(super) use user_columns;

/// What `user_columns!` selects.
pub(super) type UserColumns = (String, String, bool, String, String, String, i64, i64, i64, i64);

/// One user.
pub(super) fn user(columns: UserColumns) -> Result<UserRecord, StoreError> {
    let (
        user_id,
        username,
        disabled,
        claims,
        scopes,
        password,
        created_at,
        updated_at,
        password_updated_at,
        revision,
    ) = columns;
    let bad = |column, problem: &str| StoreError::Corrupt {
        table: "users",
        column,
        row: user_id.clone(),
        problem: problem.to_owned(),
    };
    // A name in another form would be found by nobody who types it.
    let name = Username::parse(&username).ok().filter(|name| name.as_str() == username);
    let settings = UserSettings {
        username: name.ok_or_else(|| bad("username", "not a name in its normal form"))?,
        disabled,
        claims: jose::object_members(&claims)
            .map(ExtraClaims::from_members)
            .map_err(|_| bad("claims", "not a strict JSON object"))?,
        scopes: serde_json::from_str(&scopes).map_err(|_| bad("scopes", "not a JSON list of texts"))?,
    };
    let user = User {
        settings,
        create_time: UnixTime::from_seconds(created_at),
        update_time: UnixTime::from_seconds(updated_at),
        password_update_time: UnixTime::from_seconds(password_updated_at),
        revision,
        user_id: UserId::parse(user_id.as_str()).map_err(|_| bad("user_id", "not a user's id"))?,
    };
    Ok(UserRecord { user, password: PasswordHash::from_text(password) })
}

/// The `scopes` column for a user.
pub(super) fn scopes_text(user_id: &UserId, scopes: &[String]) -> Result<String, StoreError> {
    serde_json::to_string(scopes).map_err(|error| StoreError::Corrupt {
        table: "users",
        column: "scopes",
        row: user_id.as_str().to_owned(),
        problem: error.to_string(),
    })
}
