//! Client secrets in PostgreSQL.

use sqlx::PgConnection;

use crate::{
    model::{ClientId, SecretRecord, UnixTime},
    store::StoreError,
};

/// Inserts secrets after those that the client has.
pub(super) async fn insert(
    write: &mut PgConnection,
    client_id: &ClientId,
    secrets: &[SecretRecord],
) -> Result<(), StoreError> {
    for secret in secrets {
        sqlx::query(
            "INSERT INTO client_secrets (secret_id, client_id, digest, created_at, expires_at, ordinal) \
             SELECT $1, $2, $3, $4, $5, COALESCE(MAX(ordinal), 0) + 1 FROM client_secrets WHERE client_id = $2",
        )
        .bind(&secret.secret_id)
        .bind(client_id.as_str())
        .bind(secret.digest.as_bytes().as_slice())
        .bind(secret.create_time.seconds())
        .bind(secret.expire_time.map(UnixTime::seconds))
        .execute(&mut *write)
        .await?;
    }
    Ok(())
}

/// Deletes every secret of a client.
pub(super) async fn delete_all(write: &mut PgConnection, client_id: &ClientId) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM client_secrets WHERE client_id = $1")
        .bind(client_id.as_str())
        .execute(write)
        .await?;
    Ok(())
}
