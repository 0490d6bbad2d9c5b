//! A memory that is bounded in number, in octets and in age, and of which each caller has a share. No step of it grows with what
//! is in it by more than its logarithm.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use super::ticket::{Fingerprint, Name};
use crate::model::{ClientId, UnixTime};

/// What an entry takes besides its answer, roughly: its name three times, and its places in the maps.
const OVERHEAD: usize = 512;
/// How many that are too old go with each new one: more than one, so that they do not pile up.
const SWEEP: usize = 4;

/// How much is kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// For how long.
    pub(super) window: Duration,
    /// How many answers.
    pub(super) answers: usize,
    /// How many octets.
    pub(super) bytes: usize,
    /// Into how many shares both are cut, of which a caller has one.
    pub(super) shares: usize,
}

/// Another request has the name.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reused;

/// Where a request's answer is, or will be.
#[derive(Debug)]
pub(super) struct Place<V> {
    /// Which of the entries it is.
    pub(super) number: u64,
    pub(super) value: V,
}

/// Remembers values by name.
#[derive(Debug)]
pub(super) struct Memory<V> {
    bounds: Bounds,
    next: u64,
    bytes: usize,
    entries: HashMap<Arc<Name>, Entry<V>>,
    /// From the oldest to the newest.
    by_age: BTreeMap<u64, Arc<Name>>,
    callers: HashMap<ClientId, Share>,
}

#[derive(Debug)]
struct Entry<V> {
    number: u64,
    first_time: UnixTime,
    fingerprint: Fingerprint,
    bytes: usize,
    value: V,
}

/// What one caller takes.
#[derive(Debug, Default)]
struct Share {
    /// From the oldest to the newest.
    numbers: BTreeSet<u64>,
    bytes: usize,
}

