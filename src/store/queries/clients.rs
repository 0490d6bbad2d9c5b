//! Clients and their secrets.

use super::{Action, Row, Store, StoreError, Transaction, Value, changes, sessions, values};
use crate::model::{
    Client, ClientId, ClientRecord, ClientSettings, ClientVersion, LaterPermissions, SecretDigest,
    SecretRecord,
};

/// The columns that [`read_into`] reads.
macro_rules! columns {
    () => {
        "c.client_id, c.settings, c.permissions, c.created_at, c.updated_at, c.revision, c.mac, \
         s.secret_id, s.digest, s.created_at AS secret_created_at, s.expires_at AS secret_expires_at"
    };
}

macro_rules! insert_client {
    () => {
        "INSERT INTO clients (client_id, settings, permissions, created_at, updated_at, revision, mac) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)"
    };
}

impl Store {
    /// Every client, by id.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Corrupt`]
    pub async fn clients(&self) -> Result<Vec<ClientRecord>, StoreError> {
        self.action(Action::Clients, self.page_of_clients(None, i64::MAX)).await
    }

    /// Up to `limit` clients by id, those after `after` only.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Corrupt`]
    pub async fn clients_page(
        &self,
        after: Option<&ClientId>,
        limit: u32,
    ) -> Result<Vec<ClientRecord>, StoreError> {
        self.action(Action::ClientsPage, self.page_of_clients(after, limit.into())).await
    }

    async fn page_of_clients(
        &self,
        after: Option<&ClientId>,
        limit: i64,
    ) -> Result<Vec<ClientRecord>, StoreError> {
        // One statement, and so one state of the database.
        let sql = concat!(
            "SELECT ",
            columns!(),
            " FROM (SELECT * FROM clients WHERE client_id > $1 ORDER BY client_id LIMIT $2) AS c \
             LEFT JOIN client_secrets AS s ON s.client_id = c.client_id \
             ORDER BY c.client_id, s.created_at, s.ordinal"
        );
        let mut records = Vec::new();
        let values = values![after.map_or("", ClientId::as_str), limit];
        let mut connection = self.backend.reader().await?;
        connection.fetch_all(sql, values, |row| read_into(&mut records, row)).await?;
        Ok(records)
    }

    /// One client.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if there is no client with that id.
    pub async fn client(&self, client_id: &ClientId) -> Result<ClientRecord, StoreError> {
        self.action(Action::Client, async {
            let sql = concat!(
                "SELECT ",
                columns!(),
                " FROM clients AS c LEFT JOIN client_secrets AS s ON s.client_id = c.client_id \
                 WHERE c.client_id = $1 ORDER BY s.created_at, s.ordinal"
            );
            let mut records = Vec::new();
            let mut connection = self.backend.reader().await?;
            let read = |row: &Row| read_into(&mut records, row);
            connection.fetch_all(sql, values![client_id.as_str()], read).await?;
            records.pop().ok_or(StoreError::NotFound)
        })
        .await
    }

    /// Creates a client with its secrets.
    ///
    /// # Errors
    /// [`StoreError::AlreadyExists`] if there is a client or a user with that id.
    pub async fn create_client(&self, record: &ClientRecord) -> Result<(), StoreError> {
        self.action(Action::CreateClient, async {
            let mut transaction = self.backend.begin().await?;
            insert(&mut transaction, &record.client, insert_client!()).await?;
            insert_secrets(&mut transaction, record).await?;
            self.backend.commit_change(transaction).await
        })
        .await
    }

    /// Creates a client with its secrets, or replaces it: it then keeps its creation time, and its revision grows by one.
    ///
    /// # Errors
    /// [`StoreError::AlreadyExists`] if there is no such client, and a user has that id.
    pub async fn put_client(&self, record: &ClientRecord) -> Result<(), StoreError> {
        self.action(Action::PutClient, async {
            let mut transaction = self.backend.begin().await?;
            let sql = concat!(
                insert_client!(),
                " ON CONFLICT (client_id) DO UPDATE \
                 SET settings = excluded.settings, permissions = excluded.permissions, \
                     updated_at = excluded.updated_at, revision = clients.revision + 1, mac = excluded.mac"
            );
            insert(&mut transaction, &record.client, sql).await?;
            replace_secrets(&mut transaction, record).await?;
            self.backend.commit_change(transaction).await
        })
        .await
    }

