//! Users.

use super::{Action, Row, Store, StoreError, changes, sessions, values};
use crate::{
    jose,
    model::{
        ExtraClaims, FOREIGN_SUBJECT, OldSessions, PasswordHash, PasswordSet, UnixTime, User, UserId,
        UserRecord, UserSettings, Username,
    },
};

/// The columns that [`read`] reads.
macro_rules! columns {
    () => {
        "user_id, username, disabled, claims, scopes, password_hash, created_at, updated_at, password_updated_at, revision"
    };
}

impl Store {
    /// Creates a user.
    ///
    /// # Errors
    /// [`StoreError::AlreadyExists`] if there is a user with that id or name, or a client with that id: both are subjects of tokens
    /// (RFC 9700 section 4.15).
    pub async fn create_user(&self, record: &UserRecord) -> Result<(), StoreError> {
        self.action(Action::CreateUser, async {
            let UserRecord { user, password } = record;
            let sql = concat!(
                "INSERT INTO users (",
                columns!(),
                ") SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10 \
                   WHERE NOT EXISTS (SELECT 1 FROM clients WHERE client_id = $1)"
            );
            let values = values![
                user.user_id.as_str(),
                user.settings.username.as_str(),
                user.settings.disabled,
                user.settings.claims.to_json(),
                scopes_text(user)?,
                password.reveal(),
                user.create_time,
                user.update_time,
                user.password_update_time,
                user.revision,
            ];
            let mut transaction = self.backend.begin().await?;
            // A client with this id may be about to be created.
            changes::lock_shared(&mut transaction).await?;
            if transaction.execute(sql, values).await? != 1 {
                return Err(StoreError::AlreadyExists);
            }
            transaction.end(true).await
        })
        .await
    }

    /// The user with an id.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if there is none.
    pub async fn user(&self, user_id: &UserId) -> Result<UserRecord, StoreError> {
        self.action(Action::User, async {
            let sql = concat!("SELECT ", columns!(), " FROM users WHERE user_id = $1");
            let mut connection = self.backend.reader().await?;
            let found = connection.fetch_optional(sql, values![user_id.as_str()], read).await?;
            found.ok_or(StoreError::NotFound)
        })
        .await
    }

    /// The user with a name.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if there is none.
    pub async fn user_by_name(&self, username: &Username) -> Result<UserRecord, StoreError> {
        self.action(Action::UserByName, async {
            let sql = concat!("SELECT ", columns!(), " FROM users WHERE username = $1");
            let mut connection = self.backend.reader().await?;
            let found = connection.fetch_optional(sql, values![username.as_str()], read).await?;
            found.ok_or(StoreError::NotFound)
        })
        .await
    }

    /// Up to `limit` users by id, those after `after` only.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Corrupt`]
    pub async fn users_page(&self, after: Option<&UserId>, limit: u32) -> Result<Vec<User>, StoreError> {
        self.action(Action::UsersPage, async move {
            let sql =
                concat!("SELECT ", columns!(), " FROM users WHERE user_id > $1 ORDER BY user_id LIMIT $2");
            let values = values![after.map_or("", UserId::as_str), limit];
            let mut connection = self.backend.reader().await?;
            connection.fetch_all(sql, values, |row| read(row).map(|record| record.user)).await
        })
        .await
    }

    /// Changes the settings and the update time of a user, if the user has the revision before `user.revision`: of several
    /// concurrent changes, one is made. Returns whether it was made; if not, the user has another revision or does not exist.
    ///
    /// # Errors
    /// [`StoreError::AlreadyExists`] if another user has the name.
    pub async fn update_user(&self, user: &User) -> Result<bool, StoreError> {
        self.action(Action::UpdateUser, async {
            let sql = "UPDATE users SET username = $3, disabled = $4, claims = $5, scopes = $6, updated_at = $7, \
                                        revision = $2 \
                       WHERE user_id = $1 AND revision = $2 - 1";
            let values = values![
                user.user_id.as_str(),
                user.revision,
                user.settings.username.as_str(),
                user.settings.disabled,
                user.settings.claims.to_json(),
                scopes_text(user)?,
                user.update_time,
            ];
            Ok(self.backend.writer().await?.execute(sql, values).await? == 1)
        })
        .await
    }

