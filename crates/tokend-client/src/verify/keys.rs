//! The public keys of a tokend server: an immutable snapshot.

use std::{
    collections::HashSet,
    fmt,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use tokend_jose::PublicKeySet;

/// The keys at one time.
#[derive(Default)]
pub(super) struct Keys {
    pub(super) set: PublicKeySet,
    /// The ids of revoked keys. They are few, and are kept.
    pub(super) revoked: HashSet<String>,
    /// Differs between any two snapshots, so that a cached token is verified again after each change.
    pub(super) generation: u64,
    /// The text of the set.
    json: String,
}

impl Keys {
    /// The snapshot with the keys in `json`; none if it has them already.
    ///
    /// # Errors
    /// When `json` is not a JWK set. The text contains nothing of the keys.
    pub(super) fn with_set(&self, json: &str) -> Result<Option<Self>, String> {
        if self.generation > 0 && self.json == json {
            return Ok(None);
        }
        let (set, revoked) = (PublicKeySet::published(json.as_bytes())?, self.revoked.clone());
        Ok(Some(Self { set, revoked, generation: next_generation(), json: json.to_owned() }))
    }

    /// The snapshot in which the key with this id is revoked.
    ///
    /// # Errors
    /// When the set cannot be read again, which it was before.
    pub(super) fn with_revoked(&self, key_id: String) -> Result<Self, String> {
        let mut revoked = self.revoked.clone();
        revoked.insert(key_id);
        let json = self.json.clone();
        let set =
            if json.is_empty() { PublicKeySet::default() } else { PublicKeySet::published(json.as_bytes())? };
        Ok(Self { set, revoked, generation: next_generation(), json })
    }
}

fn next_generation() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Relaxed) + 1
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("set", &self.set).field("revoked", &self.revoked).finish_non_exhaustive()
    }
}
