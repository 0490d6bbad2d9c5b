//! Registers, reads, changes and deletes users.

use std::sync::Arc;

use super::{
    AdminGrant, HashError, ImportError, PasswordHasher, WeakPassword, check_password, clients::first_revision,
};
use crate::{
    clock::Clock,
    model::{OldSessions, Password, PasswordHash, User, UserId, UserRecord, UserSettings, Username},
    random::RandomError,
    store::{Store, StoreError},
};

/// Why an operation on a user failed.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    /// The store failed, or the user does not exist, or it already exists.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The user has another version.
    #[error("the user was changed: its etag differs")]
    Changed,
    /// The password breaks a rule.
    #[error("the password {0}")]
    Weak(#[from] WeakPassword),
    /// The hash cannot be imported.
    #[error("the hash {0}")]
    Import(#[from] ImportError),
    /// The password was not hashed.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// There is no randomness.
    #[error(transparent)]
    Random(#[from] RandomError),
}

pub(crate) enum UserKey {
    Id(UserId),
    Name(Username),
}

/// A new password, or an imported hash. It has no `Debug`.
pub(crate) enum NewPassword {
    Plain(Password),
    /// The text of a hash.
    Hash(String),
}

/// The most attempts of a change.
const MAX_ATTEMPTS: u32 = 5;

/// The registered users.
#[derive(Debug)]
pub struct UserRegistry {
    store: Arc<Store>,
    hasher: Arc<PasswordHasher>,
    clock: Arc<dyn Clock>,
}

impl UserRegistry {
    /// Stores users in `store`.
    pub fn new(store: Arc<Store>, hasher: Arc<PasswordHasher>, clock: Arc<dyn Clock>) -> Self {
        Self { store, hasher, clock }
    }

    /// Registers a user.
    pub(crate) async fn create(
        &self,
        _: &AdminGrant,
        user_id: UserId,
        settings: UserSettings,
        password: NewPassword,
    ) -> Result<User, UserError> {
        let password = self.hash(password, &settings.username).await?;
        let now = self.clock.now();
        let user = User {
            user_id,
            settings,
            create_time: now,
            update_time: now,
            password_update_time: now,
            revision: first_revision()?,
        };
        let record = UserRecord { user, password };
        self.store.create_user(&record).await?;
        Ok(record.user)
    }

    /// Reads a user.
    pub(crate) async fn get(&self, _: &AdminGrant, key: &UserKey) -> Result<User, UserError> {
        let record = match key {
            UserKey::Id(user_id) => self.store.user(user_id).await?,
            UserKey::Name(username) => self.store.user_by_name(username).await?,
        };
        Ok(record.user)
    }

    pub(crate) async fn find(&self, _: &AdminGrant, key: UserKey) -> Result<UserId, UserError> {
        match key {
            UserKey::Id(user_id) => Ok(user_id),
            UserKey::Name(username) => Ok(self.store.user_by_name(&username).await?.user.user_id),
        }
    }

    /// Lists up to `limit` users by id, after `after`; and whether there are more.
    pub(crate) async fn list(
        &self,
        _: &AdminGrant,
        after: Option<&UserId>,
        limit: u32,
    ) -> Result<(Vec<User>, bool), UserError> {
        let mut users = self.store.users_page(after, limit.saturating_add(1)).await?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let has_more = users.len() > limit;
        users.truncate(limit);
        Ok((users, has_more))
    }

    /// Changes a user's settings; with `revision`, only if the user still has that revision.
    pub(crate) async fn update(
        &self,
        _: &AdminGrant,
        user_id: &UserId,
        revision: Option<i64>,
        change: impl Fn(&mut UserSettings),
    ) -> Result<User, UserError> {
        for _ in 0..MAX_ATTEMPTS {
            let mut user = self.store.user(user_id).await?.user;
            if revision.is_some_and(|revision| revision != user.revision) {
                return Err(UserError::Changed);
            }
            change(&mut user.settings);
            user.update_time = self.clock.now();
            user.revision = user.revision.saturating_add(1);
            if self.store.update_user(&user).await? {
                return Ok(user);
            }
        }
        Err(UserError::Changed)
    }

    /// Sets a user's password. Returns the user and the number of ended sessions.
    pub(crate) async fn set_password(
        &self,
        _: &AdminGrant,
        user_id: &UserId,
        password: NewPassword,
        sessions: OldSessions,
    ) -> Result<(User, u64), UserError> {
        let user = self.store.user(user_id).await?.user;
        let password = self.hash(password, &user.settings.username).await?;
        let set = self.store.set_user_password(user_id, &password, self.clock.now(), sessions).await?;
        Ok((set.record.user, set.ended_sessions))
    }

    /// Deletes a user with the user's sessions; with `revision`, only if the user still has that revision.
    pub(crate) async fn delete(
        &self,
        _: &AdminGrant,
        user_id: &UserId,
        revision: Option<i64>,
    ) -> Result<(), UserError> {
        if !self.store.delete_user(user_id, revision).await? {
            // The user does not exist, or has another revision.
            self.store.user(user_id).await?;
            return Err(UserError::Changed);
        }
        Ok(())
    }

    async fn hash(&self, password: NewPassword, username: &Username) -> Result<PasswordHash, UserError> {
        match password {
            NewPassword::Plain(password) => {
                check_password(&password, username)?;
                Ok(self.hasher.hash(password).await?)
            }
            NewPassword::Hash(text) => Ok(PasswordHasher::import(text)?),
        }
    }
}
