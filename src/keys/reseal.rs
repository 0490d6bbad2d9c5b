//! Moving every stored key under the sealing key that seals now.

use super::{KeyError, Patience, Sealer};
use crate::{
    model::{Algorithm, KeyChange, KeyId, KeyRecord, SealingKeyId},
    store::Store,
};

/// How often a key is looked at that somebody else changes at the same time.
const ATTEMPTS: usize = 5;

/// One key, and what came of it.
#[derive(Debug)]
pub struct Resealed {
    /// The key.
    pub key_id: KeyId,
    /// What it is for.
    pub algorithm: Algorithm,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of a key.
#[derive(Debug)]
pub enum Outcome {
    /// It was moved.
    Moved,
    /// It was there already.
    Unchanged,
    /// It does not open, or could not be moved; it is as it was.
    Failed(KeyError),
}

/// Seals every stored key under the first sealing key, which is answered too. Each key is changed only if none has changed
/// since it was read, so that servers may run meanwhile, and so may another of these.
///
/// # Errors
/// When the store fails, or there is no sealing key; what was moved until then is moved.
pub async fn reseal(store: &dyn Store, sealer: &Sealer) -> Result<(SealingKeyId, Vec<Resealed>), KeyError> {
    let set = store.keys().await?;
    sealer.load(set.keys.iter().filter_map(|record| record.sealed.as_deref()), Patience::Start).await;
    sealer.prepare().await?;
    let missing = || KeyError::Reseal("there is no sealing key".to_owned());
    let to = sealer.sealing_key_id().ok_or_else(missing)?;
    let mut all = Vec::new();
    for record in set.keys {
        if let Some(outcome) = reseal_one(store, sealer, &record.key_id).await? {
            all.push(Resealed { key_id: record.key_id, algorithm: record.algorithm, outcome });
        }
    }
    Ok((to, all))
}

/// One key; nothing if it has no private half, or is gone meanwhile.
async fn reseal_one(store: &dyn Store, sealer: &Sealer, key_id: &KeyId) -> Result<Option<Outcome>, KeyError> {
    for _ in 0..ATTEMPTS {
        let set = store.keys().await?;
        let Some(record) = set.get(key_id.as_str()) else { return Ok(None) };
        let Some(sealed) = record.sealed.as_deref() else { return Ok(None) };
        sealer.load([sealed], Patience::Start).await;
        let octets = match sealer.open(key_id, record.algorithm, sealed) {
            Ok(_) if sealer.is_current(sealed) => return Ok(Some(Outcome::Unchanged)),
            Ok(octets) => octets,
            Err(error) => return Ok(Some(Outcome::Failed(error))),
        };
        let sealed = sealer.seal(key_id, record.algorithm, &octets)?;
        let moved = KeyRecord { sealed: Some(sealed), ..record.clone() };
        if store.change_keys(&KeyChange::of(&set).put(moved)).await?.is_some() {
            return Ok(Some(Outcome::Moved));
        }
    }
    Ok(Some(Outcome::Failed(KeyError::Reseal(format!(
        "the keys are changed by others, {key_id} among them"
    )))))
}
