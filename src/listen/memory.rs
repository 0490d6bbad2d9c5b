//! Limits of the memory that calls hold, in total and per source.
//!
//! The metadata and messages of a call arrive before its caller is authenticated, and a response waits until its client's
//! flow-control window has room. Both count from the first byte, so that unauthenticated callers share a bounded memory, and no
//! source uses all of it.

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

/// Memory of a call beside its metadata and messages until it is answered: h2's and tonic's streams, its buffers, its future.
const CALL_BYTES: usize = 16 * 1024;

/// Memory that remains while a response is sent or waits to be read, as that of a watch.
const RESPONSE_BYTES: usize = 6 * 1024;

/// Each source may hold this much even when the total is reached: a few attackers cannot lock out everyone else.
const GUARANTEED_BYTES: usize = 128 * 1024;

/// Limits of the memory that calls hold, in bytes.
#[derive(Debug, Clone, Copy)]
pub struct CallMemoryLimits {
    /// All calls; beyond it, each source may still hold `GUARANTEED_BYTES`.
    pub total: usize,
    /// Calls of one source: an IPv4 address, or the /64 network of an IPv6 address.
    pub per_source: usize,
}

/// Counts the memory of all calls.
#[derive(Debug)]
pub struct CallMemory {
    limits: CallMemoryLimits,
    total: AtomicUsize,
    sources: Mutex<HashMap<Source, Weak<SourceMemory>>>,
    refused_total: AtomicU64,
    refused_per_source: AtomicU64,
}

/// Counts the memory of one source's calls.
#[derive(Debug)]
pub struct SourceMemory {
    memory: Arc<CallMemory>,
    source: Source,
    reserved: AtomicUsize,
}

/// The memory of a call, or of a frame of its response. Dropping it releases the memory.
#[derive(Debug)]
pub struct Reservation {
    source: Arc<SourceMemory>,
    bytes: AtomicUsize,
}

impl CallMemory {
    /// Counts within `limits`.
    pub fn new(limits: CallMemoryLimits) -> Self {
        Self {
            limits,
            total: AtomicUsize::new(0),
            sources: Mutex::default(),
            refused_total: AtomicU64::new(0),
            refused_per_source: AtomicU64::new(0),
        }
    }

    /// Registers the bytes in use and the refused calls.
    pub fn register_metrics(self: &Arc<Self>, metrics: &mut MetricsRegistry) {
        let memory = Arc::clone(self);
        metrics.on_scrape(move |scrape| {
            let help = "What gRPC calls and OAuth 2.0 requests hold in memory, in bytes";
            scrape.gauge("tokend_call_memory_bytes", help, memory.total.load(Relaxed))?;
            let bounds = [("all", &memory.refused_total), ("source", &memory.refused_per_source)];
            let refused = bounds.map(|(bound, count)| ([("bound", bound)], count.load(Relaxed)));
            let help = "Calls that were refused for what those under way hold in memory, by the bound that was reached";
            scrape.counters("tokend_call_memory_refused", help, refused)
        });
    }

    /// Returns the counter of the source that `address` belongs to.
    pub fn source(self: &Arc<Self>, address: IpAddr) -> Arc<SourceMemory> {
        let source = Source::of(address);
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = sources.get(&source).and_then(Weak::upgrade) {
            return known;
        }
        let memory = Arc::clone(self);
        let new = Arc::new(SourceMemory { memory, source, reserved: AtomicUsize::new(0) });
        sources.insert(source, Arc::downgrade(&new));
        new
    }

    /// Counts and logs a refusal: the 1st, 2nd, 4th, 8th ..., so that a flood does not fill the log.
    fn refuse(&self, refused: &AtomicU64, setting: &'static str, source: Source) -> NoRoom {
        if (refused.fetch_add(1, Relaxed) + 1).is_power_of_two() {
            tracing::warn!(%source, setting, "call memory limit reached; calls are refused");
        }
        NoRoom
    }
}

impl SourceMemory {
    /// Reserves the memory of a call with this much metadata.
    ///
    /// # Errors
    /// When a limit is reached.
    pub fn reserve_call(self: &Arc<Self>, metadata: usize) -> Result<Reservation, NoRoom> {
        self.reserve(metadata.saturating_add(CALL_BYTES))
    }

    pub(super) fn reserve(self: &Arc<Self>, bytes: usize) -> Result<Reservation, NoRoom> {
        self.add(bytes)?;
        Ok(Reservation { source: Arc::clone(self), bytes: AtomicUsize::new(bytes) })
    }

