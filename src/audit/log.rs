//! The audit log: queues each record for every sink.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot, watch},
};

use super::{
    AuditMode, AuditOpenError, AuditSettings, Event, PlannedChange,
    record::{AuditRecord, Sequencer},
    sink,
    writer::{Entry, Writer},
};
use crate::{clock::Clock, metrics::MetricsRegistry, random, spans};

/// The time without any write after which the shutdown does not wait for a sink.
const STALLED: Duration = Duration::from_secs(3);

/// The timeout of a call that waits until its record is durable.
const WAIT: Duration = Duration::from_secs(5);

/// The record of a call could not be written, and the mode is `required`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the audit log cannot be written")]
pub struct AuditUnavailable;

/// The audit log, open for writing.
#[derive(Debug)]
pub struct AuditLog {
    mode: AuditMode,
    queues: Vec<Queue>,
    sequencer: Arc<Sequencer>,
    closing: watch::Sender<bool>,
}

/// The queue of a sink.
#[derive(Debug)]
struct Queue {
    name: &'static str,
    entries: mpsc::Sender<Entry>,
    /// The number of lost records that the sink does not know of yet.
    unreported: Arc<AtomicU64>,
    /// Whether the last attempt failed.
    failing: Arc<AtomicBool>,
    counts: Arc<SinkCounts>,
    ended: watch::Receiver<bool>,
}

/// The counters of one sink, in events.
#[derive(Debug, Default)]
pub(super) struct SinkCounts {
    pub(super) written: AtomicU64,
    /// Failed attempts; the same event may be tried again.
    pub(super) failed: AtomicU64,
    pub(super) lost: AtomicU64,
}

impl Queue {
    fn lose_one(&self) {
        self.unreported.fetch_add(1, Relaxed);
        self.counts.lost.fetch_add(1, Relaxed);
    }
}

impl AuditLog {
    /// Opens every sink.
    ///
    /// # Errors
    /// When a sink is not writable.
    pub async fn open(settings: AuditSettings, clock: Arc<dyn Clock>) -> Result<Self, AuditOpenError> {
        let instance = random::text::<9>()
            .map_err(|error| AuditOpenError { setting: "audit_mode", problem: error.to_string() })?;
        let sequencer = Arc::new(Sequencer { instance: instance.into(), sequence: AtomicU64::new(1), clock });
        let (closing, _) = watch::channel(false);
        let mut queues = Vec::new();
        let mode = settings.mode;
        let sinks = if mode == AuditMode::Off { Vec::new() } else { settings.sinks };
        for sink_settings in sinks {
            let name = sink_settings.name();
            let sink = sink::open(sink_settings, mode).await?;
            let (entries, coming) = mpsc::channel(settings.buffer.max(1));
            let (unreported, failing) = (Arc::default(), Arc::default());
            let counts = Arc::<SinkCounts>::default();
            let (end, ended) = watch::channel(false);
            let writer = Writer {
                name,
                sink,
                mode,
                entries: coming,
                unreported: Arc::clone(&unreported),
                lost_record: None,
                failing: Arc::clone(&failing),
                counts: Arc::clone(&counts),
                sequencer: Arc::clone(&sequencer),
                closing: closing.subscribe(),
            };
            start(writer, end)?;
            queues.push(Queue { name, entries, unreported, failing, counts, ended });
        }
        Ok(Self { mode, queues, sequencer, closing })
    }

    /// Whether there are sinks.
    pub const fn is_on(&self) -> bool {
        !self.queues.is_empty()
    }

    /// Whether the mode is `required` and a sink fails: then no audited call should begin. The writer of the sink retries by itself.
    pub fn is_blocked(&self) -> bool {
        self.mode == AuditMode::Required && self.queues.iter().any(|queue| queue.failing.load(Relaxed))
    }

    /// Writes the event of a call. In the mode `required`, the record is durable in every sink when this returns; otherwise the record
    /// is queued, or lost and counted.
    ///
    /// # Errors
    /// In the mode `required`, when the record cannot be written.
    pub async fn write(&self, event: Event) -> Result<(), AuditUnavailable> {
        if self.mode != AuditMode::Required {
            self.note(event);
            return Ok(());
        }
        let _step = spans::step("audit");
        let record = Arc::new(self.sequencer.call(event));
        self.durable(&record).await
    }

