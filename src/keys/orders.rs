//! What operators ask of the keys: to make, take in, rotate and revoke them.

use super::{Keeper, KeyError, make};
use crate::{
    jose::ImportedKey,
    model::{
        Algorithm, KeyChange, KeyId, KeyRecord, KeyRevocation, KeySet, KeyState, KeyUsage, UnixTime, redact,
    },
};

/// How many retired keys of an algorithm there may be before another rotation ahead of time is refused: they all stand in
/// the JWK set until their tokens have expired.
const MOST_RETIRED: usize = 64;

/// How many keys there may be that only verify: each costs every reader of the JWK set.
const MOST_VERIFYING: usize = 256;

/// How often an order is decided anew because another replica was faster. Each time another one made a change, so that
/// meeting this bound takes a store that does nothing else.
const ATTEMPTS: usize = 16;

/// How an imported key is to be used.
#[derive(Debug, Clone)]
pub(crate) struct ImportTerms {
    /// The id to give to it.
    pub(crate) key_id: Option<KeyId>,
    /// What it may be used for; none means what it can.
    pub(crate) usage: Option<KeyUsage>,
    /// The only issuer whose tokens it verifies, if it is another than this one.
    pub(crate) issuer: Option<String>,
}

/// What an operator asks.
enum Order<'o> {
    Create(Algorithm),
    Import(&'o [ImportedKey], ImportTerms),
    Rotate(Algorithm, bool),
    Revoke { key_id: &'o KeyId, reason: &'o str, by: &'o str },
}

impl Keeper {
    /// The algorithm that was named, or the default one.
    pub(crate) fn algorithm(&self, named: Option<Algorithm>) -> Result<Algorithm, KeyError> {
        named.or_else(|| self.settings().algorithms.first().copied()).ok_or(KeyError::NotFound)
    }

    /// Makes a fresh pending key, in place of the one there may be.
    pub(crate) async fn create(&self, algorithm: Algorithm) -> Result<KeyRecord, KeyError> {
        one(self.carry_out(Order::Create(algorithm)).await?)
    }

    /// Takes in keys from elsewhere, all of them or none.
    pub(crate) async fn import(
        &self,
        keys: &[ImportedKey],
        terms: &ImportTerms,
    ) -> Result<Vec<KeyRecord>, KeyError> {
        let mut terms = terms.clone();
        if keys.len() > 1 {
            // Of an algorithm one key is next to sign; and an id is for one key.
            let field = match &terms {
                ImportTerms { key_id: Some(_), .. } => Some("key_id"),
                ImportTerms { usage: Some(KeyUsage::SignAndVerify), .. } => Some("usage"),
                _ => None,
            };
            if let Some(field) = field {
                let problem = "must not be given for a set of several keys, which verify only";
                return Err(KeyError::refused(field, problem));
            }
            terms.usage = Some(KeyUsage::VerifyOnly);
        }
        self.carry_out(Order::Import(keys, terms)).await
    }

    /// Has the pending key sign as soon as it may, or as soon as every replica has it; makes one if there is none. Answers
    /// the next or now active key, and the one before it.
    pub(crate) async fn rotate(
        &self,
        algorithm: Algorithm,
        immediately: bool,
    ) -> Result<Vec<KeyRecord>, KeyError> {
        self.carry_out(Order::Rotate(algorithm, immediately)).await
    }

    /// Ends a key at once. If it was signing, the pending key signs from now on, however long it has been published; without
    /// one, a fresh key does. One that is revoked already stays as it is.
    pub(crate) async fn revoke(&self, key_id: &KeyId, reason: &str, by: &str) -> Result<KeyRecord, KeyError> {
        one(self.carry_out(Order::Revoke { key_id, reason, by }).await?)
    }

    /// Does what was ordered, decided on the keys as they are; decided anew if they have changed meanwhile. Answers the keys
    /// that it concerns.
    async fn carry_out(&self, order: Order<'_>) -> Result<Vec<KeyRecord>, KeyError> {
        for _ in 0..ATTEMPTS {
            self.ring.refresh().await?;
            let set = self.ring.set();
            let now = match (self.guard.now(), &order) {
                (Some(now), _) => now,
                // A leaked key is revoked by whatever clock.
                (None, Order::Revoke { .. }) => self.clock.now(),
                (None, _) => return Err(KeyError::ClockInDoubt),
            };
            let (change, concerned) = match &order {
                Order::Create(algorithm) => self.to_create(&set, *algorithm, now).await?,
                Order::Import(keys, terms) => self.to_import(&set, keys, terms, now)?,
                Order::Rotate(algorithm, immediately) => {
                    self.to_rotate(&set, *algorithm, *immediately, now).await?
                }
                Order::Revoke { key_id, reason, by } => {
                    let revocation = KeyRevocation {
                        time: now,
                        reason: redact(reason).into_owned(),
                        by: (*by).to_owned(),
                    };
                    (self.to_revoke(&set, key_id, revocation, now).await?, vec![(*key_id).clone()])
                }
            };
            let nothing = change.put.is_empty() && change.remove.is_empty();
            if nothing || self.ring.change(&change).await? {
                self.ring.refresh().await?;
                // An order may come before a round that has long been due: what it leaves must be as planned at once.
                self.tend().await?;
                return concerned.iter().map(|key_id| self.stored(key_id)).collect();
            }
        }
        Err(KeyError::Contended)
    }

    async fn to_create(
        &self,
        set: &KeySet,
        algorithm: Algorithm,
        now: UnixTime,
    ) -> Result<(KeyChange, Vec<KeyId>), KeyError> {
        self.must_rotate(algorithm)?;
        let activate = self.turn(set, algorithm, now);
        let record = make::pending(self.ring.sealer(), algorithm, now, activate).await?;
        let key_id = record.key_id.clone();
        Ok((replace_pending(KeyChange::of(set), set, record), vec![key_id]))
    }

    fn to_import(
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
            self.must_be_new(set, &record, key)?;
            key_ids.push(record.key_id.clone());
            change = match record.state {
                KeyState::Pending => replace_pending(change, set, record),
                _ => change.put(record),
            };
        }
        Ok((change, key_ids))
    }

    async fn to_rotate(
        &self,
        set: &KeySet,
        algorithm: Algorithm,
        immediately: bool,
        now: UnixTime,
    ) -> Result<(KeyChange, Vec<KeyId>), KeyError> {
        self.must_rotate(algorithm)?;
        if !self.keeps(algorithm) && set.active(algorithm).is_none() && set.pending(algorithm).is_none() {
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
        // At once is since it was made: that is before it may sign by the plan, and so waits for replicas alone.
        let due = |create: UnixTime| if immediately { create } else { schedule.may_sign(create).max(now) };
        let next = match set.pending(algorithm) {
            Some(pending) => pending.clone().hasten(due(pending.create_time))?,
            None => make::pending(self.ring.sealer(), algorithm, now, due(now)).await?,
        };
        let before = set.active(algorithm).map(|key| key.key_id.clone());
        let concerned = [Some(next.key_id.clone()), before].into_iter().flatten().collect();
        Ok((KeyChange::of(set).put(next), concerned))
    }

    async fn to_revoke(
        &self,
        set: &KeySet,
        key_id: &KeyId,
        revocation: KeyRevocation,
        now: UnixTime,
    ) -> Result<KeyChange, KeyError> {
        let change = KeyChange::of(set);
        // One that is not trusted can be revoked too: that is how its place becomes free again.
        let stored = self.ring.untrusted(key_id).or_else(|| set.get(key_id.as_str()).cloned());
        let record = stored.ok_or(KeyError::NotFound)?;
        let (algorithm, state) = (record.algorithm, record.state);
        if state == KeyState::Revoked {
            return Ok(change);
        }
        let change = change.put(record.revoke(revocation)?);
        match state {
            KeyState::Active => self.heir(change, set, algorithm, now).await,
            KeyState::Pending if self.keeps(algorithm) => {
                let activate = self.turn(set, algorithm, now);
                Ok(change.put(make::pending(self.ring.sealer(), algorithm, now, activate).await?))
            }
            _ => Ok(change),
        }
    }

    /// Somebody signs in place of a revoked key: the pending one, or a fresh one; and the next is published.
    async fn heir(
        &self,
        change: KeyChange,
        set: &KeySet,
        algorithm: Algorithm,
        now: UnixTime,
    ) -> Result<KeyChange, KeyError> {
        if self.is_shared(algorithm) {
            // The next secret is for those to choose who share it.
            return Ok(change);
        }
        let schedule = &self.settings().schedule;
        let ends = schedule.ends(now);
        let heir = match set.pending(algorithm).filter(|key| self.ring.can_sign(&key.key_id)) {
            Some(pending) => pending.clone(),
            None if self.keeps(algorithm) => make::pending(self.ring.sealer(), algorithm, now, now).await?,
            None => return Ok(change),
        };
        let unusable = set.pending(algorithm).filter(|key| key.key_id != heir.key_id);
        let change = unusable.into_iter().fold(change, |change, key| change.remove(&key.key_id));
        let change = change.put(heir.activate(now, Some(ends))?);
        if !self.keeps(algorithm) {
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
                "must not be given for a key that signs: it signs as this issuer only",
            )),
            (KeyUsage::SignAndVerify, Some(octets)) if key.may_sign => {
                self.must_rotate(key.algorithm)?;
                let activate = self.turn(set, key.algorithm, now);
                make::sealed(self.ring.sealer(), key.algorithm, key_id, octets, now, activate)
            }
            (KeyUsage::SignAndVerify, Some(_)) => Err(KeyError::refused(
                "usage",
                "must be to verify only, for the key's `key_ops` do not hold `sign`",
            )),
            (KeyUsage::SignAndVerify, None) => {
                Err(KeyError::refused("usage", "must be to verify only, for the key has no private half"))
            }
            (KeyUsage::VerifyOnly, _) => {
                let mut record = make::verify_only(self.ring.sealer(), key, key_id, now)?;
                record.issuer.clone_from(&terms.issuer);
                Ok(record)
            }
        }
    }

    /// A key that is there already, under this id or another, be it revoked, is not taken in again.
    fn must_be_new(&self, set: &KeySet, record: &KeyRecord, key: &ImportedKey) -> Result<(), KeyError> {
        if let Some(stored) = self.ring.untrusted(&record.key_id) {
            return Err(KeyError::AlreadyThere(stored.key_id, stored.state));
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
                return Err(KeyError::AlreadyThere(stored.key_id.clone(), stored.state));
            }
        }
        Ok(())
    }

    /// When a key that is published now is to sign: when the active one retires, and not before it may.
    fn turn(&self, set: &KeySet, algorithm: Algorithm, now: UnixTime) -> UnixTime {
        let earliest = self.settings().schedule.may_sign(now);
        let retire = set.active(algorithm).and_then(|active| active.retire_time);
        retire.map_or(earliest, |retire| retire.max(earliest))
    }

    fn must_rotate(&self, algorithm: Algorithm) -> Result<(), KeyError> {
        if self.is_shared(algorithm) {
            return Err(KeyError::Shared(algorithm));
        }
        self.ring.blocked().remove(&algorithm).map_or(Ok(()), Err)
    }

    /// The key as it is after a change that was just loaded. It may have gone again.
    fn stored(&self, key_id: &KeyId) -> Result<KeyRecord, KeyError> {
        self.ring.set().get(key_id.as_str()).cloned().ok_or(KeyError::NotFound)
    }
}

/// The one key that an order concerns.
fn one(records: Vec<KeyRecord>) -> Result<KeyRecord, KeyError> {
    records.into_iter().next().ok_or(KeyError::NotFound)
}

/// The pending key that there may be has signed nothing, and makes room.
fn replace_pending(change: KeyChange, set: &KeySet, record: KeyRecord) -> KeyChange {
    let change =
        set.pending(record.algorithm).into_iter().fold(change, |change, key| change.remove(&key.key_id));
    change.put(record)
}
