//! The operations of operators on keys: create, import, rotate and revoke.

use super::{KeyError, KeyManager, make};
use crate::{
    jose::ImportedKey,
    model::{
        Algorithm, KeyChange, KeyId, KeyRecord, KeyRevocation, KeySet, KeyState, KeyUsage, UnixTime, redact,
    },
};

/// The limit of retired keys of an algorithm, above which a rotation is rejected: each is in the JWK set until its tokens have expired.
const MOST_RETIRED: usize = 64;

/// The limit of keys that only verify: each is in the JWK set.
const MOST_VERIFYING: usize = 256;

/// The limit of attempts to execute an operation. An attempt fails only when another replica has changed the keys meanwhile.
const ATTEMPTS: usize = 16;

/// The use of an imported key.
#[derive(Debug, Clone)]
pub(crate) struct ImportTerms {
    /// Its id; by default its own `kid` or its thumbprint.
    pub(crate) key_id: Option<KeyId>,
    /// Its usage; by default signing, if it can sign.
    pub(crate) usage: Option<KeyUsage>,
    /// The only issuer whose tokens it verifies, if that is not this server.
    pub(crate) issuer: Option<String>,
}

enum Operation<'o> {
    Create(Algorithm),
    Import(&'o [ImportedKey], ImportTerms),
    Rotate(Algorithm, bool),
    Revoke { key_id: &'o KeyId, reason: &'o str, by: &'o str },
}

impl KeyManager {
    /// The requested algorithm, or the default one.
    pub(crate) fn algorithm(&self, named: Option<Algorithm>) -> Result<Algorithm, KeyError> {
        named.or_else(|| self.settings().algorithms.first().copied()).ok_or(KeyError::NotFound)
    }

    /// Generates a pending key, which replaces any pending key of the algorithm.
    pub(crate) async fn create(&self, algorithm: Algorithm) -> Result<KeyRecord, KeyError> {
        only(self.execute(Operation::Create(algorithm)).await?)
    }

    /// Imports keys, all of them or none.
    pub(crate) async fn import(
        &self,
        keys: &[ImportedKey],
        terms: &ImportTerms,
    ) -> Result<Vec<KeyRecord>, KeyError> {
        let mut terms = terms.clone();
        if keys.len() > 1 {
            // An algorithm has one pending key, and an id belongs to one key.
            let field = match &terms {
                ImportTerms { key_id: Some(_), .. } => Some("key_id"),
                ImportTerms { usage: Some(KeyUsage::SignAndVerify), .. } => Some("usage"),
                _ => None,
            };
            if let Some(field) = field {
                let problem = "must not be set for several keys: the keys of a set only verify";
                return Err(KeyError::refused(field, problem));
            }
            terms.usage = Some(KeyUsage::VerifyOnly);
        }
        self.execute(Operation::Import(keys, terms)).await
    }

    /// Activates the pending key as soon as it may sign, or with `immediately` as soon as every replica holds it. Generates a pending
    /// key if there is none. Returns the pending or now active key, and the key before it.
    pub(crate) async fn rotate(
        &self,
        algorithm: Algorithm,
        immediately: bool,
    ) -> Result<Vec<KeyRecord>, KeyError> {
        self.execute(Operation::Rotate(algorithm, immediately)).await
    }

    /// Revokes a key. If it was active, the pending key is activated at once, however long it has been published; without a pending
    /// key, a new key. A revoked key is left unchanged.
    pub(crate) async fn revoke(&self, key_id: &KeyId, reason: &str, by: &str) -> Result<KeyRecord, KeyError> {
        only(self.execute(Operation::Revoke { key_id, reason, by }).await?)
    }

    /// Executes an operation on the stored keys, and retries it if they were changed meanwhile. Returns the affected keys.
    async fn execute(&self, operation: Operation<'_>) -> Result<Vec<KeyRecord>, KeyError> {
        for _ in 0..ATTEMPTS {
            self.ring.refresh().await?;
            let set = self.ring.set();
            let now = match (self.guard.now(), &operation) {
                (Some(now), _) => now,
                // A leaked key must be revoked even if the clock is in doubt.
                (None, Operation::Revoke { .. }) => self.clock.now(),
                (None, _) => return Err(KeyError::ClockInDoubt),
            };
            let (change, affected) = match &operation {
                Operation::Create(algorithm) => self.plan_create(&set, *algorithm, now).await?,
                Operation::Import(keys, terms) => self.plan_import(&set, keys, terms, now)?,
                Operation::Rotate(algorithm, immediately) => {
                    self.plan_rotate(&set, *algorithm, *immediately, now).await?
                }
                Operation::Revoke { key_id, reason, by } => {
                    let revocation = KeyRevocation {
                        time: now,
                        reason: redact(reason).into_owned(),
                        by: (*by).to_owned(),
                    };
                    (self.plan_revoke(&set, key_id, revocation, now).await?, vec![(*key_id).clone()])
                }
            };
            let nothing = change.put.is_empty() && change.remove.is_empty();
            if nothing || self.ring.change(&change).await? {
                self.ring.refresh().await?;
                // The operation may come before a reconciliation that is due.
                self.reconcile().await?;
                return affected.iter().map(|key_id| self.stored(key_id)).collect();
            }
        }
        Err(KeyError::Contended)
    }

    async fn plan_create(
        &self,
        set: &KeySet,
        algorithm: Algorithm,
        now: UnixTime,
    ) -> Result<(KeyChange, Vec<KeyId>), KeyError> {
        self.check_rotatable(algorithm)?;
        let activate = self.activation_time(set, algorithm, now);
        let record = make::pending(self.ring.sealer(), algorithm, now, activate).await?;
        let key_id = record.key_id.clone();
        Ok((replace_pending(KeyChange::of(set), set, record), vec![key_id]))
    }

    fn plan_import(
        &self,
        set: &KeySet,
        keys: &[ImportedKey],
        terms: &ImportTerms,
        now: UnixTime,
    ) -> Result<(KeyChange, Vec<KeyId>), KeyError> {
        let verifying =
            set.keys.iter().filter(|key| key.usage == KeyUsage::VerifyOnly && key.state.verifies());
        if verifying.count() + keys.len() > MOST_VERIFYING {
            return Err(KeyError::TooManyVerifying(MOST_VERIFYING));
        }
        let mut change = KeyChange::of(set);
        let mut key_ids = Vec::new();
        for key in keys {
            let record = self.imported(set, key, terms, now)?;
            self.check_new(set, &record, key)?;
            key_ids.push(record.key_id.clone());
            change = match record.state {
                KeyState::Pending => replace_pending(change, set, record),
                _ => change.put(record),
            };
        }
        Ok((change, key_ids))
    }

    async fn plan_rotate(
        &self,
        set: &KeySet,
        algorithm: Algorithm,
        immediately: bool,
        now: UnixTime,
    ) -> Result<(KeyChange, Vec<KeyId>), KeyError> {
        self.check_rotatable(algorithm)?;
        if !self.is_configured(algorithm)
            && set.active(algorithm).is_none()
            && set.pending(algorithm).is_none()
        {
            let kept: Vec<&str> = self.settings().algorithms.iter().map(|kept| kept.name()).collect();
            return Err(KeyError::Refused(
                "algorithm".to_owned(),
                format!(
                    "{algorithm} has no key to rotate and is not in the setting `algorithms`, which is {}",
                    kept.join(", ")
                ),
            ));
        }
        if set.of(algorithm, KeyState::Retired).count() >= MOST_RETIRED {
            return Err(KeyError::TooManyRetired(algorithm));
        }
        let schedule = &self.settings().schedule;
        // `immediately` sets a time before the key may sign by the plan: activation then waits for the replicas alone.
        let due = |create: UnixTime| if immediately { create } else { schedule.may_sign(create).max(now) };
        let next = match set.pending(algorithm) {
            Some(pending) => pending.clone().hasten(due(pending.create_time))?,
            None => make::pending(self.ring.sealer(), algorithm, now, due(now)).await?,
        };
        let before = set.active(algorithm).map(|key| key.key_id.clone());
        let affected = [Some(next.key_id.clone()), before].into_iter().flatten().collect();
        Ok((KeyChange::of(set).put(next), affected))
    }

    async fn plan_revoke(
        &self,
        set: &KeySet,
        key_id: &KeyId,
        revocation: KeyRevocation,
        now: UnixTime,
    ) -> Result<KeyChange, KeyError> {
        let change = KeyChange::of(set);
        // A key whose row is not trusted can be revoked, too, which frees its place.
        let stored = self.ring.untrusted(key_id).or_else(|| set.get(key_id.as_str()).cloned());
        let record = stored.ok_or(KeyError::NotFound)?;
        let (algorithm, state) = (record.algorithm, record.state);
        if state == KeyState::Revoked {
            return Ok(change);
        }
        let change = change.put(record.revoke(revocation)?);
        match state {
            KeyState::Active => self.activate_successor(change, set, algorithm, now).await,
            KeyState::Pending if self.is_configured(algorithm) => {
                let activate = self.activation_time(set, algorithm, now);
                Ok(change.put(make::pending(self.ring.sealer(), algorithm, now, activate).await?))
            }
            _ => Ok(change),
        }
    }

    /// Activates the successor of a revoked key, which is the pending key or a new one, and publishes the next pending key.
    async fn activate_successor(
        &self,
        change: KeyChange,
        set: &KeySet,
        algorithm: Algorithm,
        now: UnixTime,
    ) -> Result<KeyChange, KeyError> {
        if self.is_shared(algorithm) {
            // The services that share the secret choose the next one.
            return Ok(change);
        }
        let schedule = &self.settings().schedule;
        let ends = schedule.ends(now);
        let successor = match set.pending(algorithm).filter(|key| self.ring.can_sign(&key.key_id)) {
            Some(pending) => pending.clone(),
            None if self.is_configured(algorithm) => {
                make::pending(self.ring.sealer(), algorithm, now, now).await?
            }
            None => return Ok(change),
        };
        let unusable = set.pending(algorithm).filter(|key| key.key_id != successor.key_id);
        let change = unusable.into_iter().fold(change, |change, key| change.remove(&key.key_id));
        let change = change.put(successor.activate(now, Some(ends))?);
        if !self.is_configured(algorithm) {
            return Ok(change);
        }
        Ok(change.put(make::pending(self.ring.sealer(), algorithm, now, ends.0).await?))
    }

    /// The record for an imported key.
    fn imported(
        &self,
        set: &KeySet,
        key: &ImportedKey,
        terms: &ImportTerms,
        now: UnixTime,
    ) -> Result<KeyRecord, KeyError> {
        let signs = key.private.is_some() && key.may_sign;
        let usage = terms.usage.unwrap_or(match (signs, &terms.issuer) {
            (true, None) => KeyUsage::SignAndVerify,
            _ => KeyUsage::VerifyOnly,
        });
        let key_id = terms.key_id.clone().or_else(|| key.key_id.clone());
        match (usage, &key.private) {
            (KeyUsage::SignAndVerify, Some(_)) if terms.issuer.is_some() => Err(KeyError::refused(
                "issuer",
                "must not be set for a key that signs: it signs as this issuer only",
            )),
            (KeyUsage::SignAndVerify, Some(bytes)) if key.may_sign => {
                self.check_rotatable(key.algorithm)?;
                let activate = self.activation_time(set, key.algorithm, now);
                make::sealed(self.ring.sealer(), key.algorithm, key_id, bytes, now, activate)
            }
            (KeyUsage::SignAndVerify, Some(_)) => Err(KeyError::refused(
                "usage",
                "must be verify-only: the `key_ops` of the key do not contain `sign`",
            )),
            (KeyUsage::SignAndVerify, None) => {
                Err(KeyError::refused("usage", "must be verify-only: the key has no private part"))
            }
            (KeyUsage::VerifyOnly, _) => {
                let mut record = make::verify_only(self.ring.sealer(), key, key_id, now)?;
                record.issuer.clone_from(&terms.issuer);
                Ok(record)
            }
        }
    }

    /// Rejects a key that already exists under this or another id, even if it was revoked.
    fn check_new(&self, set: &KeySet, record: &KeyRecord, key: &ImportedKey) -> Result<(), KeyError> {
        if let Some(stored) = self.ring.untrusted(&record.key_id) {
            return Err(KeyError::AlreadyExists(stored.key_id, stored.state));
        }
        for stored in &set.keys {
            let same_secret = || match (&key.public, &key.private) {
                (None, Some(secret)) if stored.algorithm.is_symmetric() => {
                    make::holds(self.ring.sealer(), stored, secret)
                }
                _ => false,
            };
            let same_public = record.public.is_some() && record.public == stored.public;
            if stored.key_id == record.key_id || same_public || same_secret() {
                return Err(KeyError::AlreadyExists(stored.key_id.clone(), stored.state));
            }
        }
        Ok(())
    }

    /// The time at which a key that is published now is activated: when the active key retires, but not before it may sign.
    fn activation_time(&self, set: &KeySet, algorithm: Algorithm, now: UnixTime) -> UnixTime {
        let earliest = self.settings().schedule.may_sign(now);
        let retire = set.active(algorithm).and_then(|active| active.retire_time);
        retire.map_or(earliest, |retire| retire.max(earliest))
    }

    fn check_rotatable(&self, algorithm: Algorithm) -> Result<(), KeyError> {
        if self.is_shared(algorithm) {
            return Err(KeyError::Shared(algorithm));
        }
        self.ring.blocked().remove(&algorithm).map_or(Ok(()), Err)
    }

    /// The key after a change that was just loaded. It may be deleted already.
    fn stored(&self, key_id: &KeyId) -> Result<KeyRecord, KeyError> {
        self.ring.set().get(key_id.as_str()).cloned().ok_or(KeyError::NotFound)
    }
}

/// The only key that an operation affects.
fn only(records: Vec<KeyRecord>) -> Result<KeyRecord, KeyError> {
    records.into_iter().next().ok_or(KeyError::NotFound)
}

/// Replaces the pending key, which has signed nothing.
fn replace_pending(change: KeyChange, set: &KeySet, record: KeyRecord) -> KeyChange {
    let change =
        set.pending(record.algorithm).into_iter().fold(change, |change, key| change.remove(&key.key_id));
    change.put(record)
}