    fn add(&self, bytes: usize) -> Result<(), NoRoom> {
        let Self { memory, source, reserved } = self;
        let limits = memory.limits;
        let own = reserved.fetch_add(bytes, Relaxed).saturating_add(bytes);
        if own > limits.per_source {
            reserved.fetch_sub(bytes, Relaxed);
            return Err(memory.refuse(&memory.refused_per_source, "max_call_memory_per_source", *source));
        }
        let total = memory.total.fetch_add(bytes, Relaxed).saturating_add(bytes);
        if total > limits.total && own > GUARANTEED_BYTES {
            self.release(bytes);
            return Err(memory.refuse(&memory.refused_total, "max_call_memory", *source));
        }
        Ok(())
    }

    fn release(&self, bytes: usize) {
        self.reserved.fetch_sub(bytes, Relaxed);
        self.memory.total.fetch_sub(bytes, Relaxed);
    }
}

impl Drop for SourceMemory {
    fn drop(&mut self) {
        let mut sources = self.memory.sources.lock().unwrap_or_else(PoisonError::into_inner);
        // A new connection of this source may have replaced the entry.
        if sources.get(&self.source).is_some_and(|known| known.strong_count() == 0) {
            sources.remove(&self.source);
        }
    }
}

impl Reservation {
    /// Reserves a message when it begins. It counts twice: as encoded bytes, and decoded. A message that exceeds the limit of any
    /// source does not count: its reader rejects it for its size.
    ///
    /// # Errors
    /// When a limit is reached.
    pub fn add_message(&self, length: usize) -> Result<(), NoRoom> {
        let bytes = length.saturating_mul(2);
        if bytes > self.source.memory.limits.per_source {
            return Ok(());
        }
        self.source.add(bytes)?;
        self.bytes.fetch_add(bytes, Relaxed);
        Ok(())
    }

    /// Releases the memory of the answered request, and keeps that of its response.
    pub(super) fn release_request(&self) {
        let reserved = self.bytes.load(Relaxed);
        let kept = reserved.min(RESPONSE_BYTES);
        // If a message arrives at this moment, the drop releases it all.
        if self.bytes.compare_exchange(reserved, kept, Relaxed, Relaxed).is_ok() {
            self.source.release(reserved - kept);
        }
    }

    pub(super) const fn source(&self) -> &Arc<SourceMemory> {
        &self.source
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.source.release(*self.bytes.get_mut());
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::*;

    fn memory(total: usize, per_source: usize) -> Arc<CallMemory> {
        Arc::new(CallMemory::new(CallMemoryLimits { total, per_source }))
    }

    fn reserved(memory: &CallMemory) -> usize {
        memory.total.load(Relaxed)
    }

    #[test]
    fn one_source_cannot_use_all_memory() {
        let memory = memory(3 * GUARANTEED_BYTES, 2 * GUARANTEED_BYTES);
        let of = |text: &str| memory.source(text.parse().unwrap());
        let (first, same, other) = (of("10.0.0.1"), of("::ffff:10.0.0.1"), of("10.0.0.2"));
        let _most = first.reserve(2 * GUARANTEED_BYTES - 50).unwrap();
        assert!(same.reserve(51).is_err());
        let rest = same.reserve(50).unwrap();
        let _others = other.reserve(GUARANTEED_BYTES).unwrap();
        assert!(other.reserve(1).is_err(), "the total is reached");
        let third = of("10.0.0.3");
        let guaranteed = third.reserve(GUARANTEED_BYTES).unwrap();
        assert!(third.reserve(1).is_err());
        drop((rest, guaranteed));
        let _again = other.reserve(50).unwrap();
        assert_eq!((memory.refused_per_source.load(Relaxed), memory.refused_total.load(Relaxed)), (1, 2));
    }

    #[test]
    fn a_reservation_is_released_once() {
        let memory = memory(100_000, 100_000);
        let source = memory.source("10.0.0.1".parse().unwrap());
        let call = source.reserve_call(1_000).unwrap();
        call.add_message(500).unwrap();
        assert_eq!(reserved(&memory), CALL_BYTES + 2_000);
        assert!(call.add_message(45_000).is_err());
        assert_eq!(reserved(&memory), CALL_BYTES + 2_000, "a refused message is not reserved");
        call.add_message(1 << 30).unwrap();
        assert_eq!(reserved(&memory), CALL_BYTES + 2_000, "nor is one that is rejected for its size");
        call.release_request();
        assert_eq!(reserved(&memory), RESPONSE_BYTES);
        call.add_message(10).unwrap();
        drop((call, source));
        assert_eq!((reserved(&memory), memory.sources.lock().unwrap().len()), (0, 0));
    }
}
