//! Keeps the keys as planned, and does what operators ask in between. Every change is decided on the keys as they are,
//! made only if they still are, and decided anew if they are not: of many replicas that do the same, one does it.

use std::{collections::BTreeMap, fmt, sync::Arc};

use super::{
    KeyError, KeyRing, KeySettings, Verifiers, make,
    plan::{Policy, Step, is_due, next_step},
    replicas::Laggards,
};
use crate::{
    audit::{AuditLog, PlannedChange, Target, Text},
    clock::Clock,
    model::{Algorithm, KeyChange, KeyId, KeyRecord, KeySet, ReplicaReport, UnixTime, VerifiersReady},
    random::{self, RandomError},
    store::{ClockGuard, Store},
};

/// Steps of the plan at once, at the most: more than that is a plan that runs in circles.
const MOST_STEPS: usize = 256;

/// Keeps the keys.
pub struct Keeper {
    pub(super) store: Arc<Store>,
    pub(super) ring: Arc<KeyRing>,
    pub(super) clock: Arc<dyn Clock>,
    /// Says whether the clock may be relied on.
    pub(super) guard: Arc<ClockGuard>,
    replica_id: String,
    verifiers: Arc<Verifiers>,
    laggards: Laggards,
    audit: Arc<AuditLog>,
    /// What was reported last. Held while reporting.
    reported: tokio::sync::Mutex<Option<ReplicaReport>>,
}

impl Keeper {
    /// Keeps the keys of `ring`, for the verifiers that watch here; what it does by itself is audited.
    ///
    /// # Errors
    /// When no name for this replica can be made.
    pub fn new(
        store: Arc<Store>,
        ring: Arc<KeyRing>,
        verifiers: Arc<Verifiers>,
        clock: Arc<dyn Clock>,
        guard: Arc<ClockGuard>,
        audit: Arc<AuditLog>,
    ) -> Result<Self, RandomError> {
        Ok(Self {
            store,
            ring,
            clock,
            guard,
            replica_id: random::text::<12>()?,
            verifiers,
            laggards: Laggards::default(),
            audit,
            reported: tokio::sync::Mutex::new(None),
        })
    }

    /// Does all that is due, unless the clock is in doubt: a step that a wrong clock made cannot be taken back. It asks the store
    /// only if something is due.
    ///
    /// # Errors
    /// When the store fails or a key cannot be made; what was done until then is done.
    pub async fn tend(&self) -> Result<(), KeyError> {
        for _ in 0..MOST_STEPS {
            if !self.take_step().await? {
                break;
            }
        }
        Ok(())
    }