    /// Sets another password, and ends or keeps the user's sessions. The revision grows by one.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if there is no such user.
    pub async fn set_user_password(
        &self,
        user_id: &UserId,
        password: &PasswordHash,
        at: UnixTime,
        sessions: OldSessions,
    ) -> Result<PasswordSet, StoreError> {
        self.action(Action::SetUserPassword, async move {
            let sql = concat!(
                "UPDATE users SET password_hash = $2, updated_at = $3, password_updated_at = $3, revision = revision + 1 \
                 WHERE user_id = $1 RETURNING ",
                columns!()
            );
            let mut transaction = self.backend.begin().await?;
            let values = values![user_id.as_str(), password.reveal(), at];
            let updated = transaction.fetch_optional(sql, values, read).await?;
            let record = updated.ok_or(StoreError::NotFound)?;
            let ended_sessions = match sessions {
                OldSessions::End => sessions::delete_of_user(&mut transaction, user_id).await?,
                OldSessions::Keep => 0,
            };
            transaction.end(true).await?;
            Ok(PasswordSet { record, ended_sessions })
        })
        .await
    }

    /// Replaces the hash of the same password, if `from` is still the user's hash: a password that was set meanwhile stays. The
    /// revision does not change. Returns whether the hash was replaced.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]
    pub async fn rehash_user_password(
        &self,
        user_id: &UserId,
        from: &PasswordHash,
        to: &PasswordHash,
    ) -> Result<bool, StoreError> {
        self.action(Action::RehashUserPassword, async {
            let sql = "UPDATE users SET password_hash = $3 WHERE user_id = $1 AND password_hash = $2";
            let values = values![user_id.as_str(), from.reveal(), to.reveal()];
            Ok(self.backend.writer().await?.execute(sql, values).await? == 1)
        })
        .await
    }

    /// Deletes a user with all sessions of the user's logins, if the user has that revision (`None`: any revision). Returns whether
    /// the user was deleted.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]
    pub async fn delete_user(&self, user_id: &UserId, revision: Option<i64>) -> Result<bool, StoreError> {
        self.action(Action::DeleteUser, async move {
            let sql =
                "DELETE FROM users WHERE user_id = $1 AND (CAST($2 AS bigint) IS NULL OR revision = $2)";
            let mut transaction = self.backend.begin().await?;
            let deleted = transaction.execute(sql, values![user_id.as_str(), revision]).await? == 1;
            if deleted {
                sessions::delete_of_user(&mut transaction, user_id).await?;
            }
            transaction.end(deleted).await?;
            Ok(deleted)
        })
        .await
    }

    /// Warns of users whose subjects are ambiguous, which an earlier release may have admitted. They keep working.
    pub(in crate::store) async fn warn_of_ambiguous_users(&self) -> Result<(), StoreError> {
        let sql = "SELECT user_id FROM users \
                   WHERE EXISTS (SELECT 1 FROM clients WHERE client_id = user_id) OR user_id LIKE 'foreign:%' \
                   ORDER BY user_id LIMIT 20";
        let user_ids: Vec<String> =
            self.backend.reader().await?.fetch_all(sql, vec![], |row| row.get("user_id")).await?;
        for user_id in &user_ids {
            if user_id.starts_with(FOREIGN_SUBJECT) {
                tracing::warn!(
                    user_id,
                    "the user's id begins with `foreign:`, as subjects of other issuers do; create the user with another id"
                );
            } else {
                tracing::warn!(
                    user_id,
                    "a user and a client have the same id, so that their tokens have the same subject (RFC 9700 section 4.15); \
                     create one of them with another id"
                );
            }
        }
        Ok(())
    }
}

fn read(row: &Row) -> Result<UserRecord, StoreError> {
    let user_id: String = row.get("user_id")?;
    let invalid = |column, problem| StoreError::corrupt("users", column, &user_id, problem);
    let kept_name: &str = row.get("username")?;
    // A name in another form would never equal a name that is typed.
    let username = Username::parse(kept_name).ok().filter(|name| name.as_str() == kept_name);
    let settings = UserSettings {
        username: username.ok_or_else(|| invalid("username", "not a name in its normal form"))?,
        disabled: row.get("disabled")?,
        claims: jose::object_members(row.get("claims")?)
            .map(ExtraClaims::from_members)
            .map_err(|_| invalid("claims", "not a strict JSON object"))?,
        scopes: serde_json::from_str(row.get("scopes")?)
            .map_err(|_| invalid("scopes", "not a JSON array of strings"))?,
    };
    let user = User {
        settings,
        create_time: row.time("created_at")?,
        update_time: row.time("updated_at")?,
        password_update_time: row.time("password_updated_at")?,
        revision: row.get("revision")?,
        user_id: UserId::parse(user_id.as_str()).map_err(|_| invalid("user_id", "not a user's id"))?,
    };
    Ok(UserRecord { user, password: PasswordHash::from_text(row.get::<String>("password_hash")?) })
}

fn scopes_text(user: &User) -> Result<String, StoreError> {
    serde_json::to_string(&user.settings.scopes)
        .map_err(|error| StoreError::corrupt("users", "scopes", user.user_id.as_str(), error))
}
