//! A map with limits on the number, the bytes and the age of its entries, for all callers together and for each caller. Every operation
//! takes at most logarithmic time.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use super::request_key::{Fingerprint, RequestKey};
use crate::model::{ClientId, UnixTime};

/// The approximate bytes of an entry besides its value: its key three times, and its places in the maps.
const OVERHEAD: usize = 512;
/// How many expired entries are removed for each new one: more than one, so that expired entries do not accumulate.
const SWEEP: usize = 4;

/// The limits of the map.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// The lifetime of an entry.
    pub(super) lifetime: Duration,
    /// The most entries.
    pub(super) entries: usize,
    /// The most bytes.
    pub(super) bytes: usize,
    /// A caller may use this fraction of both: 4 is a quarter.
    pub(super) caller_fraction: usize,
}

/// A different request used the key.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reused;

/// The entry of a request.
#[derive(Debug)]
pub(super) struct Slot<V> {
    /// The entry's number, which no later entry has.
    pub(super) number: u64,
    pub(super) value: V,
}

/// Values by request key.
#[derive(Debug)]
pub(super) struct BoundedMap<V> {
    limits: Limits,
    next_number: u64,
    bytes: usize,
    entries: HashMap<Arc<RequestKey>, Entry<V>>,
    /// Keys by number, oldest first.
    by_age: BTreeMap<u64, Arc<RequestKey>>,
    callers: HashMap<ClientId, CallerUsage>,
}

#[derive(Debug)]
struct Entry<V> {
    number: u64,
    first_time: UnixTime,
    fingerprint: Fingerprint,
    bytes: usize,
    value: V,
}

/// The entries of one caller.
#[derive(Debug, Default)]
struct CallerUsage {
    /// Oldest first.
    numbers: BTreeSet<u64>,
    bytes: usize,
}

