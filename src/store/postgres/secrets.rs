//! Client secrets in PostgreSQL.

use sqlx::PgConnection;

use crate::{
    model::{ClientId, SecretRecord, UnixTime},
    store::{MOST_SECRETS, StoreError},
};

/// Adds a secret, with an end for the others.
pub(super) async fn add(
    write: &mut PgConnection,
    client_id: &ClientId,
    secret: &SecretRecord,
    others_expire: UnixTime,
) -> Result<(), StoreError> {
    // First the end, then the dead: an end that is not in the future leaves none of the others.
    sqlx::query(
        "UPDATE client_secrets SET expires_at = $2 \
         WHERE client_id = $1 AND (expires_at IS NULL OR expires_at > $2)",
    )
    .bind(client_id.as_str())
    .bind(others_expire.seconds())
    .execute(&mut *write)
    .await?;
    sqlx::query("DELETE FROM client_secrets WHERE client_id = $1 AND expires_at <= $2")
        .bind(client_id.as_str())
        .bind(secret.create_time.seconds())
        .execute(&mut *write)
        .await?;
    // The newest but one place stay: the place is the new secret's, however old its clock says that it is.
    sqlx::query(
        "DELETE FROM client_secrets WHERE secret_id IN (\
             SELECT secret_id FROM client_secrets WHERE client_id = $1 \
             ORDER BY created_at DESC, ordinal DESC OFFSET $2)",
    )
    .bind(client_id.as_str())
    .bind(i64::try_from(MOST_SECRETS.saturating_sub(1)).unwrap_or(i64::MAX))
    .execute(&mut *write)
    .await?;
    insert(write, client_id, std::slice::from_ref(secret)).await
}

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