    /// Changes the settings, the update time and the MAC of a client, if it has the version `base`: of several concurrent changes
    /// with the same base, one is made, and the revision grows by one. The MAC covers the settings and the secrets of `base`. Returns
    /// whether the change was made; if not, the client has another version or does not exist.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]
    pub async fn update_client(&self, client: &Client, base: ClientVersion) -> Result<bool, StoreError> {
        self.action(Action::UpdateClient, async move {
            let mut transaction = self.backend.begin().await?;
            let updated = update(&mut transaction, client, base).await?;
            self.end_change(transaction, updated).await
        })
        .await
    }

    /// Changes a client as [`Self::update_client`] does, and replaces its secrets.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]
    pub async fn update_client_secrets(
        &self,
        record: &ClientRecord,
        base: ClientVersion,
    ) -> Result<bool, StoreError> {
        self.action(Action::UpdateClientSecrets, async move {
            let mut transaction = self.backend.begin().await?;
            let updated = update(&mut transaction, &record.client, base).await?;
            if updated {
                replace_secrets(&mut transaction, record).await?;
            }
            self.end_change(transaction, updated).await
        })
        .await
    }

    /// Deletes a client with its secrets and its sessions.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if there is no client with that id.
    pub async fn delete_client(&self, client_id: &ClientId) -> Result<(), StoreError> {
        self.action(Action::DeleteClient, async {
            let sql = "DELETE FROM clients WHERE client_id = $1";
            let deleted = self.delete_client_by(client_id, sql, values![client_id.as_str()]).await?;
            if deleted { Ok(()) } else { Err(StoreError::NotFound) }
        })
        .await
    }

    /// Deletes a client with its secrets and its sessions, if it has the version `base`. Returns whether it was deleted.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]
    pub async fn delete_client_version(
        &self,
        client_id: &ClientId,
        base: ClientVersion,
    ) -> Result<bool, StoreError> {
        self.action(Action::DeleteClientVersion, async move {
            let sql = "DELETE FROM clients WHERE client_id = $1 AND created_at = $2 AND revision = $3";
            let values = values![client_id.as_str(), base.create_time, base.revision];
            self.delete_client_by(client_id, sql, values).await
        })
        .await
    }

    /// The client's secrets are deleted by their foreign key.
    async fn delete_client_by(
        &self,
        client_id: &ClientId,
        sql: &'static str,
        values: Vec<Value<'_>>,
    ) -> Result<bool, StoreError> {
        let mut transaction = self.backend.begin().await?;
        changes::count(&mut transaction).await?;
        let deleted = transaction.execute(sql, values).await? == 1;
        if deleted {
            sessions::delete_of_client(&mut transaction, client_id).await?;
        }
        self.end_change(transaction, deleted).await
    }

    /// Commits a change that was made, or rolls back its count.
    async fn end_change(&self, transaction: Transaction, made: bool) -> Result<bool, StoreError> {
        if made {
            self.backend.commit_change(transaction).await?;
        } else {
            transaction.end(false).await?;
        }
        Ok(made)
    }
}

/// Inserts a client with the statement `sql`, unless it is new and a user has its id: both are subjects of tokens (RFC 9700
/// section 4.15).
async fn insert(transaction: &mut Transaction, client: &Client, sql: &'static str) -> Result<(), StoreError> {
    // Waits for users that are being created, too.
    changes::count(transaction).await?;
    let conflict = "SELECT 1 FROM users WHERE user_id = $1 \
                    AND NOT EXISTS (SELECT 1 FROM clients WHERE client_id = $1)";
    let client_id = client.client_id.as_str();
    if transaction.fetch_optional(conflict, values![client_id], |_| Ok(())).await?.is_some() {
        return Err(StoreError::AlreadyExists);
    }
    let values = values![
        client_id,
        settings_text(client)?,
        permissions_text(client)?,
        client.create_time,
        client.update_time,
        client.revision,
        client.mac.as_deref(),
    ];
    transaction.execute(sql, values).await?;
    Ok(())
}

