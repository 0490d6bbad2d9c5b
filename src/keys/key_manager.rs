//! The key manager: rotates keys by the plan, and executes the operations of operators (`operations.rs`). Each change is computed from
//! the stored keys and written only if the stored keys have not changed since (compare-and-swap): of several replicas that compute the
//! same change, one writes it.

use std::{collections::BTreeMap, fmt, sync::Arc};

use super::{
    KeyError, KeyRing, KeySettings, Verifiers, make,
    plan::{Policy, RotationStep, is_due, next_step},
    replicas::LaggingReplicas,
};
use crate::{
    audit::{AuditLog, PlannedChange, Target, Text},
    clock::Clock,
    model::{Algorithm, KeyChange, KeyId, KeyRecord, KeySet, ReplicaReport, UnixTime, VerifiersReady},
    random::{self, RandomError},
    store::{ClockGuard, Store},
};

/// The limit of steps in one reconciliation: more would be a plan that does not converge.
const MOST_STEPS: usize = 256;

/// Rotates the signing keys.
pub struct KeyManager {
    pub(super) store: Arc<Store>,
    pub(super) ring: Arc<KeyRing>,
    pub(super) clock: Arc<dyn Clock>,
    /// Reports whether the clock is trusted.
    pub(super) guard: Arc<ClockGuard>,
    replica_id: String,
    verifiers: Arc<Verifiers>,
    lagging: LaggingReplicas,
    audit: Arc<AuditLog>,
    /// The last report that the store has. Locked while reporting.
    reported: tokio::sync::Mutex<Option<ReplicaReport>>,
}

impl KeyManager {
    /// Manages the keys of `ring`, for the verifiers that watch at this replica. Rotations are written to `audit`.
    ///
    /// # Errors
    /// When the random number generator fails, which names this replica.
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
            lagging: LaggingReplicas::default(),
            audit,
            reported: tokio::sync::Mutex::new(None),
        })
    }

    /// Executes every step of the plan that is due, unless the clock is in doubt: a step that a wrong clock caused cannot be undone.
    /// Reads the store only if a step is due.
    ///
    /// # Errors
    /// When the store fails or a key cannot be generated. Steps before that are done.
    pub async fn reconcile(&self) -> Result<(), KeyError> {
        for _ in 0..MOST_STEPS {
            if !self.execute_next_step().await? {
                break;
            }
        }
        Ok(())
    }

    /// Reports to the other replicas which keys this replica and its verifiers hold, if that has changed.
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

    /// The id of this replica.
    pub fn replica_id(&self) -> &str {
        &self.replica_id
    }

    /// Deletes the report of this replica, which is about to stop.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn deregister(&self) -> Result<(), KeyError> {
        Ok(self.store.forget_replica(&self.replica_id).await?)
    }

    /// Every stored key, and the reports of the replicas.
    pub(crate) async fn list(&self) -> Result<(KeySet, Vec<ReplicaReport>), KeyError> {
        self.report().await?;
        Ok((self.store.keys().await?, self.store.replicas().await?))
    }

    /// The reason why this replica cannot use a key, if it cannot.
    pub(crate) fn problem(&self, key_id: &KeyId) -> Option<String> {
        self.ring.problem(key_id)
    }

    /// Executes the next step of the plan. Returns whether there was one.
    async fn execute_next_step(&self) -> Result<bool, KeyError> {
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
        // The step was executed here or by another replica.
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

    pub(super) fn is_configured(&self, algorithm: Algorithm) -> bool {
        self.settings().algorithms.contains(&algorithm)
    }

    /// Whether the algorithm's key is the shared secret, which this server must not rotate.
    pub(super) fn is_shared(&self, algorithm: Algorithm) -> bool {
        self.ring.shared() == Some(algorithm)
    }

    async fn change_for(
        &self,
        set: &KeySet,
        step: &RotationStep,
        now: UnixTime,
    ) -> Result<KeyChange, KeyError> {
        let schedule = &self.settings().schedule;
        let change = KeyChange::of(set);
        let find = |key_id: &KeyId| set.get(key_id.as_str()).cloned().ok_or(KeyError::NotFound);
        Ok(match step {
            RotationStep::Publish(algorithm, activate) => {
                change.put(make::pending(self.ring.sealer(), *algorithm, now, *activate).await?)
            }
            RotationStep::Activate(algorithm) => self.activate_pending(change, set, *algorithm, now).await?,
            RotationStep::Abandon(algorithm) => {
                let retired = set.active(*algorithm).cloned().ok_or(KeyError::NotFound)?;
                let change = change.put(retired.retire(now, schedule.retire_window())?);
                set.pending(*algorithm).into_iter().fold(change, |change, key| change.remove(&key.key_id))
            }
            RotationStep::Extend(key_id, (retire, expire)) => {
                let mut record = find(key_id)?.extend(*retire, *expire)?;
                if record.public.is_none() {
                    // A replica that cannot unseal the key leaves this to a replica that can.
                    record.public = make::public_half(self.ring.sealer(), &record).unwrap_or_default();
                }
                change.put(record)
            }
            RotationStep::Remove(key_id) => change.remove(key_id),
        })
    }

    /// Activates the pending key, retires the active one, and publishes the next one if the algorithm is configured.
    async fn activate_pending(
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
        if self.is_configured(algorithm) {
            change = change.put(make::pending(self.ring.sealer(), algorithm, now, ends.0).await?);
        }
        Ok(change)
    }

    /// The pending keys that are due and may sign: this replica can sign with them, and the replicas or verifiers hold them.
    async fn may_activate(&self, set: &KeySet, now: UnixTime) -> Result<Vec<KeyId>, KeyError> {
        let due: Vec<&KeyRecord> = set.keys.iter().filter(|key| is_due(key, now)).collect();
        let mut ready = Vec::new();
        for key in due {
            if self.ring.can_sign(&key.key_id) && self.is_distributed(key, now).await? {
                ready.push(key.key_id.clone());
            }
        }
        Ok(ready)
    }

    /// Whether a due key is held where it must be: a key that is to sign before `publish_ahead` has passed by every live replica; any
    /// other key by the verifiers that watch, until `await_verifiers` has passed.
    async fn is_distributed(&self, key: &KeyRecord, now: UnixTime) -> Result<bool, KeyError> {
        let schedule = &self.settings().schedule;
        let due = key.activate_time.unwrap_or(now);
        if due < schedule.may_sign(key.create_time) {
            self.report().await?;
            let reports = self.store.replicas().await?;
            return match self.lagging.all_hold(&reports, &self.replica_id, key.publish_sequence, now) {
                Ok(gone) => {
                    for replica_id in gone {
                        tracing::warn!(
                            replica_id,
                            "a replica has not loaded a change of the keys, and is treated as gone"
                        );
                        self.store.forget_replica(&replica_id).await?;
                    }
                    Ok(true)
                }
                Err(()) => Ok(false),
            };
        }
        if schedule.await_verifiers_until(due) <= now {
            return Ok(true);
        }
        self.report().await?;
        Ok(VerifiersReady::count(&self.store.replicas().await?, key.publish_sequence).all())
    }
}

impl fmt::Debug for KeyManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyManager").field("replica_id", &self.replica_id).finish_non_exhaustive()
    }
}
