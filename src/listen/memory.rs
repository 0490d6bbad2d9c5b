//! How much the calls of one source, and all calls, may hold in memory.
//!
//! A call's metadata and message are read before it is known who calls, and an answer waits until its client makes room for it:
//! both are counted from the first octet on, so that strangers share what is set aside for it, and no source takes it all.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
};

use crate::{
    metrics::MetricsRegistry,
    model::{NoRoom, Source},
};

/// What a call takes beside its octets until it is answered: the streams of h2 and of tonic, its buffer, its future.
const OF_ONE_CALL: usize = 16 * 1024;

/// What is left of that while an answer goes on or waits to be read: a watch, for example.
const OF_ONE_ANSWER: usize = 6 * 1024;

/// So much is any source's, whatever the others hold: a few attackers cannot keep everybody out.
const OWN: usize = 128 * 1024;

/// What calls may hold in memory, in bytes.
#[derive(Debug, Clone, Copy)]
pub struct CallMemoryCaps {
    /// All calls; beyond it each source may still hold a little.
    pub all: usize,
    /// Those of one source: an IPv4 address, or the /64 network of an IPv6 address.
    pub of_one_source: usize,
}

/// Counts what calls hold in memory.
#[derive(Debug)]
pub struct CallMemory {
    caps: CallMemoryCaps,
    all: AtomicUsize,
    sources: Mutex<HashMap<Source, Weak<Share>>>,
    refused_all: AtomicU64,
    refused_source: AtomicU64,
}

/// What the calls of one source hold.
#[derive(Debug)]
pub(super) struct Share {
    memory: Arc<CallMemory>,
    source: Source,
    held: AtomicUsize,
}

/// What one call, or a part of its answer, holds. It is given back when this is dropped.
#[derive(Debug)]
pub(super) struct Held {
    share: Arc<Share>,
    octets: AtomicUsize,
}

impl CallMemory {
    /// Counts within `caps`.
    pub fn new(caps: CallMemoryCaps) -> Self {
        Self {
            caps,
            all: AtomicUsize::new(0),
            sources: Mutex::default(),
            refused_all: AtomicU64::new(0),
            refused_source: AtomicU64::new(0),
        }
    }

    /// Registers the bytes in use and the refused calls.
    pub fn register_metrics(self: &Arc<Self>, metrics: &mut MetricsRegistry) {
        let memory = Arc::clone(self);
        metrics.on_scrape(move |scrape| {
            let help = "What gRPC calls hold in memory, in bytes";
            scrape.gauge("tokend_call_memory_bytes", help, memory.all.load(Relaxed))?;
            let bounds = [("all", &memory.refused_all), ("source", &memory.refused_source)];
            let refused = bounds.map(|(bound, count)| ([("bound", bound)], count.load(Relaxed)));
            let help = "gRPC calls that were refused for what those under way hold in memory, by the bound that was reached";
            scrape.counters("tokend_call_memory_refused", help, refused)
        });
    }

    /// The share of the source that `address` belongs to.
    pub(super) fn share(self: &Arc<Self>, address: IpAddr) -> Arc<Share> {
        let source = Source::of(address);
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(share) = sources.get(&source).and_then(Weak::upgrade) {
            return share;
        }
        let share = Arc::new(Share { memory: Arc::clone(self), source, held: AtomicUsize::new(0) });
        sources.insert(source, Arc::downgrade(&share));
        share
    }

    /// At the first, the second, the fourth and so on: a flood must not fill the log.
    fn refuse(&self, refused: &AtomicU64, setting: &'static str, source: Source) -> NoRoom {
        if (refused.fetch_add(1, Relaxed) + 1).is_power_of_two() {
            tracing::warn!(%source, setting, "calls are refused: those under way hold too much memory");
        }
        NoRoom
    }
}

impl Share {
    /// Room for a call whose metadata has so many octets.
    pub(super) fn call(self: &Arc<Self>, metadata: usize) -> Result<Held, NoRoom> {
        self.hold(metadata.saturating_add(OF_ONE_CALL))
    }

    /// Room for so many octets.
    pub(super) fn hold(self: &Arc<Self>, octets: usize) -> Result<Held, NoRoom> {
        self.take(octets)?;
        Ok(Held { share: Arc::clone(self), octets: AtomicUsize::new(octets) })
    }

