//! Keeping the users.

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

/// Why a user was not registered, found or changed.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    /// The store failed, or there is no such user, or there is one already.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The user has changed since it was seen.
    #[error("the user has another etag by now")]
    Changed,
    /// The password may not be set.
    #[error("the password {0}")]
    Weak(#[from] WeakPassword),
    /// The hash from elsewhere is not taken.
    #[error("the hash {0}")]
    Import(#[from] ImportError),
    /// The password could not be hashed.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// No id could be made.
    #[error(transparent)]
    Random(#[from] RandomError),
}

/// How a user is told apart.
pub(crate) enum UserKey {
    /// By id.
    Id(UserId),
    /// By name.
    Name(Username),
}

/// A password, or the hash of one from elsewhere. It has no `Debug`.
pub(crate) enum NewPassword {
    /// In the clear.
    Plain(Password),
    /// A hash in text.
    Hash(String),
}

/// How often a change is made anew on what another one left.
const TRIES: u32 = 5;

/// Registers, shows, changes and removes users.
#[derive(Debug)]
pub struct UserRegistry {
    store: Arc<dyn Store>,
    hasher: Arc<PasswordHasher>,
    clock: Arc<dyn Clock>,
}

impl UserRegistry {
    /// Keeps the users of `store`.
    pub fn new(store: Arc<dyn Store>, hasher: Arc<PasswordHasher>, clock: Arc<dyn Clock>) -> Self {
        Self { store, hasher, clock }
    }

    /// Registers a user. Without an id the user is given one.
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

    /// One user.
    pub(crate) async fn get(&self, _: &AdminGrant, key: &UserKey) -> Result<User, UserError> {
        let record = match key {
            UserKey::Id(user_id) => self.store.user(user_id).await?,
            UserKey::Name(username) => self.store.user_by_name(username).await?,
        };
        Ok(record.user)
    }

    /// The id of the user that an operator names.
    pub(crate) async fn find(&self, _: &AdminGrant, key: UserKey) -> Result<UserId, UserError> {
        match key {
            UserKey::Id(user_id) => Ok(user_id),
            UserKey::Name(username) => Ok(self.store.user_by_name(&username).await?.user.user_id),
        }
    }

    /// Up to `limit` users by id, after `after`; and whether there are more.
    pub(crate) async fn list(
        &self,
        _: &AdminGrant,
        after: Option<&UserId>,
        limit: u32,
    ) -> Result<(Vec<User>, bool), UserError> {
        let mut users = self.store.users_page(after, limit.saturating_add(1)).await?;
        let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = users.len() > wanted;
        users.truncate(wanted);
        Ok((users, more))
    }

    /// Makes a change to what operators decide about a user; with `revision`, only if the user is still of that one.
    pub(crate) async fn update(
        &self,
        _: &AdminGrant,
        user_id: &UserId,
        revision: Option<i64>,
        change: impl Fn(&mut UserSettings),
    ) -> Result<User, UserError> {
        for _ in 0..TRIES {
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

    /// Gives a user another password. Answers the user, and how many sessions that ended.
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

    /// Deletes a user with the sessions that the user began; with `revision`, only if the user is still of that one.
    pub(crate) async fn delete(
        &self,
        _: &AdminGrant,
        user_id: &UserId,
        revision: Option<i64>,
    ) -> Result<(), UserError> {
        if !self.store.delete_user(user_id, revision).await? {
            // None of that id; or, if one is found, it is of another revision.
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
