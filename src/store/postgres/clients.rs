//! Clients and their secrets in PostgreSQL.

use sqlx::{PgConnection, PgPool};

use super::{changes, secrets};
use crate::{
    model::{Client, ClientId, ClientRecord, ClientVersion},
    store::{
        StoreError,
        rows::{self, ClientColumns, client_columns},
    },
};

/// Up to `limit` clients by id, those after `after` only. One statement, and so one state of the database.
pub(super) async fn page(
    pool: &PgPool,
    after: Option<&ClientId>,
    limit: i64,
) -> Result<Vec<ClientRecord>, StoreError> {
    let rows: Vec<ClientColumns> = sqlx::query_as(concat!(
        "SELECT ",
        client_columns!(),
        " \
         FROM (SELECT * FROM clients WHERE client_id > $1 ORDER BY client_id LIMIT $2) AS c \
         LEFT JOIN client_secrets AS s ON s.client_id = c.client_id \
         ORDER BY c.client_id, s.created_at, s.ordinal"
    ))
    .bind(after.map_or("", ClientId::as_str))
    .bind(limit)
    .fetch_all(pool)
    .await?;
    rows::clients(rows)
}

/// One client.
pub(super) async fn one(pool: &PgPool, client_id: &ClientId) -> Result<ClientRecord, StoreError> {
    let rows: Vec<ClientColumns> = sqlx::query_as(concat!(
        "SELECT ",
        client_columns!(),
        " \
         FROM clients AS c LEFT JOIN client_secrets AS s ON s.client_id = c.client_id \
         WHERE c.client_id = $1 ORDER BY s.created_at, s.ordinal"
    ))
    .bind(client_id.as_str())
    .fetch_all(pool)
    .await?;
    rows::clients(rows)?.pop().ok_or(StoreError::NotFound)
}

/// Registers a client with its secrets.
pub(super) async fn create(write: &mut PgConnection, record: &ClientRecord) -> Result<(), StoreError> {
    changes::count(write).await?;
    let client = &record.client;
    id_is_free(write, &client.client_id).await?;
    sqlx::query(
        "INSERT INTO clients (client_id, settings, permissions, created_at, updated_at, revision, mac) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(client.client_id.as_str())
    .bind(rows::settings_text(client)?)
    .bind(rows::permissions_text(client)?)
    .bind(client.create_time.seconds())
    .bind(client.update_time.seconds())
    .bind(client.revision)
    .bind(client.mac.as_deref())
    .execute(&mut *write)
    .await?;
    secrets::insert(write, &client.client_id, &record.secrets).await
}

/// Makes a client what `record` says, whether it was there or not.
pub(super) async fn put(write: &mut PgConnection, record: &ClientRecord) -> Result<(), StoreError> {
    changes::count(write).await?;
    let client = &record.client;
    id_is_free(write, &client.client_id).await?;
    sqlx::query(
        "INSERT INTO clients (client_id, settings, permissions, created_at, updated_at, revision, mac) \
         VALUES ($1, $2, $3, $4, $5, $6, $7) \
         ON CONFLICT (client_id) DO UPDATE \
         SET settings = excluded.settings, permissions = excluded.permissions, updated_at = excluded.updated_at, \
             revision = clients.revision + 1, mac = excluded.mac",
    )
    .bind(client.client_id.as_str())
    .bind(rows::settings_text(client)?)
    .bind(rows::permissions_text(client)?)
    .bind(client.create_time.seconds())
    .bind(client.update_time.seconds())
    .bind(client.revision)
    .bind(client.mac.as_deref())
    .execute(&mut *write)
    .await?;
    secrets::delete_all(write, &client.client_id).await?;
    secrets::insert(write, &client.client_id, &record.secrets).await
}

/// Refuses the id of a user for a new client: both are subjects of tokens (RFC 9700 section 4.15). A client that is there keeps its
/// id. After `changes::count`, which waits for users that are being created.
async fn id_is_free(write: &mut PgConnection, client_id: &ClientId) -> Result<(), StoreError> {
    let taken: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM users WHERE user_id = $1) \
            AND NOT EXISTS (SELECT 1 FROM clients WHERE client_id = $1)",
    )
    .bind(client_id.as_str())
    .fetch_one(write)
    .await?;
    if taken { Err(StoreError::AlreadyExists) } else { Ok(()) }
}

/// Changes a client that is at `base` still. Answers whether it was.
pub(super) async fn update(
    write: &mut PgConnection,
    client: &Client,
    base: ClientVersion,
) -> Result<bool, StoreError> {
    changes::count(write).await?;
    let updated = sqlx::query(
        "UPDATE clients \
         SET settings = $2, permissions = $3, updated_at = $4, revision = revision + 1, mac = $7 \
         WHERE client_id = $1 AND created_at = $5 AND revision = $6",
    )
    .bind(client.client_id.as_str())
    .bind(rows::settings_text(client)?)
    .bind(rows::permissions_text(client)?)
    .bind(client.update_time.seconds())
    .bind(base.create_time.seconds())
    .bind(base.revision)
    .bind(client.mac.as_deref())
    .execute(write)
    .await?
    .rows_affected();
    Ok(updated == 1)
}

/// Changes a client that is at `base` still, with its secrets. Answers whether it was.
pub(super) async fn update_with_secrets(
    write: &mut PgConnection,
    record: &ClientRecord,
    base: ClientVersion,
) -> Result<bool, StoreError> {
    let client = &record.client;
    if !update(write, client, base).await? {
        return Ok(false);
    }
    secrets::delete_all(write, &client.client_id).await?;
    secrets::insert(write, &client.client_id, &record.secrets).await?;
    Ok(true)
}

/// Deletes a client that is at `base` still. Answers whether it was.
pub(super) async fn delete_version(
    write: &mut PgConnection,
    client_id: &ClientId,
    base: ClientVersion,
) -> Result<bool, StoreError> {
    changes::count(write).await?;
    let deleted =
        sqlx::query("DELETE FROM clients WHERE client_id = $1 AND created_at = $2 AND revision = $3")
            .bind(client_id.as_str())
            .bind(base.create_time.seconds())
            .bind(base.revision)
            .execute(write)
            .await?
            .rows_affected();
    Ok(deleted == 1)
}

/// Deletes a client; its secrets go with it.
pub(super) async fn delete(write: &mut PgConnection, client_id: &ClientId) -> Result<(), StoreError> {
    changes::count(write).await?;
    let deleted = sqlx::query("DELETE FROM clients WHERE client_id = $1")
        .bind(client_id.as_str())
        .execute(write)
        .await?
        .rows_affected();
    if deleted == 1 { Ok(()) } else { Err(StoreError::NotFound) }
}
