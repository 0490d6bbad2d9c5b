//! Keeping the registered clients.

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

/// How often a change that names no version is tried when others come before it. Of those at once one gets through each
/// time, so that this many may come together.
pub(super) const MOST_ATTEMPTS: usize = 100;

/// Why a client was not registered, found or changed.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The caller may not bring about, or take over, a client with such permissions.
    #[error(transparent)]
    Denied(#[from] Denial),
    /// The store failed, or there is no client of that id, or there is one already.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No secret or id could be made.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// What was asked for makes no client.
    #[error("the request makes no client")]
    Invalid(Violations),
    /// The client is at another version than the caller knows.
    #[error("the client has changed since: it has another etag")]
    Changed,
    /// Others changed the client again and again meanwhile.
    #[error("the client was changed by others again and again")]
    Contended,
    /// The client may present no secret.
    #[error("the client may present no secret: `CLIENT_SECRET` is not among its `authentication.methods`")]
    NoSecret,
}

/// A secret that was just made: the text, to be shown once, and what was stored of it.
#[derive(Debug)]
pub struct NewSecret {
    /// To be shown once.
    pub secret: ClientSecret,
    /// What was stored.
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

/// A client that was just registered.
#[derive(Debug, Clone)]
pub(crate) struct NewClient {
    /// The client.
    pub(crate) record: ClientRecord,
    /// Its secret, to be shown once; none for a client that may present none.
    pub(crate) secret: Option<ClientSecret>,
}

/// Registers, shows, changes and removes clients.
#[derive(Debug)]
pub struct ClientRegistry {
    pub(super) store: Arc<dyn Store>,
    pub(super) directory: Arc<Directory>,
    pub(super) clock: Arc<dyn Clock>,
}

impl ClientRegistry {
    /// Keeps the clients of `store`, and tells `directory` of changes.
    pub fn new(store: Arc<dyn Store>, directory: Arc<Directory>, clock: Arc<dyn Clock>) -> Self {
        Self { store, directory, clock }
    }

    /// An id for a client that was given none: `c-` and 80 random bits in hexadecimal.
    ///
    /// # Errors
    /// When there is no randomness.
    pub(crate) fn new_id() -> Result<ClientId, RandomError> {
        let hex: String = random::bytes::<10>()?.iter().map(|octet| format!("{octet:02x}")).collect();
        ClientId::parse(format!("c-{hex}")).map_err(|_| RandomError)
    }

    /// Registers a client, with its first secret if it may present any.
    pub(crate) async fn create(
        &self,
        grant: &ClientGrant,
        client_id: ClientId,
        settings: ClientSettings,
    ) -> Result<NewClient, RegistryError> {
        grant.covers(&settings.permissions)?;
        self.names_are_free(&client_id, &settings.authentication.certificate).await?;
        let (secret, secrets) = if settings.authentication.allows(AuthenticationMethod::ClientSecret) {
            let new = NewSecret::of(ClientSecret::generate(&client_id)?, self.clock.now())?;
            (Some(new.secret), vec![new.record])
        } else {
            (None, Vec::new())
        };
        let record = self.record(client_id, settings, secrets)?;
        self.store.create_client(&record).await?;
        self.follow().await;
        Ok(NewClient { record, secret })
    }

    /// Makes a client exactly so, with `secret` or a fresh one as its only secret, whether it was there or not. For the
    /// one who holds the store itself: it asks for no grant.
    ///
    /// # Errors
    /// When the store fails or no secret can be made.
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
        self.store.put_client(&self.record(client_id, settings, vec![new.record])?).await?;
        self.directory.refresh().await?;
        Ok(new.secret)
    }

    /// One client.
    pub(crate) async fn get(
        &self,
        _: &ClientGrant,
        client_id: &ClientId,
    ) -> Result<ClientRecord, RegistryError> {
        let mut record = self.stored(client_id).await?;
        self.keep_live(&mut record);
        Ok(record)
    }

    /// A client as the store has it. One that is not trusted is as if it were not there: what it says must not be shown as
    /// what was decided about it, nor be signed with a change. It can be deleted.
    ///
    /// # Errors
    /// When the store fails, or there is no client of that id.
    pub async fn stored(&self, client_id: &ClientId) -> Result<ClientRecord, RegistryError> {
        let record = self.store.client(client_id).await?;
        if self.directory.rows().trusts(&record).await {
            Ok(record)
        } else {
            Err(StoreError::NotFound.into())
        }
    }

    /// Up to `limit` clients by id, after `after`, of those that the caller may administer; and whether there are more.
    pub(crate) async fn list(
        &self,
        grant: &ClientGrant,
        after: Option<&ClientId>,
        limit: u32,
    ) -> Result<(Vec<ClientRecord>, bool), RegistryError> {
        /// How many clients are read at once to find those of a bounded caller.
        const CHUNK: u32 = 1000;
        let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
        let chunk = if grant.is_bounded() { CHUNK.max(limit) } else { limit }.saturating_add(1);
        let (mut records, mut after) = (Vec::new(), after.cloned());
        loop {
            let mut page = self.store.clients_page(after.as_ref(), chunk).await?;
            let is_last = page.len() < usize::try_from(chunk).unwrap_or(usize::MAX);
            after = page.last().map(|record| record.client.client_id.clone());
            page.retain(|record| grant.reaches(&record.client.client_id));
            records.extend(self.directory.rows().check_all(page, &CheckedClients::default()).await.trusted);
            if is_last || records.len() > wanted {
                break;
            }
        }
        let more = records.len() > wanted;
        records.truncate(wanted);
        records.iter_mut().for_each(|record| self.keep_live(record));
        Ok((records, more))
    }

    /// Deletes a client with its secrets and its sessions; with a `base`, only if it is at that version still.
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
                    // Either it is not there, or it has changed.
                    self.store.client(client_id).await?;
                    return Err(RegistryError::Changed);
                }
            }
        }
        self.directory.refresh().await?;
        Ok(())
    }

    /// Gives a client another secret; those that it has end after `overlap`.
    pub(crate) async fn rotate_secret(
        &self,
        grant: &ClientGrant,
        client_id: &ClientId,
        overlap: Duration,
    ) -> Result<NewSecret, RegistryError> {
        for _ in 0..MOST_ATTEMPTS {
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
                self.follow().await;
                return Ok(new);
            }
        }
        Err(RegistryError::Contended)
    }

    /// Secrets that have ended are not shown, though the store may still have them.
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

    /// Brings the clients in memory to the store's state, where a failure must not keep a fresh secret from its owner. The
    /// server's next round then does it.
    async fn follow(&self) {
        if let Err(error) = self.directory.refresh().await {
            tracing::warn!(%error, "a change of clients is not in memory yet");
        }
    }
}

/// Where the count of changes begins. By chance, so that what is deleted and made anew, within the same second too, is at no
/// version that it was at before.
pub(super) fn first_revision() -> Result<i64, RandomError> {
    random::bytes::<4>().map(|octets| i64::from(u32::from_be_bytes(octets)) + 1)
}
