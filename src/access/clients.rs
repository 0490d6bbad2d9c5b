//! Registers, reads, deletes and changes clients.

use std::{sync::Arc, time::Duration};

use super::{ClientGrant, Denial, Directory, client_rows::CheckedClients};
use crate::{
    clock::Clock,
    model::{
        AuthenticationMethod, Client, ClientId, ClientRecord, ClientSecret, ClientSettings, ClientVersion,
        SecretRecord, UnixTime, Violations,
    },
    random::{self, RandomError},
    store::{Store, StoreError},
};

/// The most attempts of a change without a version. Of concurrent changes one succeeds per attempt, so that this many may run at once.
pub(super) const MAX_ATTEMPTS: usize = 100;

/// Why an operation on a client failed.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The caller may not create, or take over, a client with these permissions.
    #[error(transparent)]
    Denied(#[from] Denial),
    /// The store failed, or the client does not exist, or it already exists.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no randomness.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// The client is invalid.
    #[error("the client is invalid")]
    Invalid(Violations),
    /// The client has another version.
    #[error("the client was changed: its etag differs")]
    Changed,
    /// Concurrent changes won each attempt.
    #[error("concurrent requests changed the client at each attempt")]
    Contended,
    /// A user has this id.
    #[error(
        "a user has this id, and users and clients share the subjects of tokens: delete the user, or use another id"
    )]
    UserHasId,
    /// The client does not allow secrets.
    #[error("the client does not allow secrets: add `CLIENT_SECRET` to its `authentication.methods`")]
    NoSecret,
}

/// A new secret.
#[derive(Debug)]
pub struct NewSecret {
    /// The text, to be shown once.
    pub secret: ClientSecret,
    /// The stored record.
    pub record: SecretRecord,
}

impl NewSecret {
    fn of(secret: ClientSecret, now: UnixTime) -> Result<Self, RandomError> {
        let record = SecretRecord {
            secret_id: random::text::<9>()?,
            digest: secret.digest(),
            create_time: now,
            expire_time: None,
        };
        Ok(Self { secret, record })
    }
}

#[derive(Debug, Clone)]
pub(crate) struct NewClient {
    pub(crate) record: ClientRecord,
    /// The secret, to be shown once; none if the client does not allow secrets.
    pub(crate) secret: Option<ClientSecret>,
}

/// The registered clients.
#[derive(Debug)]
pub struct ClientRegistry {
    pub(super) store: Arc<Store>,
    pub(super) directory: Arc<Directory>,
    pub(super) clock: Arc<dyn Clock>,
}

impl ClientRegistry {
    /// Stores clients in `store`, and reloads `directory` after changes.
    pub fn new(store: Arc<Store>, directory: Arc<Directory>, clock: Arc<dyn Clock>) -> Self {
        Self { store, directory, clock }
    }

    /// A generated id: `c-` and 80 random bits in hexadecimal.
    ///
    /// # Errors
    /// When there is no randomness.
    pub(crate) fn new_id() -> Result<ClientId, RandomError> {
        let hex: String = random::bytes::<10>()?.iter().map(|byte| format!("{byte:02x}")).collect();
        ClientId::parse(format!("c-{hex}")).map_err(|_| RandomError)
    }

    /// Registers a client, with its first secret if it allows secrets.
    pub(crate) async fn create(
        &self,
        grant: &ClientGrant,
        client_id: ClientId,
        settings: ClientSettings,
    ) -> Result<NewClient, RegistryError> {
        grant.covers(&settings.permissions)?;
        self.check_peer_names(&client_id, &settings.authentication).await?;
        let (secret, secrets) = if settings.authentication.allows(AuthenticationMethod::ClientSecret) {
            let new = NewSecret::of(ClientSecret::generate(&client_id)?, self.clock.now())?;
            (Some(new.secret), vec![new.record])
        } else {
            (None, Vec::new())
        };
        let record = self.record(client_id, settings, secrets)?;
        self.store.create_client(&record).await?;
        self.reload().await;
        Ok(NewClient { record, secret })
    }

    /// Creates or replaces a client, with `secret` or a new one as its only secret. Needs no grant, because the operator has the store
    /// itself.
    ///
    /// # Errors
    /// When the store fails or there is no randomness.
    pub async fn put(
        &self,
        client_id: ClientId,
        settings: ClientSettings,
        secret: Option<ClientSecret>,
    ) -> Result<ClientSecret, RegistryError> {
        let secret = match secret {
            Some(secret) => secret,
            None => ClientSecret::generate(&client_id)?,
        };
        let new = NewSecret::of(secret, self.clock.now())?;
        let record = self.record(client_id, settings, vec![new.record])?;
        self.store.put_client(&record).await.map_err(|error| match error {
            StoreError::AlreadyExists => RegistryError::UserHasId,
            error => error.into(),
        })?;
        self.directory.refresh().await?;
        Ok(new.secret)
    }