    /// Tells the other replicas what this one and its verifiers hold, if that has changed.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn report(&self) -> Result<(), KeyError> {
        let mut reported = self.reported.lock().await;
        let held = self.ring.set().sequence;
        let verifiers = self.verifiers.held(held);
        let report = ReplicaReport { replica_id: self.replica_id.clone(), held, verifiers };
        if reported.as_ref() != Some(&report) {
            self.store.report_replica(&report).await?;
            *reported = Some(report);
        }
        Ok(())
    }

    /// Takes the report back: this replica stops.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn leave(&self) -> Result<(), KeyError> {
        Ok(self.store.forget_replica(&self.replica_id).await?)
    }

    /// Every key as the store has it, and what the replicas hold.
    pub(crate) async fn list(&self) -> Result<(KeySet, Vec<ReplicaReport>), KeyError> {
        self.report().await?;
        Ok((self.store.keys().await?, self.store.replicas().await?))
    }

    /// Why this replica cannot use a key as it should.
    pub(crate) fn problem(&self, key_id: &KeyId) -> Option<String> {
        self.ring.problem(key_id)
    }

    /// Takes the next step of the plan; whether there was one.
    async fn take_step(&self) -> Result<bool, KeyError> {
        let Some(now) = self.guard.now() else { return Ok(false) };
        let set = self.ring.set();
        let ready = self.may_activate(&set, now).await?;
        let may_activate = |key: &KeyRecord| ready.contains(&key.key_id);
        let blocked = self.ring.blocked();
        let Some(step) = next_step(&set, self.policy(&blocked), now, may_activate) else { return Ok(false) };
        let change = self.change_for(&set, &step, now).await?;
        if self.ring.change(&change).await? {
            tracing::info!(?step, "keys changed as planned");
            let keys = change.remove.iter().chain(change.put.iter().map(|key| &key.key_id));
            let targets = keys.map(|key_id| Target::Key(Text::of(key_id.as_str()))).collect();
            self.audit.planned(PlannedChange { step: step.name(), targets });
        }
        // Made here or, faster, elsewhere.
        self.ring.refresh().await?;
        Ok(true)
    }

    fn policy<'p>(&'p self, blocked: &'p BTreeMap<Algorithm, KeyError>) -> Policy<'p> {
        let KeySettings { algorithms, schedule, .. } = self.settings();
        Policy { algorithms, shared: self.ring.shared(), schedule, blocked }
    }

    pub(super) fn settings(&self) -> &KeySettings {
        self.ring.settings()
    }

    pub(super) fn keeps(&self, algorithm: Algorithm) -> bool {
        self.settings().algorithms.contains(&algorithm)
    }

    /// Whether the algorithm's key holds a secret that others share, which is not this server's to change.
    pub(super) fn is_shared(&self, algorithm: Algorithm) -> bool {
        self.ring.shared() == Some(algorithm)
    }

    async fn change_for(&self, set: &KeySet, step: &Step, now: UnixTime) -> Result<KeyChange, KeyError> {
        let schedule = &self.settings().schedule;
        let change = KeyChange::of(set);
        let find = |key_id: &KeyId| set.get(key_id.as_str()).cloned().ok_or(KeyError::NotFound);
        Ok(match step {
            Step::Publish(algorithm, activate) => {
                change.put(make::pending(self.ring.sealer(), *algorithm, now, *activate).await?)
            }
            Step::Activate(algorithm) => self.succeed(change, set, *algorithm, now).await?,
            Step::Abandon(algorithm) => {
                let retired = set.active(*algorithm).cloned().ok_or(KeyError::NotFound)?;
                let change = change.put(retired.retire(now, schedule.retire_window())?);
                set.pending(*algorithm).into_iter().fold(change, |change, key| change.remove(&key.key_id))
            }
            Step::Extend(key_id, (retire, expire)) => {
                let mut record = find(key_id)?.extend(*retire, *expire)?;
                if record.public.is_none() {
                    // A replica that cannot open the key leaves this to one that can.
                    record.public = make::public_half(self.ring.sealer(), &record).unwrap_or_default();
                }
                change.put(record)
            }
            Step::Remove(key_id) => change.remove(key_id),
        })
    }

    /// The pending key signs, the active one retires, and the next is published if the algorithm is kept.
    pub(super) async fn succeed(
        &self,
        mut change: KeyChange,
        set: &KeySet,
        algorithm: Algorithm,
        now: UnixTime,
    ) -> Result<KeyChange, KeyError> {
        let schedule = &self.settings().schedule;
        if let Some(active) = set.active(algorithm) {
            change = change.put(active.clone().retire(now, schedule.retire_window())?);
        }
        let ends = schedule.ends(now);
        let pending = set.pending(algorithm).cloned().ok_or(KeyError::NotFound)?;
        change = change.put(pending.activate(now, Some(ends))?);
        if self.keeps(algorithm) {
            change = change.put(make::pending(self.ring.sealer(), algorithm, now, ends.0).await?);
        }
        Ok(change)
    }

    /// The pending keys that are due and may sign: this replica can sign with them, and those who have to know them do.
    async fn may_activate(&self, set: &KeySet, now: UnixTime) -> Result<Vec<KeyId>, KeyError> {
        let due: Vec<&KeyRecord> = set.keys.iter().filter(|key| is_due(key, now)).collect();
        let mut ready = Vec::new();
        for key in due {
            if self.ring.can_sign(&key.key_id) && self.is_known(key, now).await? {
                ready.push(key.key_id.clone());
            }
        }
        Ok(ready)
    }

    /// Whether those know a due key who have to: for one that is to sign before it was published for long enough, every
    /// replica that lives; for any other, the verifiers that watch, as far as the settings say to wait for them.
    async fn is_known(&self, key: &KeyRecord, now: UnixTime) -> Result<bool, KeyError> {
        let schedule = &self.settings().schedule;
        let due = key.activate_time.unwrap_or(now);
        if due < schedule.may_sign(key.create_time) {
            self.report().await?;
            let reports = self.store.replicas().await?;
            return match self.laggards.all_hold(&reports, &self.replica_id, key.publish_sequence, now) {
                Ok(gone) => {
                    for replica_id in gone {
                        tracing::warn!(
                            replica_id,
                            "a replica has not followed a change of the keys, and is taken for gone"
                        );
                        self.store.forget_replica(&replica_id).await?;
                    }
                    Ok(true)
                }
                Err(()) => Ok(false),
            };
        }
        if schedule.patience(due) <= now {
            return Ok(true);
        }
        self.report().await?;
        Ok(VerifiersReady::count(&self.store.replicas().await?, key.publish_sequence).all())
    }
}

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keeper").field("replica_id", &self.replica_id).finish_non_exhaustive()
    }
}