    fn take(&self, octets: usize) -> Result<(), NoRoom> {
        let Self { memory, source, held } = self;
        let caps = memory.caps;
        let own = held.fetch_add(octets, Relaxed).saturating_add(octets);
        if own > caps.of_one_source {
            held.fetch_sub(octets, Relaxed);
            return Err(memory.refuse(&memory.refused_source, "max_call_memory_per_source", *source));
        }
        if memory.all.fetch_add(octets, Relaxed).saturating_add(octets) > caps.all && own > OWN {
            self.give_back(octets);
            return Err(memory.refuse(&memory.refused_all, "max_call_memory", *source));
        }
        Ok(())
    }

    fn give_back(&self, octets: usize) {
        self.held.fetch_sub(octets, Relaxed);
        self.memory.all.fetch_sub(octets, Relaxed);
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut sources = self.memory.sources.lock().unwrap_or_else(PoisonError::into_inner);
        // Another share of this source may have been begun in between.
        if sources.get(&self.source).is_some_and(|share| share.strong_count() == 0) {
            sources.remove(&self.source);
        }
    }
}

impl Held {
    /// A message of so many octets begins, and room is made for it at once. They count twice: as they come, and as what they
    /// mean. One that no source could hold is refused for its size by whoever reads it.
    pub(super) fn message(&self, octets: usize) -> Result<(), NoRoom> {
        let octets = octets.saturating_mul(2);
        if octets > self.share.memory.caps.of_one_source {
            return Ok(());
        }
        self.share.take(octets)?;
        self.octets.fetch_add(octets, Relaxed);
        Ok(())
    }

    /// What came so far has been answered: of the call there is left what its answer takes.
    pub(super) fn answered(&self) {
        let held = self.octets.load(Relaxed);
        let left = held.min(OF_ONE_ANSWER);
        // What comes at this moment is given back with the rest.
        if self.octets.compare_exchange(held, left, Relaxed, Relaxed).is_ok() {
            self.share.give_back(held - left);
        }
    }

    /// Whose it is.
    pub(super) const fn share(&self) -> &Arc<Share> {
        &self.share
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.share.give_back(*self.octets.get_mut());
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::*;

    fn memory(all: usize, of_one_source: usize) -> Arc<CallMemory> {
        Arc::new(CallMemory::new(CallMemoryCaps { all, of_one_source }))
    }

    fn held(memory: &CallMemory) -> usize {
        memory.all.load(Relaxed)
    }

    #[test]
    fn one_source_cannot_take_all_of_it() {
        let memory = memory(3 * OWN, 2 * OWN);
        let of = |text: &str| memory.share(text.parse().unwrap());
        let (first, same, other) = (of("10.0.0.1"), of("::ffff:10.0.0.1"), of("10.0.0.2"));
        let _most = first.hold(2 * OWN - 50).unwrap();
        assert!(same.hold(51).is_err());
        let rest = same.hold(50).unwrap();
        let _others = other.hold(OWN).unwrap();
        assert!(other.hold(1).is_err(), "all of it is taken");
        // But for a little, which is anybody's.
        let third = of("10.0.0.3");
        let _own = third.hold(OWN).unwrap();
        assert!(third.hold(1).is_err());
        drop((rest, _own));
        let _again = other.hold(50).unwrap();
        assert_eq!((memory.refused_source.load(Relaxed), memory.refused_all.load(Relaxed)), (1, 2));
    }

    #[test]
    fn what_is_held_is_given_back_once() {
        let memory = memory(100_000, 100_000);
        let share = memory.share("10.0.0.1".parse().unwrap());
        let call = share.call(1_000).unwrap();
        call.message(500).unwrap();
        assert_eq!(held(&memory), OF_ONE_CALL + 2_000);
        assert!(call.message(45_000).is_err());
        assert_eq!(held(&memory), OF_ONE_CALL + 2_000, "what found no room is not held");
        call.message(1 << 30).unwrap();
        assert_eq!(held(&memory), OF_ONE_CALL + 2_000, "nor is what will be refused for its size");
        call.answered();
        assert_eq!(held(&memory), OF_ONE_ANSWER);
        call.message(10).unwrap();
        drop((call, share));
        assert_eq!((held(&memory), memory.sources.lock().unwrap().len()), (0, 0));
    }
}
