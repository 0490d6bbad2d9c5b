//! From columns to records, for both backends: whatever makes no sense is an error that names the place and shows
//! neither sealed keys nor digests.

use super::StoreError;
use crate::model::{
    ChangeSequence, Client, ClientId, ClientRecord, ClientSettings, KeyId, KeyRecord, KeyState, KeyUsage,
    LaterPermissions, ReplicaReport, SealingKeyId, SealingKeyRecord, SecretDigest, SecretRecord, UnixTime,
};

/// The columns of `signing_keys` that [`KeyColumns`] holds, in its order.
macro_rules! key_columns {
    () => {
        "key_id, algorithm, state, usage, issuer, sealed, public, created_at, activate_at, retire_at, expire_at, \
         revocation, publish_sequence, changed_sequence, mac"
    };
}
pub(super) use key_columns;

/// What `key_columns!` selects.
pub(super) type KeyColumns = (
    String,
    String,
    String,
    String,
    Option<String>,
    Option<Vec<u8>>,
    Option<String>,
    i64,
    Option<i64>,
    Option<i64>,
    Option<i64>,
    Option<String>,
    i64,
    i64,
    Option<Vec<u8>>,
);

/// `replica_id, held, verifiers` of `replicas`.
pub(super) type ReplicaColumns = (String, i64, String);

/// The columns of `clients` and `client_secrets` that [`ClientColumns`] holds, in its order.
macro_rules! client_columns {
    () => {
        "c.client_id, c.settings, c.permissions, c.created_at, c.updated_at, c.revision, c.mac, \
         s.secret_id, s.digest, s.created_at, s.expires_at"
    };
}
pub(super) use client_columns;

/// What `client_columns!` selects: a client beside one of its secrets, or none.
pub(super) type ClientColumns = (
    String,
    String,
    Option<String>,
    i64,
    i64,
    i64,
    Option<Vec<u8>>,
    Option<String>,
    Option<Vec<u8>>,
    Option<i64>,
    Option<i64>,
);

fn corrupt(
    table: &'static str,
    column: &'static str,
    row: &str,
    problem: impl std::fmt::Display,
) -> StoreError {
    StoreError::Corrupt { table, column, row: row.to_owned(), problem: problem.to_string() }
}

/// The change sequence, whose row must be there.
pub(super) fn change_sequence(value: Option<i64>) -> Result<ChangeSequence, StoreError> {
    value.map(ChangeSequence).ok_or_else(|| corrupt("change_sequence", "value", "1", "the row is missing"))
}

/// One key.
pub(super) fn key(columns: KeyColumns) -> Result<KeyRecord, StoreError> {
    let (key_id, algorithm, state, usage, issuer, sealed, public, created_at, activate_at, ..) = columns;
    let (.., retire_at, expire_at, revocation, publish_sequence, changed_sequence, mac) = columns;
    let bad = |column, problem: &str| corrupt("signing_keys", column, &key_id, problem);
    let revocation = revocation.as_deref().map(serde_json::from_str).transpose();
    Ok(KeyRecord {
        algorithm: algorithm.parse().map_err(|_| bad("algorithm", "not an algorithm that tokend knows"))?,
        state: KeyState::from_name(&state).ok_or_else(|| bad("state", "not a state that tokend knows"))?,
        usage: KeyUsage::from_name(&usage).ok_or_else(|| bad("usage", "not a usage that tokend knows"))?,
        issuer,
        sealed,
        public,
        create_time: UnixTime::from_seconds(created_at),
        activate_time: activate_at.map(UnixTime::from_seconds),
        retire_time: retire_at.map(UnixTime::from_seconds),
        expire_time: expire_at.map(UnixTime::from_seconds),
        revocation: revocation.map_err(|_| bad("revocation", "not a revocation"))?,
        publish_sequence: ChangeSequence(publish_sequence),
        change_sequence: ChangeSequence(changed_sequence),
        mac,
        key_id: KeyId::from_text(key_id),
    })
}

/// The `revocation` column for a key.
pub(super) fn revocation_text(record: &KeyRecord) -> Result<Option<String>, StoreError> {
    let text = record.revocation.as_ref().map(serde_json::to_string).transpose();
    text.map_err(|error| corrupt("signing_keys", "revocation", record.key_id.as_str(), error))
}

/// `sealing_key_id, provider, wrapped, created_at` of `sealing_keys`.
pub(super) type SealingKeyColumns = (String, String, Vec<u8>, i64);

