//! What stands before each sink: takes what waits, writes it in one go, and tells those who wait for it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::sync::{mpsc, oneshot, watch};

use super::{
    AuditMode,
    line::{Line, Stamp},
    metrics::SinkCounts,
    sink::{Sink, SinkError},
};

/// Lines of one batch.
const MOST: usize = 512;

/// How long events are batched before they are written, except in mode `required`, where calls wait for them.
const GATHER: Duration = Duration::from_millis(1);

/// The rest after a failure: this at first, and up to the other.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// A line that waits, and whoever waits for it.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) line: Arc<Line>,
    pub(super) durable: Option<oneshot::Sender<()>>,
}

/// What a writer does next.
enum Next {
    /// Lines wait.
    Batch,
    /// The sink fails: say what it did not get, as soon as that can be said.
    Lost,
    /// The log is closed: take no more.
    Close,
    /// Nothing waits any more.
    End,
}

/// Writes to one sink.
pub(super) struct Writer {
    pub(super) name: &'static str,
    pub(super) sink: Box<dyn Sink>,
    pub(super) mode: AuditMode,
    pub(super) entries: mpsc::Receiver<Entry>,
    /// Lost, and not told to the sink yet.
    pub(super) untold: Arc<AtomicU64>,
    /// The line that says so, once it was made: it is one line, however often it has to be tried.
    pub(super) telling: Option<Arc<Line>>,
    /// Whether the last attempt failed.
    pub(super) failing: Arc<AtomicBool>,
    pub(super) counts: Arc<SinkCounts>,
    pub(super) stamp: Arc<Stamp>,
    pub(super) closing: watch::Receiver<bool>,
}

impl Writer {
    /// Writes until the log is closed and nothing waits any more. While the sink fails and nothing comes that could be
    /// tried, it tries to say what it lost.
    pub(super) async fn run(mut self) {
        let (mut batch, mut pause) = (Vec::new(), PAUSE.0);
        loop {
            match self.next(&mut batch, pause).await {
                Next::Batch => {
                    if self.mode != AuditMode::Required {
                        self.gather(&mut batch);
                    }
                    self.write(&mut batch).await;
                }
                Next::Lost => {
                    self.tell_lost().await;
                    pause = if self.failing.load(Relaxed) { longer(pause) } else { PAUSE.0 };
                }
                Next::Close => self.entries.close(),
                Next::End => break,
            }
        }
        self.sink.finish().await;
    }

    async fn next(&mut self, batch: &mut Vec<Entry>, pause: Duration) -> Next {
        let (open, failing) = (!self.entries.is_closed(), self.failing.load(Relaxed));
        tokio::select! {
            biased;
            _ = self.closing.wait_for(|closing| *closing), if open => Next::Close,
            taken = self.entries.recv_many(batch, MOST) => if taken == 0 { Next::End } else { Next::Batch },
            () = tokio::time::sleep(pause), if failing => Next::Lost,
        }
    }

    /// Adds the events of the next millisecond to the batch: no call waits for them, and a wake-up costs more than writing one.
    #[expect(clippy::disallowed_methods, reason = "on a thread of its own, for a batch to fill")]
    fn gather(&mut self, batch: &mut Vec<Entry>) {
        // The thread is this writer's own, and a timer would end with the runtime that serves calls.
        std::thread::sleep(GATHER);
        while batch.len() < MOST
            && let Ok(entry) = self.entries.try_recv()
        {
            batch.push(entry);
        }
    }

    /// Writes a batch. Where somebody waits for each line, once: who hears nothing knows that it failed. Else until it is
    /// written, or the log is closed.
    async fn write(&mut self, batch: &mut Vec<Entry>) {
        let lines: Vec<Arc<Line>> = batch.iter().map(|entry| Arc::clone(&entry.line)).collect();
        let (count, mut pause) = (u64::try_from(lines.len()).unwrap_or(u64::MAX), PAUSE.0);
        loop {
            match self.attempt(&lines).await {
                Ok(()) => {
                    for waiting in batch.drain(..).filter_map(|entry| entry.durable) {
                        // It may have given up.
                        let _ = waiting.send(());
                    }
                    return self.tell_lost().await;
                }
                Err(_) if self.mode == AuditMode::Required || *self.closing.borrow() => {
                    self.lost(count);
                    batch.clear();
                    return;
                }
                Err(_) => {
                    let closing = self.closing.wait_for(|closing| *closing);
                    let _ = tokio::time::timeout(pause, closing).await;
                    pause = longer(pause);
                }
            }
        }
    }

    /// One attempt, counted. Of failures the first and the recovery are logged.
    async fn attempt(&mut self, lines: &[Arc<Line>]) -> Result<(), SinkError> {
        let count = u64::try_from(lines.len()).unwrap_or(u64::MAX);
        let written = self.sink.write(lines).await;
        let failed_before = self.failing.swap(written.is_err(), Relaxed);
        match &written {
            Ok(()) => {
                self.counts.written.fetch_add(count, Relaxed);
                if failed_before {
                    tracing::info!(sink = self.name, "the audit log can be written again");
                }
            }
            Err(error) => {
                self.counts.failed.fetch_add(count, Relaxed);
                if !failed_before {
                    tracing::error!(sink = self.name, %error, "the audit log cannot be written");
                }
            }
        }
        written
    }

    fn lost(&self, count: u64) {
        self.untold.fetch_add(count, Relaxed);
        self.counts.lost.fetch_add(count, Relaxed);
    }

    /// Says in the sink how many lines it did not get.
    async fn tell_lost(&mut self) {
        loop {
            let line = match self.telling.take() {
                Some(line) => line,
                None => match self.untold.swap(0, Relaxed) {
                    0 => {
                        // A call that waited too long called it failing just when it had written.
                        self.failing.store(false, Relaxed);
                        return;
                    }
                    lost => Arc::new(self.stamp.lost(self.name, lost)),
                },
            };
            if self.attempt(&[Arc::clone(&line)]).await.is_err() {
                self.telling = Some(line);
                return;
            }
        }
    }
}

fn longer(pause: Duration) -> Duration {
    pause.saturating_mul(2).min(PAUSE.1)
}