impl<V: Clone> BoundedMap<V> {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            next_number: 0,
            bytes: 0,
            entries: HashMap::new(),
            by_age: BTreeMap::new(),
            callers: HashMap::new(),
        }
    }

    /// Returns the slot of a request: the existing one, or a new one. Adds evicted values to `evicted`, so that the caller drops them
    /// after it has released its lock.
    pub(super) fn slot(
        &mut self,
        key: &RequestKey,
        fingerprint: &Fingerprint,
        now: UnixTime,
        make: impl FnOnce() -> V,
        evicted: &mut Vec<V>,
    ) -> Result<Slot<V>, Reused> {
        self.sweep(now, SWEEP, evicted);
        if let Some(entry) = self.entries.get(key) {
            if !self.is_expired(entry, now) {
                let slot = Slot { number: entry.number, value: entry.value.clone() };
                return if entry.fingerprint == *fingerprint { Ok(slot) } else { Err(Reused) };
            }
            let number = entry.number;
            evicted.extend(self.remove(number));
        }
        let (number, value) = (self.next_number, make());
        self.next_number += 1;
        let entry = Entry {
            number,
            first_time: now,
            fingerprint: *fingerprint,
            bytes: OVERHEAD,
            value: value.clone(),
        };
        let key = Arc::new(key.clone());
        let usage = self.callers.entry(key.caller.clone()).or_default();
        usage.numbers.insert(number);
        usage.bytes += OVERHEAD;
        self.bytes += OVERHEAD;
        self.by_age.insert(number, Arc::clone(&key));
        self.entries.insert(Arc::clone(&key), entry);
        self.enforce_limits(&key.caller, evicted);
        Ok(Slot { number, value })
    }

    /// Adds the bytes of a value, unless its entry was evicted.
    pub(super) fn add_bytes(&mut self, key: &RequestKey, number: u64, bytes: usize, evicted: &mut Vec<V>) {
        let Some(entry) = self.entries.get_mut(key).filter(|entry| entry.number == number) else { return };
        entry.bytes += bytes;
        self.bytes += bytes;
        if let Some(usage) = self.callers.get_mut(&key.caller) {
            usage.bytes += bytes;
        }
        self.enforce_limits(&key.caller, evicted);
    }

    /// Removes the entry if its value `is_unwanted`.
    pub(super) fn remove_if(
        &mut self,
        key: &RequestKey,
        number: u64,
        is_unwanted: impl FnOnce(&V) -> bool,
    ) -> Option<V> {
        let entry = self.entries.get(key).filter(|entry| entry.number == number)?;
        if is_unwanted(&entry.value) { self.remove(number) } else { None }
    }

    /// Removes up to `max` expired entries.
    pub(super) fn sweep(&mut self, now: UnixTime, max: usize, evicted: &mut Vec<V>) {
        for _ in 0..max {
            let Some((&number, key)) = self.by_age.first_key_value() else { return };
            if !self.entries.get(key).is_none_or(|entry| self.is_expired(entry, now)) {
                return;
            }
            evicted.extend(self.remove(number));
        }
    }

    fn is_expired(&self, entry: &Entry<V>, now: UnixTime) -> bool {
        now.since(entry.first_time) >= self.limits.lifetime
    }

    /// Evicts entries over the limits: first the oldest of the caller that adds one, then the oldest of all callers.
    fn enforce_limits(&mut self, caller: &ClientId, evicted: &mut Vec<V>) {
        let Limits { entries, bytes, caller_fraction, .. } = self.limits;
        while let Some(usage) = self.callers.get(caller)
            && (usage.numbers.len() > entries / caller_fraction || usage.bytes > bytes / caller_fraction)
            && let Some(&oldest) = usage.numbers.first()
        {
            evicted.extend(self.remove(oldest));
        }
        while (self.by_age.len() > entries || self.bytes > bytes)
            && let Some((&oldest, _)) = self.by_age.first_key_value()
        {
            evicted.extend(self.remove(oldest));
        }
    }

    fn remove(&mut self, number: u64) -> Option<V> {
        let key = self.by_age.remove(&number)?;
        let entry = self.entries.remove(&key)?;
        self.bytes = self.bytes.saturating_sub(entry.bytes);
        if let Some(usage) = self.callers.get_mut(&key.caller) {
            usage.numbers.remove(&number);
            usage.bytes = usage.bytes.saturating_sub(entry.bytes);
            if usage.numbers.is_empty() {
                self.callers.remove(&key.caller);
            }
        }
        Some(entry.value)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: Limits = Limits {
        lifetime: Duration::from_secs(10),
        entries: 12,
        bytes: 12 * (OVERHEAD + 40),
        caller_fraction: 3,
    };

    fn key(caller: u8, request_id: u128) -> RequestKey {
        RequestKey { caller: ClientId::parse(format!("client-{caller}")).unwrap(), request_id }
    }

    fn at(seconds: i64) -> UnixTime {
        UnixTime::from_seconds(seconds)
    }

    /// An action of a caller.
    #[derive(Debug, Clone)]
    enum Action {
        Ask { caller: u8, request_id: u8, content: u8, bytes: usize },
        Fail { caller: u8, request_id: u8 },
        Wait(i64),
    }

    fn action() -> impl Strategy<Value = Action> {
        let (caller, request_id) = (0..4_u8, 0..8_u8);
        prop_oneof![
            8 => (caller.clone(), request_id.clone(), 0..2_u8, 0..200_usize).prop_map(
                |(caller, request_id, content, bytes)| Action::Ask { caller, request_id, content, bytes }
            ),
            1 => (caller, request_id).prop_map(|(caller, request_id)| Action::Fail { caller, request_id }),
            1 => (0..8_i64).prop_map(Action::Wait),
        ]
    }

    impl BoundedMap<u64> {
        /// Checks the invariants.
        fn check(&self) {
            assert!(self.by_age.len() <= LIMITS.entries && self.bytes <= LIMITS.bytes);
            assert_eq!(self.by_age.len(), self.entries.len());
            assert_eq!(self.bytes, self.entries.values().map(|entry| entry.bytes).sum::<usize>());
            assert_eq!(self.bytes, self.callers.values().map(|usage| usage.bytes).sum::<usize>());
            for (caller, usage) in &self.callers {
                assert!(
                    !usage.numbers.is_empty()
                        && usage.numbers.len() <= LIMITS.entries / LIMITS.caller_fraction
                );
                assert!(usage.bytes <= LIMITS.bytes / LIMITS.caller_fraction, "{caller}");
                for number in &usage.numbers {
                    let key = self.by_age.get(number).unwrap();
                    assert_eq!((&key.caller, self.entries.get(key).unwrap().number), (caller, *number));
                }
            }
        }
    }

    proptest! {
        #[test]
        fn the_limits_hold_and_a_kept_value_is_the_first_one(actions in prop::collection::vec(action(), 1..200)) {
            let (mut map, mut now, mut values) = (BoundedMap::new(LIMITS), 0, 0_u64);
            // By key: the time, the content and the value of the first request.
            let mut first: HashMap<RequestKey, (i64, u8, u64)> = HashMap::new();
            for action in actions {
                let mut evicted = Vec::new();
                match action {
                    Action::Ask { caller, request_id, content, bytes } => {
                        let key = key(caller, request_id.into());
                        let made = values + 1;
                        let slot = map.slot(&key, &[content; 32], at(now), || made, &mut evicted);
                        let known = first.get(&key).copied().filter(|(then, ..)| now - then < 10);
                        match (slot, known) {
                            // An evicted value may be made again; an expired one must be.
                            (Ok(slot), known) if slot.value == made => {
                                values = made;
                                prop_assert!(known.is_none_or(|(.., value)| value < made));
                                first.insert(key.clone(), (now, content, made));
                                map.add_bytes(&key, slot.number, bytes, &mut evicted);
                            }
                            (Ok(slot), known) => prop_assert_eq!(known.map(|(_, c, v)| (c, v)), Some((content, slot.value))),
                            (Err(Reused), known) => prop_assert!(known.is_some_and(|(_, c, _)| c != content)),
                        }
                    }
                    Action::Fail { caller, request_id } => {
                        let key = key(caller, request_id.into());
                        if let Some(number) = map.entries.get(&key).map(|entry| entry.number) {
                            prop_assert!(map.remove_if(&key, number, |_| false).is_none());
                            evicted.extend(map.remove_if(&key, number, |_| true));
                            first.remove(&key);
                        }
                    }
                    Action::Wait(seconds) => {
                        now += seconds;
                        map.sweep(at(now), usize::MAX, &mut evicted);
                        prop_assert!(!map.entries.values().any(|entry| map.is_expired(entry, at(now))));
                    }
                }
                map.check();
                // The test holds each evicted value, which is wiped outside the lock.
                prop_assert!(evicted.iter().all(|value| !map.entries.values().any(|entry| entry.value == *value)));
            }
        }
    }

    #[test]
    fn a_caller_evicts_its_own_entries_only() {
        let (mut map, mut evicted) = (BoundedMap::new(LIMITS), Vec::new());
        let mut request = |caller, request_id: u128, evicted: &mut Vec<u128>| {
            let key = key(caller, request_id);
            map.slot(&key, &[0; 32], at(0), || request_id, evicted).unwrap().value
        };
        request(1, 1, &mut evicted);
        for number in 100..1000 {
            request(2, number, &mut evicted);
        }
        assert_eq!(evicted, (100..996).collect::<Vec<u128>>());
        assert_eq!(request(1, 1, &mut evicted), 1);
    }

    #[test]
    fn a_value_larger_than_a_callers_limit_is_not_kept() {
        let (mut map, mut evicted) = (BoundedMap::new(LIMITS), Vec::new());
        let key = key(1, 1);
        let slot = map.slot(&key, &[0; 32], at(0), || 7_u64, &mut evicted).unwrap();
        map.add_bytes(&key, slot.number, LIMITS.bytes, &mut evicted);
        map.check();
        assert_eq!((evicted, map.bytes), (vec![7], 0));
    }
}
