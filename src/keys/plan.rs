//! The rotation plan: a pure function of the keys, the settings and the time to the next step. Every replica computes the same step, and
//! the first one executes it.

use std::collections::BTreeMap;

use super::{KeyError, RotationSchedule};
use crate::model::{Algorithm, KeyId, KeyRecord, KeySet, KeyState, UnixTime};

/// The settings of the plan.
#[derive(Debug, Clone, Copy)]
pub(super) struct Policy<'p> {
    /// The configured algorithms.
    pub(super) algorithms: &'p [Algorithm],
    /// The algorithm of the shared secret, which is not rotated.
    pub(super) shared: Option<Algorithm>,
    /// The rotation schedule.
    pub(super) schedule: &'p RotationSchedule,
    /// The algorithms whose keys must not be changed, because the row of one of them is not trusted.
    pub(super) blocked: &'p BTreeMap<Algorithm, KeyError>,
}

/// A step of a rotation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum RotationStep {
    /// Generates and publishes the next key of the algorithm, which is activated at this time.
    Publish(Algorithm, UnixTime),
    /// Activates the pending key and retires the active one; publishes the next key if the algorithm is configured.
    Activate(Algorithm),
    /// Retires the active key without a successor.
    Abandon(Algorithm),
    /// Sets or postpones the retirement and the expiry of the active key.
    Extend(KeyId, (UnixTime, UnixTime)),
    /// Deletes a key whose tokens have all expired.
    Remove(KeyId),
}

impl RotationStep {
    /// Its name in the audit log.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Publish(..) => "publish",
            Self::Activate(_) => "activate",
            Self::Abandon(_) => "abandon",
            Self::Extend(..) => "extend",
            Self::Remove(_) => "remove",
        }
    }
}

/// The step that is due at `now`, if any. `may_activate` tells whether a pending key that is due may sign.
pub(super) fn next_step(
    set: &KeySet,
    policy: Policy<'_>,
    now: UnixTime,
    may_activate: impl Fn(&KeyRecord) -> bool,
) -> Option<RotationStep> {
    Algorithm::ALL
        .into_iter()
        .filter(|algorithm| !policy.blocked.contains_key(algorithm))
        .find_map(|algorithm| for_algorithm(set, policy, algorithm, now, &may_activate))
        .or_else(|| {
            set.keys
                .iter()
                .find(|key| is_gone(key, policy, now))
                .map(|key| RotationStep::Remove(key.key_id.clone()))
        })
}

/// Whether a key is pending and its activation time has come.
pub(super) fn is_due(pending: &KeyRecord, now: UnixTime) -> bool {
    pending.state == KeyState::Pending && pending.activate_time.is_some_and(|due| due <= now)
}

fn for_algorithm(
    set: &KeySet,
    policy: Policy<'_>,
    algorithm: Algorithm,
    now: UnixTime,
    may_activate: &impl Fn(&KeyRecord) -> bool,
) -> Option<RotationStep> {
    let Policy { schedule, .. } = policy;
    let configured = policy.algorithms.contains(&algorithm);
    let (active, pending) = (set.active(algorithm), set.pending(algorithm));
    let retire = active.and_then(|key| key.retire_time);

    if policy.shared == Some(algorithm) {
        let ends = active.filter(|key| key.retire_time.is_some_and(|retire| retire < UnixTime::MAX));
        return ends.map(|key| RotationStep::Extend(key.key_id.clone(), (UnixTime::MAX, UnixTime::MAX)));
    }
    // A secret without a planned end is, or was, the shared secret. Only an operator rotates it.
    let unplanned = algorithm.is_symmetric() && active.is_some_and(|key| key.retire_time.is_none());
    if unplanned && pending.is_none() {
        return None;
    }
    if let Some(key) = active.filter(|key| !unplanned && !is_planned(key, schedule)) {
        // A key of the first release, or `retire_window` is longer than when the key was activated.
        let begun = key.activate_time.unwrap_or(key.create_time);
        let ends = schedule.ends_at(retire.unwrap_or_else(|| schedule.ends(begun).0.max(now)));
        return Some(RotationStep::Extend(key.key_id.clone(), ends));
    }
    let outlived = !configured && retire.is_some_and(|retire| retire <= now);
    if pending.is_some_and(|key| is_due(key, now) && !outlived && may_activate(key)) {
        return Some(RotationStep::Activate(algorithm));
    }
    if configured && pending.is_none() {
        let earliest = schedule.may_sign(now);
        return Some(RotationStep::Publish(
            algorithm,
            retire.map_or(earliest, |retire| retire.max(earliest)),
        ));
    }
    let (key, retire) = (active?, retire?);
    if configured && retire <= now {
        return Some(RotationStep::Extend(key.key_id.clone(), schedule.postponed(now)));
    }
    (!configured && schedule.abandoned(retire) <= now).then_some(RotationStep::Abandon(algorithm))
}

/// Whether a token of the longest lifetime fits between an active key's retirement and its expiry.
fn is_planned(active: &KeyRecord, schedule: &RotationSchedule) -> bool {
    match (active.retire_time, active.expire_time) {
        (Some(retire), Some(expire)) => expire >= schedule.ends_at(retire).1,
        _ => false,
    }
}

fn is_gone(key: &KeyRecord, policy: Policy<'_>, now: UnixTime) -> bool {
    key.state == KeyState::Retired
        && !policy.blocked.contains_key(&key.algorithm)
        && key.expire_time.is_some_and(|expire| policy.schedule.gone(expire) <= now)
}