    /// Queues an event without waiting for a sink.
    pub fn note(&self, event: Event) {
        if self.is_on() {
            self.send(self.sequencer.call(event));
        }
    }

    /// Queues a planned change of the keys.
    pub fn planned(&self, change: PlannedChange) {
        if self.is_on() {
            self.send(self.sequencer.planned(change));
        }
    }

    fn send(&self, record: AuditRecord) {
        let record = Arc::new(record);
        for queue in &self.queues {
            if queue.entries.try_send(Entry { record: Arc::clone(&record), durable: None }).is_err() {
                queue.lose_one();
            }
        }
    }

    async fn durable(&self, record: &Arc<AuditRecord>) -> Result<(), AuditUnavailable> {
        let end = tokio::time::Instant::now() + WAIT;
        let mut awaited = Vec::with_capacity(self.queues.len());
        // Every queue before the first wait: the record is written even if the caller disconnects.
        for queue in &self.queues {
            let (durable, answer) = oneshot::channel();
            let entry = Entry { record: Arc::clone(record), durable: Some(durable) };
            if queue.entries.try_send(entry).is_err() {
                queue.lose_one();
                return Err(AuditUnavailable);
            }
            awaited.push((queue, answer));
        }
        for (queue, answer) in awaited {
            let Ok(answer) = tokio::time::timeout_at(end, answer).await else {
                // A sink that hangs counts as failing: further calls are rejected at once until it writes again.
                queue.failing.store(true, Relaxed);
                return Err(AuditUnavailable);
            };
            // The writer drops the sender if it has not written the record.
            answer.map_err(|_| AuditUnavailable)?;
        }
        Ok(())
    }

    /// Registers the counters of every sink.
    pub fn register_metrics(&self, metrics: &mut MetricsRegistry) {
        let sinks: Vec<_> = self.queues.iter().map(|queue| (queue.name, Arc::clone(&queue.counts))).collect();
        metrics.on_scrape(move |scrape| {
            let events = sinks.iter().flat_map(|(sink, counts)| {
                let results = [("written", &counts.written), ("failed", &counts.failed)];
                results.map(|(result, count)| ([("sink", *sink), ("result", result)], count.load(Relaxed)))
            });
            let help = "Events of the audit log, by sink and result; one that failed may be tried again";
            scrape.counters("tokend_audit_events", help, events)?;
            let lost = sinks.iter().map(|(sink, counts)| ([("sink", *sink)], counts.lost.load(Relaxed)));
            let help = "Events of the audit log that a sink did not get and will not get, by sink";
            scrape.counters("tokend_audit_events_lost", help, lost)
        });
    }

    /// Accepts no more records, and waits until the queued ones are written, at most `bound`, and not for stalled sinks.
    pub async fn close(&self, bound: Duration) {
        self.closing.send_replace(true);
        let ended = async {
            for queue in &self.queues {
                // If the writer is gone, it has ended.
                let _ = queue.ended.clone().wait_for(|ended| *ended).await;
            }
        };
        tokio::select! {
            () = ended => {}
            () = tokio::time::sleep(bound) => tracing::warn!("the last audit records were not written in time"),
            () = self.stalled() => tracing::warn!("the last audit records were not written: the sinks are stalled"),
        }
    }

    /// Resolves when no sink has written anything for a while, such as a pipe without a reader.
    async fn stalled(&self) {
        let tried = || {
            let counts = self.queues.iter().map(|queue| &queue.counts);
            counts.map(|counts| counts.written.load(Relaxed) + counts.failed.load(Relaxed)).sum::<u64>()
        };
        loop {
            let before = tried();
            tokio::time::sleep(STALLED).await;
            if tried() == before {
                return;
            }
        }
    }
}

/// Runs a writer on a thread of its own: a blocked disk or pipe must block neither a thread that serves calls nor the shutdown.
fn start(writer: Writer, end: watch::Sender<bool>) -> Result<(), AuditOpenError> {
    let runtime = Handle::current();
    let name = format!("audit-{}", writer.name);
    let run = move || {
        runtime.block_on(writer.run());
        end.send_replace(true);
    };
    let failed =
        |error: std::io::Error| AuditOpenError { setting: "audit_sinks", problem: error.to_string() };
    std::thread::Builder::new().name(name).spawn(run).map(|_| ()).map_err(failed)
}