/// One wrapped sealing key.
pub(super) fn sealing_key(columns: SealingKeyColumns) -> Result<SealingKeyRecord, StoreError> {
    let (sealing_key_id, provider, wrapped, created_at) = columns;
    let bad = || corrupt("sealing_keys", "sealing_key_id", &sealing_key_id, "not the id of a sealing key");
    Ok(SealingKeyRecord {
        sealing_key_id: SealingKeyId::from_text(&sealing_key_id).ok_or_else(bad)?,
        provider,
        wrapped,
        create_time: UnixTime::from_seconds(created_at),
    })
}

/// One replica's report.
pub(super) fn replica((replica_id, held, verifiers): ReplicaColumns) -> Result<ReplicaReport, StoreError> {
    let verifiers = serde_json::from_str(&verifiers)
        .map_err(|error| corrupt("replicas", "verifiers", &replica_id, error))?;
    Ok(ReplicaReport { held: ChangeSequence(held), verifiers, replica_id })
}

/// The `verifiers` column for a report.
pub(super) fn verifiers_text(report: &ReplicaReport) -> Result<String, StoreError> {
    serde_json::to_string(&report.verifiers)
        .map_err(|error| corrupt("replicas", "verifiers", &report.replica_id, error))
}

/// The clients of rows that are in the order of their ids, and for each the secrets in the order of the rows.
pub(super) fn clients(rows: Vec<ClientColumns>) -> Result<Vec<ClientRecord>, StoreError> {
    let mut records: Vec<ClientRecord> = Vec::new();
    for row in rows {
        let (client_id, settings, permissions, created_at, updated_at, revision, mac, ..) = row;
        let (.., secret_id, digest, secret_at, expires_at) = row;
        let secret = secret(secret_id, digest, secret_at, expires_at)?;
        match records.last_mut() {
            Some(last) if last.client.client_id.as_str() == client_id => last.secrets.extend(secret),
            _ => records.push(ClientRecord {
                client: Client {
                    settings: settings_of(&client_id, &settings, permissions.as_deref())?,
                    create_time: UnixTime::from_seconds(created_at),
                    update_time: UnixTime::from_seconds(updated_at),
                    revision,
                    mac,
                    client_id: ClientId::parse(client_id.as_str())
                        .map_err(|error| corrupt("clients", "client_id", &client_id, error))?,
                },
                secrets: secret.into_iter().collect(),
            }),
        }
    }
    Ok(records)
}

fn settings_of(
    client_id: &str,
    settings: &str,
    permissions: Option<&str>,
) -> Result<ClientSettings, StoreError> {
    let bad = |column| move |error| corrupt("clients", column, client_id, error);
    let mut settings: ClientSettings = serde_json::from_str(settings).map_err(bad("settings"))?;
    let later = permissions.map(serde_json::from_str).transpose().map_err(bad("permissions"))?;
    settings.permissions.set_later(later.unwrap_or_else(LaterPermissions::of_release_before));
    Ok(settings)
}

fn secret(
    secret_id: Option<String>,
    digest: Option<Vec<u8>>,
    created_at: Option<i64>,
    expires_at: Option<i64>,
) -> Result<Option<SecretRecord>, StoreError> {
    let Some(secret_id) = secret_id else { return Ok(None) };
    let bad = |column, problem| corrupt("client_secrets", column, &secret_id, problem);
    let digest: [u8; 32] = digest
        .and_then(|digest| digest.try_into().ok())
        .ok_or_else(|| bad("digest", "not the 32 bytes of a digest"))?;
    let created_at = created_at.ok_or_else(|| bad("created_at", "missing"))?;
    Ok(Some(SecretRecord {
        digest: SecretDigest::from_bytes(digest),
        create_time: UnixTime::from_seconds(created_at),
        expire_time: expires_at.map(UnixTime::from_seconds),
        secret_id,
    }))
}

/// The `settings` column for a client.
pub(super) fn settings_text(client: &Client) -> Result<String, StoreError> {
    serde_json::to_string(&client.settings)
        .map_err(|error| corrupt("clients", "settings", client.client_id.as_str(), error))
}

/// The `permissions` column for a client.
pub(super) fn permissions_text(client: &Client) -> Result<String, StoreError> {
    serde_json::to_string(&client.settings.permissions.later())
        .map_err(|error| corrupt("clients", "permissions", client.client_id.as_str(), error))
}
