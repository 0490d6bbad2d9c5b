//! The way of an event to the sinks.

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
    AuditMetrics, AuditMode, AuditOpenError, AuditSettings, Event, PlannedChange,
    line::{Line, Stamp},
    metrics::SinkCounts,
    sink,
    writer::{Entry, Writer},
};
use crate::{clock::Clock, random, spans};

/// How long a sink may write nothing at all before the end does not wait for it any more.
const STALLED: Duration = Duration::from_secs(3);

/// How long a call waits for its event to be durable.
const WAIT: Duration = Duration::from_secs(5);

/// The event of a call could not be made durable, and must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the audit log cannot be written")]
pub struct AuditUnavailable;

/// The audit log, open for writing.
#[derive(Debug)]
pub struct AuditLog {
    mode: AuditMode,
    queues: Vec<Queue>,
    stamp: Arc<Stamp>,
    metrics: Arc<AuditMetrics>,
    closing: watch::Sender<bool>,
}

/// What leads to one sink.
#[derive(Debug)]
struct Queue {
    name: &'static str,
    entries: mpsc::Sender<Entry>,
    /// Lost, and not told to the sink yet.
    untold: Arc<AtomicU64>,
    /// Whether the last attempt failed.
    failing: Arc<AtomicBool>,
    counts: Arc<SinkCounts>,
    ended: watch::Receiver<bool>,
}

impl Queue {
    fn lose_one(&self) {
        self.untold.fetch_add(1, Relaxed);
        self.counts.lost.fetch_add(1, Relaxed);
    }
}

impl AuditLog {
    /// Opens every sink.
    ///
    /// # Errors
    /// When one cannot be written to.
    pub async fn open(settings: AuditSettings, clock: Arc<dyn Clock>) -> Result<Self, AuditOpenError> {
        let instance = random::text::<9>()
            .map_err(|error| AuditOpenError { setting: "audit_mode", problem: error.to_string() })?;
        let stamp = Arc::new(Stamp { instance: instance.into(), sequence: AtomicU64::new(1), clock });
        let (closing, _) = watch::channel(false);
        let mut queues = Vec::new();
        let mode = settings.mode;
        let sinks = if mode == AuditMode::Off { Vec::new() } else { settings.sinks };
        for sink_settings in sinks {
            let name = sink_settings.name();
            let sink = sink::open(sink_settings, mode).await?;
            let (entries, coming) = mpsc::channel(settings.buffer.max(1));
            let (untold, failing) = (Arc::default(), Arc::default());
            let counts = Arc::<SinkCounts>::default();
            let (end, ended) = watch::channel(false);
            let writer = Writer {
                name,
                sink,
                mode,
                entries: coming,
                untold: Arc::clone(&untold),
                telling: None,
                failing: Arc::clone(&failing),
                counts: Arc::clone(&counts),
                stamp: Arc::clone(&stamp),
                closing: closing.subscribe(),
            };
            start(writer, end)?;
            queues.push(Queue { name, entries, untold, failing, counts, ended });
        }
        let sinks = queues.iter().map(|queue| (queue.name, Arc::clone(&queue.counts))).collect();
        Ok(Self { mode, queues, stamp, metrics: Arc::new(AuditMetrics { sinks }), closing })
    }

    /// Whether anything is written at all.
    pub const fn is_on(&self) -> bool {
        !self.queues.is_empty()
    }

    /// Whether an event cannot be made durable now, as far as is known, and must be: then nothing should be begun that leaves
    /// one. A sink that fails is tried again and again by itself.
    pub fn is_blocked(&self) -> bool {
        self.mode == AuditMode::Required && self.queues.iter().any(|queue| queue.failing.load(Relaxed))
    }

    /// Writes the event of a call. Where the log is required it is durable in every sink when this is done; else it waits
    /// for its turn, or is lost and counted.
    ///
    /// # Errors
    /// Only where it is required.
    pub async fn write(&self, event: Event) -> Result<(), AuditUnavailable> {
        if self.mode != AuditMode::Required {
            self.note(event);
            return Ok(());
        }
        let _step = spans::step("audit");
        let line = Arc::new(self.stamp.call(event));
        self.durable(&line).await
    }

    /// Queues an event, and does not wait until it is written.
    pub fn note(&self, event: Event) {
        if self.is_on() {
            self.send(self.stamp.call(event));
        }
    }

    /// Writes a change that nobody asked for.
    pub fn planned(&self, change: PlannedChange) {
        if self.is_on() {
            self.send(self.stamp.planned(change));
        }
    }

    fn send(&self, line: Line) {
        let line = Arc::new(line);
        for queue in &self.queues {
            if queue.entries.try_send(Entry { line: Arc::clone(&line), durable: None }).is_err() {
                queue.lose_one();
            }
        }
    }

    async fn durable(&self, line: &Arc<Line>) -> Result<(), AuditUnavailable> {
        let end = tokio::time::Instant::now() + WAIT;
        let mut awaited = Vec::with_capacity(self.queues.len());
        // All of this before the first wait: an event is on its way even if its caller goes away.
        for queue in &self.queues {
            let (durable, answer) = oneshot::channel();
            let entry = Entry { line: Arc::clone(line), durable: Some(durable) };
            if queue.entries.try_send(entry).is_err() {
                queue.lose_one();
                return Err(AuditUnavailable);
            }
            awaited.push((queue, answer));
        }
        for (queue, answer) in awaited {
            let Ok(answer) = tokio::time::timeout_at(end, answer).await else {
                // A sink that hangs fails, too: further calls are refused at once, until it writes again.
                queue.failing.store(true, Relaxed);
                return Err(AuditUnavailable);
            };
            // An end that was dropped unused has not written it.
            answer.map_err(|_| AuditUnavailable)?;
        }
        Ok(())
    }

    /// What is counted.
    pub fn metrics(&self) -> Arc<AuditMetrics> {
        Arc::clone(&self.metrics)
    }

    /// Takes no more, and waits until what waits has been written, up to `bound`, and not for sinks that are stalled.
    pub async fn close(&self, bound: Duration) {
        self.closing.send_replace(true);
        let ended = async {
            for queue in &self.queues {
                // One whose writer is gone has ended.
                let _ = queue.ended.clone().wait_for(|ended| *ended).await;
            }
        };
        tokio::select! {
            () = ended => {}
            () = tokio::time::sleep(bound) => tracing::warn!("the end of the audit log was not written in time"),
            () = self.stalled() => tracing::warn!("the end of the audit log was not written: the sinks are stalled"),
        }
    }

    /// Resolves when no sink has written anything for a while, as a pipe does that is not read.
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

/// Runs a writer on a thread of its own: a disk or a pipe that stands still must not hold up a thread that serves calls,
/// nor the end of the process.
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