    /// Reads a client.
    pub(crate) async fn get(
        &self,
        _: &ClientGrant,
        client_id: &ClientId,
    ) -> Result<ClientRecord, RegistryError> {
        let mut record = self.stored(client_id).await?;
        self.keep_live(&mut record);
        Ok(record)
    }

    /// Reads a client from the store. An untrusted client is handled as if it did not exist: its content must be neither shown nor signed
    /// again with a change. It can be deleted.
    ///
    /// # Errors
    /// When the store fails, or the client does not exist.
    pub async fn stored(&self, client_id: &ClientId) -> Result<ClientRecord, RegistryError> {
        let record = self.store.client(client_id).await?;
        if self.directory.rows().trusts(&record).await {
            Ok(record)
        } else {
            Err(StoreError::NotFound.into())
        }
    }

    /// Lists up to `limit` clients by id, after `after`, that the caller may administer; and whether there are more.
    pub(crate) async fn list(
        &self,
        grant: &ClientGrant,
        after: Option<&ClientId>,
        limit: u32,
    ) -> Result<(Vec<ClientRecord>, bool), RegistryError> {
        /// The clients of one read for a restricted caller.
        const CHUNK: u32 = 1000;
        let count = usize::try_from(limit).unwrap_or(usize::MAX);
        let chunk = if grant.is_restricted() { CHUNK.max(limit) } else { limit }.saturating_add(1);
        let (mut records, mut after) = (Vec::new(), after.cloned());
        loop {
            let mut page = self.store.clients_page(after.as_ref(), chunk).await?;
            let is_last = page.len() < usize::try_from(chunk).unwrap_or(usize::MAX);
            after = page.last().map(|record| record.client.client_id.clone());
            page.retain(|record| grant.reaches(&record.client.client_id));
            records.extend(self.directory.rows().check_all(page, &CheckedClients::default()).await.trusted);
            if is_last || records.len() > count {
                break;
            }
        }
        let has_more = records.len() > count;
        records.truncate(count);
        records.iter_mut().for_each(|record| self.keep_live(record));
        Ok((records, has_more))
    }

    /// Deletes a client with its secrets and sessions; with a `base`, only if the client still has that version.
    pub(crate) async fn delete(
        &self,
        _: &ClientGrant,
        client_id: &ClientId,
        base: Option<ClientVersion>,
    ) -> Result<(), RegistryError> {
        match base {
            None => self.store.delete_client(client_id).await?,
            Some(base) => {
                if !self.store.delete_client_version(client_id, base).await? {
                    // The client does not exist, or has another version.
                    self.store.client(client_id).await?;
                    return Err(RegistryError::Changed);
                }
            }
        }
        self.directory.refresh().await?;
        Ok(())
    }

    /// Adds a secret to a client. Its other secrets expire after `overlap`.
    pub(crate) async fn rotate_secret(
        &self,
        grant: &ClientGrant,
        client_id: &ClientId,
        overlap: Duration,
    ) -> Result<NewSecret, RegistryError> {
        for _ in 0..MAX_ATTEMPTS {
            let mut record = self.stored(client_id).await?;
            grant.covers(&record.client.settings.permissions)?;
            if !record.client.settings.authentication.allows(AuthenticationMethod::ClientSecret) {
                return Err(RegistryError::NoSecret);
            }
            let (base, now) = (record.client.version(), self.clock.now());
            let new = NewSecret::of(ClientSecret::generate(client_id)?, now)?;
            record.add_secret(new.record.clone(), now.after(overlap));
            record.client.update_time = now;
            self.directory.rows().sign(&mut record)?;
            if self.store.update_client_secrets(&record, base).await? {
                self.reload().await;
                return Ok(new);
            }
        }
        Err(RegistryError::Contended)
    }

    /// Removes expired secrets, which the store may still have.
    pub(super) fn keep_live(&self, record: &mut ClientRecord) {
        let now = self.clock.now();
        record.secrets.retain(|secret| secret.is_live(now));
    }

    fn record(
        &self,
        client_id: ClientId,
        settings: ClientSettings,
        secrets: Vec<SecretRecord>,
    ) -> Result<ClientRecord, RandomError> {
        let (now, revision) = (self.clock.now(), first_revision()?);
        let client = Client { client_id, settings, create_time: now, update_time: now, revision, mac: None };
        let mut record = ClientRecord { client, secrets };
        self.directory.rows().sign(&mut record)?;
        Ok(record)
    }

    /// Reloads the clients in memory. After a failure the server's next round retries, so that the caller still gets its new secret.
    async fn reload(&self) {
        if let Err(error) = self.directory.refresh().await {
            tracing::warn!(%error, "a change of clients is not loaded into memory yet");
        }
    }
}

/// The random first revision, so that a deleted and re-created client or user never has an earlier version again, even within a second.
pub(super) fn first_revision() -> Result<i64, RandomError> {
    random::bytes::<4>().map(|bytes| i64::from(u32::from_be_bytes(bytes)) + 1)
}
