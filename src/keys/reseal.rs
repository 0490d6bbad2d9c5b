//! Resealing: moves every stored key under the current sealing key, and computes the MAC of every row under it.

use super::{
    KeyError, Patience, RowCheck, Sealer, SealingError,
    checked::{change_keys, sealed_parts},
};
use crate::{
    model::{Algorithm, ClientId, KeyChange, KeyId, KeyRecord, KeySet, SealingKeyId},
    store::{Store, StoreError},
};

/// The limit of attempts for a row that other processes change meanwhile.
const ATTEMPTS: usize = 5;

/// The outcome for every row.
#[derive(Debug)]
pub struct Resealing {
    /// The current sealing key.
    pub sealing_key_id: SealingKeyId,
    /// The keys.
    pub keys: Vec<Resealed>,
    /// The clients.
    pub clients: Vec<ResealedClient>,
}

/// The outcome for a key.
#[derive(Debug)]
pub struct Resealed {
    /// The key.
    pub key_id: KeyId,
    /// Its algorithm.
    pub algorithm: Algorithm,
    /// The outcome.
    pub outcome: Outcome,
}

/// The outcome for a client.
#[derive(Debug)]
pub struct ResealedClient {
    /// The client.
    pub client_id: ClientId,
    /// The outcome.
    pub outcome: Outcome,
}

/// The outcome for a row.
#[derive(Debug)]
pub enum Outcome {
    /// The private part was resealed, and the MAC of the row updated.
    Moved,
    /// The MAC of the row was updated.
    Signed,
    /// The row was already up to date.
    Unchanged,
    /// The row cannot be unsealed, has a wrong MAC or could not be changed. It is unchanged.
    Failed(KeyError),
}

/// Reseals every stored key under the first sealing key, and computes the MAC of every row of a key or a client under it. Each row is
/// changed only if it has not changed since it was read, so that servers and other resealings may run at the same time.
///
/// # Errors
/// When the store fails, or there is no sealing key. Rows before that are done.
pub async fn reseal(store: &Store, sealer: &Sealer) -> Result<Resealing, KeyError> {
    let set = store.keys().await?;
    sealer.load(sealed_parts(&set), Patience::Start).await;
    sealer.prepare().await?;
    let missing = || KeyError::Reseal("there is no sealing key".to_owned());
    let sealing_key_id = sealer.sealing_key_id().ok_or_else(missing)?;
    let mut resealing = Resealing { sealing_key_id, keys: Vec::new(), clients: Vec::new() };
    for record in set.keys {
        if let Some(outcome) = reseal_key(store, sealer, &record.key_id).await? {
            let (key_id, algorithm) = (record.key_id, record.algorithm);
            resealing.keys.push(Resealed { key_id, algorithm, outcome });
        }
    }
    for record in store.clients().await? {
        let client_id = record.client.client_id;
        if let Some(outcome) = sign_client(store, sealer, &client_id).await? {
            resealing.clients.push(ResealedClient { client_id, outcome });
        }
    }
    Ok(resealing)
}

/// Reseals a key. Returns none if the key was deleted meanwhile.
async fn reseal_key(store: &Store, sealer: &Sealer, key_id: &KeyId) -> Result<Option<Outcome>, KeyError> {
    for _ in 0..ATTEMPTS {
        let set = store.keys().await?;
        let Some(record) = set.get(key_id.as_str()) else { return Ok(None) };
        let one = KeySet { sequence: set.sequence, keys: vec![record.clone()] };
        sealer.load(sealed_parts(&one), Patience::Start).await;
        if let Some(problem) = refused(sealer.check_row(&record.content(), record.mac.as_deref())) {
            return Ok(Some(Outcome::Failed(KeyError::Untrusted(key_id.clone(), problem))));
        }
        let moved = match move_private_half(sealer, record) {
            Ok(moved) => moved,
            Err(error) => return Ok(Some(Outcome::Failed(error))),
        };
        let outcome = if moved.is_some() { Outcome::Moved } else { Outcome::Signed };
        if moved.is_none() && sealer.is_current_row(record.mac.as_deref()) {
            return Ok(Some(Outcome::Unchanged));
        }
        let change = KeyChange::of(&set).put(moved.unwrap_or_else(|| record.clone()));
        if change_keys(store, sealer, &change).await?.is_some() {
            return Ok(Some(outcome));
        }
    }
    Ok(Some(contended(key_id)))
}

/// The key with its private part under the current sealing key; none if it is already.
fn move_private_half(sealer: &Sealer, record: &KeyRecord) -> Result<Option<KeyRecord>, KeyError> {
    let Some(sealed) = record.sealed.as_deref() else { return Ok(None) };
    let bytes = sealer.open(&record.key_id, record.algorithm, sealed)?;
    if sealer.is_current(sealed) {
        return Ok(None);
    }
    let sealed = sealer.seal(&record.key_id, record.algorithm, &bytes)?;
    Ok(Some(KeyRecord { sealed: Some(sealed), ..record.clone() }))
}

/// Computes the MAC of a client's row. Returns none if the client was deleted meanwhile.
async fn sign_client(
    store: &Store,
    sealer: &Sealer,
    client_id: &ClientId,
) -> Result<Option<Outcome>, KeyError> {
    for _ in 0..ATTEMPTS {
        let record = match store.client(client_id).await {
            Ok(record) => record,
            Err(StoreError::NotFound) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let mut client = record.client.clone();
        sealer.load(client.mac.as_deref(), Patience::Start).await;
        let no_form =
            || KeyError::Reseal(format!("the settings of the client {client_id} have no JSON form"));
        let Some(content) = record.content() else { return Ok(Some(Outcome::Failed(no_form()))) };
        if let Some(problem) = refused(sealer.check_row(&content, client.mac.as_deref())) {
            return Ok(Some(Outcome::Failed(KeyError::UntrustedClient(client_id.clone(), problem))));
        }
        if sealer.is_current_row(client.mac.as_deref()) {
            return Ok(Some(Outcome::Unchanged));
        }
        let base = client.version();
        client.mac = sealer.sign_row(&content).map_err(SealingError::from)?;
        if store.update_client(&client, base).await? {
            return Ok(Some(Outcome::Signed));
        }
    }
    Ok(Some(contended(client_id)))
}

fn refused(check: RowCheck) -> Option<String> {
    match check {
        RowCheck::Signed | RowCheck::Unsigned => None,
        RowCheck::Unknown(problem) | RowCheck::Refused(problem) => Some(problem),
    }
}

fn contended(row: &impl std::fmt::Display) -> Outcome {
    Outcome::Failed(KeyError::Reseal(format!(
        "other processes keep changing the store, {row} among the rest"
    )))
}
