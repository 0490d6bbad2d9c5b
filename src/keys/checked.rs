//! Checks the MACs of stored keys: a key whose row has a wrong MAC is treated as missing.

use std::{collections::BTreeMap, sync::Arc};

use super::{KeyError, RowCheck, Sealer, SealingError};
use crate::{
    model::{Algorithm, ChangeSequence, KeyChange, KeyId, KeyRecord, KeySet, KeyState},
    store::Store,
};

/// The stored keys, after their MACs were checked.
pub(super) struct CheckedKeys {
    /// Every stored key.
    pub(super) stored: Arc<KeySet>,
    /// The keys that are used.
    pub(super) trusted: Arc<KeySet>,
    /// The keys whose rows are not trusted.
    pub(super) untrusted: BTreeMap<KeyId, Untrusted>,
    /// The number of keys that are accepted without a valid MAC.
    pub(super) unsigned: usize,
}

/// A key whose row is not trusted.
pub(super) struct Untrusted {
    pub(super) record: KeyRecord,
    pub(super) problem: String,
    /// Whether the MAC could not be checked, because the sealing key of the row is missing.
    pub(super) unknown: bool,
    /// Whether the key is still used as it was in memory.
    kept: bool,
}

impl CheckedKeys {
    /// Checks each key. A key that was trusted before and whose MAC cannot be checked now is used as before, unless it was revoked: this
    /// replica may not have the sealing key yet that another replica uses.
    pub(super) fn of(stored: KeySet, sealer: &Sealer, before: Option<&KeySet>) -> Self {
        let stored = Arc::new(stored);
        let (mut keys, mut untrusted, mut unsigned) = (Vec::new(), BTreeMap::new(), 0);
        for record in &stored.keys {
            let (problem, unknown) = match sealer.check_row(&record.content(), record.mac.as_deref()) {
                RowCheck::Signed => {
                    keys.push(record.clone());
                    continue;
                }
                RowCheck::Unsigned => {
                    unsigned += 1;
                    keys.push(record.clone());
                    continue;
                }
                RowCheck::Unknown(problem) => (problem, true),
                RowCheck::Refused(problem) => (problem, false),
            };
            let kept = before
                .filter(|_| unknown && record.state != KeyState::Revoked)
                .and_then(|before| before.get(record.key_id.as_str()).cloned());
            let entry = Untrusted { record: record.clone(), problem, unknown, kept: kept.is_some() };
            untrusted.insert(record.key_id.clone(), entry);
            keys.extend(kept);
        }
        let trusted = if untrusted.is_empty() {
            Arc::clone(&stored)
        } else {
            Arc::new(KeySet { sequence: stored.sequence, keys })
        };
        Self { stored, trusted, untrusted, unsigned }
    }

    /// The last change to any key.
    pub(super) fn sequence(&self) -> ChangeSequence {
        self.stored.sequence
    }

    /// A key that is not trusted and because of which the keys of this algorithm cannot be changed: it is pending or active, which only
    /// one key can be, or differs from the key in memory.
    pub(super) fn blocks(&self, algorithm: Algorithm) -> Option<&Untrusted> {
        let has_place = |key: &Untrusted| matches!(key.record.state, KeyState::Pending | KeyState::Active);
        let mut untrusted = self.untrusted.values().filter(|key| key.record.algorithm == algorithm);
        untrusted.find(|key| key.kept || has_place(key))
    }
}

impl Untrusted {
    pub(super) fn error(&self) -> KeyError {
        KeyError::Untrusted(self.record.key_id.clone(), self.problem.clone())
    }
}

/// Writes a change of the keys, with a MAC for each row. Returns its number; none if it was not written.
pub(super) async fn change_keys(
    store: &Store,
    sealer: &Sealer,
    change: &KeyChange,
) -> Result<Option<ChangeSequence>, KeyError> {
    let mut signed = change.clone();
    for record in &mut signed.put {
        record.mac = sealer.sign_row(&record.content()).map_err(SealingError::from)?;
    }
    Ok(store.change_keys(&signed).await?)
}

/// The sealed values and MACs of these keys, each of which names its sealing key.
pub(super) fn sealed_parts(set: &KeySet) -> impl Iterator<Item = &[u8]> + Send {
    set.keys.iter().flat_map(|record| [record.sealed.as_deref(), record.mac.as_deref()]).flatten()
}
