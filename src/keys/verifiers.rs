//! The verifiers that watch the trust bundle at this replica, and the change that each holds.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::model::{ChangeSequence, Held, Source};

/// The verifiers that watch.
#[derive(Debug, Default)]
pub struct Verifiers(Mutex<Watching>);

#[derive(Debug, Default)]
struct Watching {
    last_watch: u64,
    by_name: HashMap<Name, Verifier>,
    /// The number of verifiers by source.
    by_source: HashMap<Source, usize>,
}

/// The name of a verifier, or the number of a watch without a name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Name {
    Own(String),
    Watch(u64),
}

#[derive(Debug, Clone, Copy)]
struct Verifier {
    /// The number of its latest watch. Earlier watches that have not ended yet do not count.
    watch: u64,
    held: ChangeSequence,
    source: Option<Source>,
}

/// The limits of verifiers that watch.
#[derive(Debug, Clone, Copy)]
pub struct VerifierCaps {
    /// The limit of all verifiers.
    pub all: usize,
    /// The limit of verifiers from one source: they need no credential, and one source must not take every place.
    pub of_one_source: usize,
}

/// A watch of a verifier, which counts until it is dropped.
#[derive(Debug)]
pub struct Watch {
    verifiers: Arc<Verifiers>,
    name: Name,
    number: u64,
}

/// The limit of watches is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the limit of verifiers that watch is reached")]
pub struct TooManyWatches;

impl Verifiers {
    /// Begins a watch of the verifier `name`, or of a verifier without a name, that holds `held` and calls from `source`.
    ///
    /// # Errors
    /// When a limit of `caps` is reached.
    pub fn begin(
        self: &Arc<Self>,
        name: Option<String>,
        held: ChangeSequence,
        source: Option<Source>,
        caps: VerifierCaps,
    ) -> Result<Watch, TooManyWatches> {
        let mut watching = self.lock();
        let number = watching.last_watch + 1;
        let name = name.map_or(Name::Watch(number), Name::Own);
        // A verifier that watches again already has its place.
        if !watching.by_name.contains_key(&name) {
            let of_source =
                source.and_then(|source| watching.by_source.get(&source)).copied().unwrap_or_default();
            if watching.by_name.len() >= caps.all || of_source >= caps.of_one_source {
                return Err(TooManyWatches);
            }
        }
        watching.last_watch = number;
        watching.remove(&name);
        watching.insert(name.clone(), Verifier { watch: number, held, source });
        Ok(Watch { verifiers: Arc::clone(self), name, number })
    }

    /// The number of verifiers by the change that they hold. Changes after `last` count as `last`, because they are not changes of keys.
    pub fn held(&self, last: ChangeSequence) -> Vec<Held> {
        let mut counts = BTreeMap::new();
        for verifier in self.lock().by_name.values() {
            *counts.entry(verifier.held.min(last).0).or_insert(0_u32) += 1;
        }
        counts.into_iter().map(|(sequence, count)| Held { sequence, count }).collect()
    }

    /// The number of verifiers that watch.
    pub fn count(&self) -> usize {
        self.lock().by_name.len()
    }

    fn lock(&self) -> MutexGuard<'_, Watching> {
        // No code panics while it holds the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watching {
    fn insert(&mut self, name: Name, verifier: Verifier) {
        if let Some(source) = verifier.source {
            *self.by_source.entry(source).or_default() += 1;
        }
        self.by_name.insert(name, verifier);
    }

    fn remove(&mut self, name: &Name) {
        let source = self.by_name.remove(name).and_then(|verifier| verifier.source);
        if let Some(source) = source
            && let Some(count) = self.by_source.get_mut(&source)
        {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.by_source.remove(&source);
            }
        }
    }
}

impl Watch {
    /// Records that the verifier holds the change `held`.
    pub fn acknowledge(&self, held: ChangeSequence) {
        if let Some(verifier) = self.verifiers.lock().by_name.get_mut(&self.name)
            && verifier.watch == self.number
        {
            verifier.held = held;
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut watching = self.verifiers.lock();
        if watching.by_name.get(&self.name).is_some_and(|verifier| verifier.watch == self.number) {
            watching.remove(&self.name);
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::*;

    const fn at(sequence: i64) -> ChangeSequence {
        ChangeSequence(sequence)
    }

    const TWO: VerifierCaps = VerifierCaps { all: 2, of_one_source: 2 };

    #[test]
    fn one_source_cannot_take_every_place() {
        let verifiers = Arc::new(Verifiers::default());
        let caps = VerifierCaps { all: 3, of_one_source: 2 };
        let of = |text: &str| Some(Source::of(text.parse().unwrap()));
        let named = || Some("gateway".to_owned());
        let begin = |name, source| verifiers.begin(name, at(1), source, caps);
        let (first, _second) =
            (begin(named(), of("10.0.0.1")).unwrap(), begin(None, of("::ffff:10.0.0.1")).unwrap());
        assert_eq!(begin(None, of("10.0.0.1")).unwrap_err(), TooManyWatches);
        // A verifier that watches again takes no other place, even from another source.
        let again = begin(named(), of("10.0.0.2")).unwrap();
        drop(first);
        let _third = begin(None, of("10.0.0.1")).unwrap();
        assert_eq!(begin(None, of("10.0.0.3")).unwrap_err(), TooManyWatches, "of all");
        drop(again);
        let last = begin(None, of("10.0.0.3")).unwrap();
        drop((_second, _third, last));
        let watching = verifiers.lock();
        assert!(watching.by_name.is_empty() && watching.by_source.is_empty());
    }

    #[test]
    fn a_verifier_counts_once_however_often_it_watches() {
        let verifiers = Arc::new(Verifiers::default());
        let named = || Some("gateway".to_owned());
        let first = verifiers.begin(named(), at(1), None, TWO).unwrap();
        let second = verifiers.begin(named(), at(2), None, TWO).unwrap();
        first.acknowledge(at(9));
        assert_eq!(
            verifiers.held(at(99)),
            [Held { sequence: 2, count: 1 }],
            "a watch that was replaced says nothing"
        );
        drop(first);
        assert_eq!(verifiers.count(), 1);
        let nameless = verifiers.begin(None, at(2), None, TWO).unwrap();
        assert_eq!(verifiers.held(at(99)), [Held { sequence: 2, count: 2 }]);
        assert_eq!(verifiers.begin(None, at(0), None, TWO).unwrap_err(), TooManyWatches);
        let again = verifiers.begin(named(), at(0), None, TWO).unwrap();
        again.acknowledge(at(3));
        assert_eq!(verifiers.held(at(99)), [Held { sequence: 2, count: 1 }, Held { sequence: 3, count: 1 }]);
        assert_eq!(verifiers.held(at(2)), [Held { sequence: 2, count: 2 }], "what came after 2 was no key");
        drop((second, nameless, again));
        assert_eq!(verifiers.held(at(99)), []);
    }
}
