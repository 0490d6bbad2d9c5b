//! The verifiers that watch the trust bundle at this replica, and what each holds.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::model::{ChangeSequence, Held};

/// The verifiers that watch.
#[derive(Debug, Default)]
pub struct Verifiers(Mutex<Watching>);

#[derive(Debug, Default)]
struct Watching {
    last_watch: u64,
    by_name: HashMap<Name, Verifier>,
}

/// A verifier's own name, or the number of a watch without one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Name {
    Own(String),
    Watch(u64),
}

#[derive(Debug, Clone, Copy)]
struct Verifier {
    /// Its latest watch. The ones before it, whose end was not noticed yet, no longer count.
    watch: u64,
    held: ChangeSequence,
}

/// One watch of one verifier, which counts until this is dropped.
#[derive(Debug)]
pub struct Watch {
    verifiers: Arc<Verifiers>,
    name: Name,
    number: u64,
}

/// There are as many watches as there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("as many verifiers watch as may")]
pub struct TooManyWatches;

impl Verifiers {
    /// Begins a watch of the verifier called `name`, or of one without a name, which holds `held`; of at most `most`
    /// verifiers.
    ///
    /// # Errors
    /// When there are that many.
    pub fn begin(
        self: &Arc<Self>,
        name: Option<String>,
        held: ChangeSequence,
        most: usize,
    ) -> Result<Watch, TooManyWatches> {
        let mut watching = self.lock();
        let number = watching.last_watch + 1;
        let name = name.map_or(Name::Watch(number), Name::Own);
        if watching.by_name.len() >= most && !watching.by_name.contains_key(&name) {
            return Err(TooManyWatches);
        }
        watching.last_watch = number;
        watching.by_name.insert(name.clone(), Verifier { watch: number, held });
        Ok(Watch { verifiers: Arc::clone(self), name, number })
    }

    /// How many verifiers hold which change. Of the changes after `last` none is told from another: they are no changes of keys.
    pub fn held(&self, last: ChangeSequence) -> Vec<Held> {
        let mut counts = BTreeMap::new();
        for verifier in self.lock().by_name.values() {
            *counts.entry(verifier.held.min(last).0).or_insert(0_u32) += 1;
        }
        counts.into_iter().map(|(sequence, count)| Held { sequence, count }).collect()
    }

    /// How many verifiers watch.
    pub fn count(&self) -> usize {
        self.lock().by_name.len()
    }

    fn lock(&self) -> MutexGuard<'_, Watching> {
        // Nothing in here can panic half-way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watch {
    /// The verifier holds the change `held`.
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
            watching.by_name.remove(&self.name);
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

    #[test]
    fn a_verifier_counts_once_however_often_it_watches() {
        let verifiers = Arc::new(Verifiers::default());
        let named = || Some("gateway".to_owned());
        let first = verifiers.begin(named(), at(1), 2).unwrap();
        let second = verifiers.begin(named(), at(2), 2).unwrap();
        first.acknowledge(at(9));
        assert_eq!(
            verifiers.held(at(99)),
            [Held { sequence: 2, count: 1 }],
            "a watch that was replaced says nothing"
        );
        drop(first);
        assert_eq!(verifiers.count(), 1);
        let nameless = verifiers.begin(None, at(2), 2).unwrap();
        assert_eq!(verifiers.held(at(99)), [Held { sequence: 2, count: 2 }]);
        assert_eq!(verifiers.begin(None, at(0), 2).unwrap_err(), TooManyWatches);
        let again = verifiers.begin(named(), at(0), 2).unwrap();
        again.acknowledge(at(3));
        assert_eq!(verifiers.held(at(99)), [Held { sequence: 2, count: 1 }, Held { sequence: 3, count: 1 }]);
        assert_eq!(verifiers.held(at(2)), [Held { sequence: 2, count: 2 }], "what came after 2 was no key");
        drop((second, nameless, again));
        assert_eq!(verifiers.held(at(99)), []);
    }
}