impl<V: Clone> Memory<V> {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            next: 0,
            bytes: 0,
            entries: HashMap::new(),
            by_age: BTreeMap::new(),
            callers: HashMap::new(),
        }
    }

    /// The place of a request: the one that it had before, or a new one. What has to go for it is added to `gone`, for whoever has
    /// left the lock to drop.
    pub(super) fn place(
        &mut self,
        name: &Name,
        fingerprint: &Fingerprint,
        now: UnixTime,
        make: impl FnOnce() -> V,
        gone: &mut Vec<V>,
    ) -> Result<Place<V>, Reused> {
        self.sweep(now, SWEEP, gone);
        if let Some(entry) = self.entries.get(name) {
            if !self.is_old(entry, now) {
                let place = Place { number: entry.number, value: entry.value.clone() };
                return if entry.fingerprint == *fingerprint { Ok(place) } else { Err(Reused) };
            }
            let number = entry.number;
            gone.extend(self.remove(number));
        }
        let (number, value) = (self.next, make());
        self.next += 1;
        let entry = Entry {
            number,
            first_time: now,
            fingerprint: *fingerprint,
            bytes: OVERHEAD,
            value: value.clone(),
        };
        let name = Arc::new(name.clone());
        let share = self.callers.entry(name.caller.clone()).or_default();
        share.numbers.insert(number);
        share.bytes += OVERHEAD;
        self.bytes += OVERHEAD;
        self.by_age.insert(number, Arc::clone(&name));
        self.entries.insert(Arc::clone(&name), entry);
        self.keep_within_bounds(&name.caller, gone);
        Ok(Place { number, value })
    }

    /// Says how many octets a value has come to, if it is there still.
    pub(super) fn weigh(&mut self, name: &Name, number: u64, bytes: usize, gone: &mut Vec<V>) {
        let Some(entry) = self.entries.get_mut(name).filter(|entry| entry.number == number) else { return };
        entry.bytes += bytes;
        self.bytes += bytes;
        if let Some(share) = self.callers.get_mut(&name.caller) {
            share.bytes += bytes;
        }
        self.keep_within_bounds(&name.caller, gone);
    }

    /// Forgets a value, if it is there still and `is_unwanted`.
    pub(super) fn forget(
        &mut self,
        name: &Name,
        number: u64,
        is_unwanted: impl FnOnce(&V) -> bool,
    ) -> Option<V> {
        let entry = self.entries.get(name).filter(|entry| entry.number == number)?;
        if is_unwanted(&entry.value) { self.remove(number) } else { None }
    }

    /// Forgets up to `most` of those that are too old.
    pub(super) fn sweep(&mut self, now: UnixTime, most: usize, gone: &mut Vec<V>) {
        for _ in 0..most {
            let Some((&number, name)) = self.by_age.first_key_value() else { return };
            if !self.entries.get(name).is_none_or(|entry| self.is_old(entry, now)) {
                return;
            }
            gone.extend(self.remove(number));
        }
    }

    fn is_old(&self, entry: &Entry<V>, now: UnixTime) -> bool {
        now.since(entry.first_time) >= self.bounds.window
    }

    /// Whoever asks for room makes it of its own share, and only when all shares together are too many of everybody's.
    fn keep_within_bounds(&mut self, caller: &ClientId, gone: &mut Vec<V>) {
        let Bounds { answers, bytes, shares, .. } = self.bounds;
        while let Some(share) = self.callers.get(caller)
            && (share.numbers.len() > answers / shares || share.bytes > bytes / shares)
            && let Some(&oldest) = share.numbers.first()
        {
            gone.extend(self.remove(oldest));
        }
        while (self.by_age.len() > answers || self.bytes > bytes)
            && let Some((&oldest, _)) = self.by_age.first_key_value()
        {
            gone.extend(self.remove(oldest));
        }
    }

    fn remove(&mut self, number: u64) -> Option<V> {
        let name = self.by_age.remove(&number)?;
        let entry = self.entries.remove(&name)?;
        self.bytes = self.bytes.saturating_sub(entry.bytes);
        if let Some(share) = self.callers.get_mut(&name.caller) {
            share.numbers.remove(&number);
            share.bytes = share.bytes.saturating_sub(entry.bytes);
            if share.numbers.is_empty() {
                self.callers.remove(&name.caller);
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

    const BOUNDS: Bounds =
        Bounds { window: Duration::from_secs(10), answers: 12, bytes: 12 * (OVERHEAD + 40), shares: 3 };

    fn name(caller: u8, request_id: u128) -> Name {
        Name { caller: ClientId::parse(format!("client-{caller}")).unwrap(), request_id }
    }

    fn at(seconds: i64) -> UnixTime {
        UnixTime::from_seconds(seconds)
    }

    /// What a caller does.
    #[derive(Debug, Clone)]
    enum Step {
        Ask { caller: u8, request_id: u8, content: u8, bytes: usize },
        Fail { caller: u8, request_id: u8 },
        Wait(i64),
    }

    fn step() -> impl Strategy<Value = Step> {
        let (caller, request_id) = (0..4_u8, 0..8_u8);
        prop_oneof![
            8 => (caller.clone(), request_id.clone(), 0..2_u8, 0..200_usize).prop_map(
                |(caller, request_id, content, bytes)| Step::Ask { caller, request_id, content, bytes }
            ),
            1 => (caller, request_id).prop_map(|(caller, request_id)| Step::Fail { caller, request_id }),
            1 => (0..8_i64).prop_map(Step::Wait),
        ]
    }

    impl Memory<u64> {
        /// What must hold between any two steps.
        fn check(&self) {
            assert!(self.by_age.len() <= BOUNDS.answers && self.bytes <= BOUNDS.bytes);
            assert_eq!(self.by_age.len(), self.entries.len());
            assert_eq!(self.bytes, self.entries.values().map(|entry| entry.bytes).sum::<usize>());
            assert_eq!(self.bytes, self.callers.values().map(|share| share.bytes).sum::<usize>());
            for (caller, share) in &self.callers {
                assert!(!share.numbers.is_empty() && share.numbers.len() <= BOUNDS.answers / BOUNDS.shares);
                assert!(share.bytes <= BOUNDS.bytes / BOUNDS.shares, "{caller}");
                for number in &share.numbers {
                    let name = self.by_age.get(number).unwrap();
                    assert_eq!((&name.caller, self.entries.get(name).unwrap().number), (caller, *number));
                }
            }
        }
    }

    proptest! {
        #[test]
        fn bounds_hold_and_what_is_kept_is_what_was_said(steps in prop::collection::vec(step(), 1..200)) {
            let (mut memory, mut now, mut values) = (Memory::new(BOUNDS), 0, 0_u64);
            // By name: when it was first asked, with what content, and the value.
            let mut first: HashMap<Name, (i64, u8, u64)> = HashMap::new();
            for step in steps {
                let mut gone = Vec::new();
                match step {
                    Step::Ask { caller, request_id, content, bytes } => {
                        let name = name(caller, request_id.into());
                        let made = values + 1;
                        let place = memory.place(&name, &[content; 32], at(now), || made, &mut gone);
                        let known = first.get(&name).copied().filter(|(then, ..)| now - then < 10);
                        match (place, known) {
                            // What was pushed out may be made anew; what is old must be.
                            (Ok(place), known) if place.value == made => {
                                values = made;
                                prop_assert!(known.is_none_or(|(.., value)| value < made));
                                first.insert(name.clone(), (now, content, made));
                                memory.weigh(&name, place.number, bytes, &mut gone);
                            }
                            (Ok(place), known) => prop_assert_eq!(known.map(|(_, c, v)| (c, v)), Some((content, place.value))),
                            (Err(Reused), known) => prop_assert!(known.is_some_and(|(_, c, _)| c != content)),
                        }
                    }
                    Step::Fail { caller, request_id } => {
                        let name = name(caller, request_id.into());
                        if let Some(number) = memory.entries.get(&name).map(|entry| entry.number) {
                            prop_assert!(memory.forget(&name, number, |_| false).is_none());
                            gone.extend(memory.forget(&name, number, |_| true));
                            first.remove(&name);
                        }
                    }
                    Step::Wait(seconds) => {
                        now += seconds;
                        memory.sweep(at(now), usize::MAX, &mut gone);
                        prop_assert!(!memory.entries.values().any(|entry| memory.is_old(entry, at(now))));
                    }
                }
                memory.check();
                // Each value that went is handed out, to be wiped outside of the lock.
                prop_assert!(gone.iter().all(|value| !memory.entries.values().any(|entry| entry.value == *value)));
            }
        }
    }

    #[test]
    fn one_caller_pushes_out_its_own_answers_only() {
        let (mut memory, mut gone) = (Memory::new(BOUNDS), Vec::new());
        let mut ask = |caller, request_id: u128, gone: &mut Vec<u128>| {
            let name = name(caller, request_id);
            memory.place(&name, &[0; 32], at(0), || request_id, gone).unwrap().value
        };
        ask(1, 1, &mut gone);
        for number in 100..1000 {
            ask(2, number, &mut gone);
        }
        assert_eq!(gone, (100..996).collect::<Vec<u128>>());
        assert_eq!(ask(1, 1, &mut gone), 1);
    }

    #[test]
    fn one_answer_too_large_for_a_share_is_not_kept() {
        let (mut memory, mut gone) = (Memory::new(BOUNDS), Vec::new());
        let name = name(1, 1);
        let place = memory.place(&name, &[0; 32], at(0), || 7_u64, &mut gone).unwrap();
        memory.weigh(&name, place.number, BOUNDS.bytes, &mut gone);
        memory.check();
        assert_eq!((gone, memory.bytes), (vec![7], 0));
    }
}
