//! What is to be done with the keys next: a function of the keys, the settings and the time, so that every replica comes
//! to the same answer, and the one who is first does it.

use std::collections::BTreeMap;

use super::{KeyError, RotationSchedule};
use crate::model::{Algorithm, KeyId, KeyRecord, KeySet, KeyState, UnixTime};

/// What the plan is made by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Policy<'p> {
    /// The algorithms to keep.
    pub(super) algorithms: &'p [Algorithm],
    /// The one among them whose secret others share: it is theirs to change, and does not rotate.
    pub(super) shared: Option<Algorithm>,
    /// When things are due.
    pub(super) schedule: &'p RotationSchedule,
    /// The algorithms whose keys stay as they are, for one of them is not trusted.
    pub(super) blocked: &'p BTreeMap<Algorithm, KeyError>,
}

/// The next thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Make the next key of the algorithm and publish it, to sign from the given instant on.
    Publish(Algorithm, UnixTime),
    /// The pending key signs, and the active one retires; with a new pending key if the algorithm is kept.
    Activate(Algorithm),
    /// The active key ceases without a successor.
    Abandon(Algorithm),
    /// The active key's ends are planned, or put off.
    Extend(KeyId, (UnixTime, UnixTime)),
    /// No token of this key can be valid any more.
    Remove(KeyId),
}

impl Step {
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

/// The next thing to do at `now`, if there is any. `may_activate` says whether a pending key that is due may sign.
pub(super) fn next_step(
    set: &KeySet,
    policy: Policy<'_>,
    now: UnixTime,
    may_activate: impl Fn(&KeyRecord) -> bool,
) -> Option<Step> {
    Algorithm::ALL
        .into_iter()
        .filter(|algorithm| !policy.blocked.contains_key(algorithm))
        .find_map(|algorithm| for_algorithm(set, policy, algorithm, now, &may_activate))
        .or_else(|| {
            set.keys.iter().find(|key| is_gone(key, policy, now)).map(|key| Step::Remove(key.key_id.clone()))
        })
}

/// Whether `pending` is due, if nothing holds it up.
pub(super) fn is_due(pending: &KeyRecord, now: UnixTime) -> bool {
    pending.state == KeyState::Pending && pending.activate_time.is_some_and(|due| due <= now)
}

fn for_algorithm(
    set: &KeySet,
    policy: Policy<'_>,
    algorithm: Algorithm,
    now: UnixTime,
    may_activate: &impl Fn(&KeyRecord) -> bool,
) -> Option<Step> {
    let Policy { schedule, .. } = policy;
    let kept = policy.algorithms.contains(&algorithm);
    let (active, pending) = (set.active(algorithm), set.pending(algorithm));
    let retire = active.and_then(|key| key.retire_time);

    if policy.shared == Some(algorithm) {
        let ends = active.filter(|key| key.retire_time.is_some_and(|retire| retire < UnixTime::MAX));
        return ends.map(|key| Step::Extend(key.key_id.clone(), (UnixTime::MAX, UnixTime::MAX)));
    }
    // A secret without a planned end is, or was, shared: who shares it would not follow. It goes when somebody says so.
    let unplanned = algorithm.is_symmetric() && active.is_some_and(|key| key.retire_time.is_none());
    if unplanned && pending.is_none() {
        return None;
    }
    if let Some(key) = active.filter(|key| !unplanned && !is_planned(key, schedule)) {
        // A key of the first release, or a longer window than when it began.
        let begun = key.activate_time.unwrap_or(key.create_time);
        let ends = schedule.ends_at(retire.unwrap_or_else(|| schedule.ends(begun).0.max(now)));
        return Some(Step::Extend(key.key_id.clone(), ends));
    }
    let outlived = !kept && retire.is_some_and(|retire| retire <= now);
    if pending.is_some_and(|key| is_due(key, now) && !outlived && may_activate(key)) {
        return Some(Step::Activate(algorithm));
    }
    if kept && pending.is_none() {
        let earliest = schedule.may_sign(now);
        return Some(Step::Publish(algorithm, retire.map_or(earliest, |retire| retire.max(earliest))));
    }
    let (key, retire) = (active?, retire?);
    if kept && retire <= now {
        return Some(Step::Extend(key.key_id.clone(), schedule.put_off(now)));
    }
    (!kept && schedule.abandoned(retire) <= now).then_some(Step::Abandon(algorithm))
}

/// Whether an active key's ends are such that a token of the longest life fits between them.
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