async fn update(
    transaction: &mut Transaction,
    client: &Client,
    base: ClientVersion,
) -> Result<bool, StoreError> {
    changes::count(transaction).await?;
    let sql = "UPDATE clients \
               SET settings = $2, permissions = $3, updated_at = $4, revision = revision + 1, mac = $7 \
               WHERE client_id = $1 AND created_at = $5 AND revision = $6";
    let values = values![
        client.client_id.as_str(),
        settings_text(client)?,
        permissions_text(client)?,
        client.update_time,
        base.create_time,
        base.revision,
        client.mac.as_deref(),
    ];
    Ok(transaction.execute(sql, values).await? == 1)
}

async fn replace_secrets(transaction: &mut Transaction, record: &ClientRecord) -> Result<(), StoreError> {
    let sql = "DELETE FROM client_secrets WHERE client_id = $1";
    transaction.execute(sql, values![record.client.client_id.as_str()]).await?;
    insert_secrets(transaction, record).await
}

async fn insert_secrets(transaction: &mut Transaction, record: &ClientRecord) -> Result<(), StoreError> {
    for secret in &record.secrets {
        let sql = "INSERT INTO client_secrets (secret_id, client_id, digest, created_at, expires_at, ordinal) \
             SELECT $1, $2, $3, $4, $5, COALESCE(MAX(ordinal), 0) + 1 FROM client_secrets WHERE client_id = $2";
        let values = values![
            &secret.secret_id,
            record.client.client_id.as_str(),
            secret.digest.as_bytes(),
            secret.create_time,
            secret.expire_time,
        ];
        transaction.execute(sql, values).await?;
    }
    Ok(())
}

/// Reads a client beside one of its secrets, or none. The rows of a client follow each other.
fn read_into(records: &mut Vec<ClientRecord>, row: &Row) -> Result<(), StoreError> {
    let client_id: &str = row.get("client_id")?;
    let secret = read_secret(row)?;
    match records.last_mut() {
        Some(last) if last.client.client_id.as_str() == client_id => last.secrets.extend(secret),
        _ => records.push(ClientRecord {
            client: Client {
                settings: read_settings(client_id, row)?,
                create_time: row.time("created_at")?,
                update_time: row.time("updated_at")?,
                revision: row.get("revision")?,
                mac: row.get("mac")?,
                client_id: ClientId::parse(client_id)
                    .map_err(|error| StoreError::corrupt("clients", "client_id", client_id, error))?,
            },
            secrets: secret.into_iter().collect(),
        }),
    }
    Ok(())
}

fn read_settings(client_id: &str, row: &Row) -> Result<ClientSettings, StoreError> {
    let invalid = |column| move |error| StoreError::corrupt("clients", column, client_id, error);
    let mut settings: ClientSettings =
        serde_json::from_str(row.get("settings")?).map_err(invalid("settings"))?;
    let later: Option<&str> = row.get("permissions")?;
    let later = later.map(serde_json::from_str).transpose().map_err(invalid("permissions"))?;
    settings.permissions.set_later(later.unwrap_or_else(LaterPermissions::of_release_before));
    Ok(settings)
}

fn read_secret(row: &Row) -> Result<Option<SecretRecord>, StoreError> {
    let Some(secret_id) = row.get::<Option<String>>("secret_id")? else { return Ok(None) };
    let invalid = |column, problem| StoreError::corrupt("client_secrets", column, &secret_id, problem);
    let digest: Option<&[u8]> = row.get("digest")?;
    let digest = digest.and_then(|digest| digest.try_into().ok());
    let create_time = row.optional_time("secret_created_at")?;
    Ok(Some(SecretRecord {
        digest: digest
            .map(SecretDigest::from_bytes)
            .ok_or_else(|| invalid("digest", "not the 32 bytes of a digest"))?,
        create_time: create_time.ok_or_else(|| invalid("created_at", "missing"))?,
        expire_time: row.optional_time("secret_expires_at")?,
        secret_id,
    }))
}

fn settings_text(client: &Client) -> Result<String, StoreError> {
    serde_json::to_string(&client.settings)
        .map_err(|error| StoreError::corrupt("clients", "settings", client.client_id.as_str(), error))
}

fn permissions_text(client: &Client) -> Result<String, StoreError> {
    serde_json::to_string(&client.settings.permissions.later())
        .map_err(|error| StoreError::corrupt("clients", "permissions", client.client_id.as_str(), error))
}
