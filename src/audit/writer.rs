//! What stands before each sink: takes what waits, writes it in one go, and tells those who wait for it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
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

/// The rest after a failure: this at first, and up to the other.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// A line that waits, and whoever waits for it.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) line: Arc<Line>,
    pub(super) durable: Option<oneshot::Sender<()>>,
}

/// Writes to one sink.
pub(super) struct Writer {
    pub(super) name: &'static str,
    pub(super) sink: Box<dyn Sink>,
    pub(super) mode: AuditMode,
    pub(super) entries: mpsc::Receiver<Entry>,
    /// Lost, and not told to the sink yet.
    pub(super) untold: Arc<AtomicU64>,
    pub(super) counts: Arc<SinkCounts>,
    pub(super) stamp: Arc<Stamp>,
    pub(super) closing: watch::Receiver<bool>,
}

impl Writer {
    /// Writes until the log is closed and nothing waits any more.
    pub(super) async fn run(mut self) {
        let mut failing = false;
        let mut batch = Vec::new();
        loop {
            let open = !self.entries.is_closed();
            tokio::select! {
                biased;
                _ = self.closing.wait_for(|closing| *closing), if open => {
                    self.entries.close();
                    continue;
                }
                taken = self.entries.recv_many(&mut batch, MOST) => if taken == 0 { break },
            }
            self.write(&mut batch, &mut failing).await;
        }
        self.sink.finish().await;
    }

    /// Writes a batch. Where somebody waits for each line, once: who hears nothing knows that it failed. Else until it is
    /// written, or the log is closed.
    async fn write(&mut self, batch: &mut Vec<Entry>, failing: &mut bool) {
        let lines: Vec<Arc<Line>> = batch.iter().map(|entry| Arc::clone(&entry.line)).collect();
        let (count, mut pause) = (u64::try_from(lines.len()).unwrap_or(u64::MAX), PAUSE.0);
        loop {
            match self.attempt(&lines, failing).await {
                Ok(()) => {
                    for waiting in batch.drain(..).filter_map(|entry| entry.durable) {
                        // It may have given up.
                        let _ = waiting.send(());
                    }
                    return self.tell_lost(failing).await;
                }
                Err(_) if self.mode == AuditMode::Required || *self.closing.borrow() => {
                    batch.clear();
                    self.lost(count);
                    return;
                }
                Err(_) => {
                    let closing = self.closing.wait_for(|closing| *closing);
                    let _ = tokio::time::timeout(pause, closing).await;
                    pause = pause.saturating_mul(2).min(PAUSE.1);
                }
            }
        }
    }

    /// One attempt, counted. Of failures the first and the recovery are logged.
    async fn attempt(&mut self, lines: &[Arc<Line>], failing: &mut bool) -> Result<(), SinkError> {
        let count = u64::try_from(lines.len()).unwrap_or(u64::MAX);
        let written = self.sink.write(lines).await;
        match &written {
            Ok(()) => {
                self.counts.written.fetch_add(count, Relaxed);
                if *failing {
                    tracing::info!(sink = self.name, "the audit log can be written again");
                }
            }
            Err(error) => {
                self.counts.failed.fetch_add(count, Relaxed);
                if !*failing {
                    tracing::error!(sink = self.name, %error, "the audit log cannot be written");
                }
            }
        }
        *failing = written.is_err();
        written
    }

    fn lost(&self, count: u64) {
        self.untold.fetch_add(count, Relaxed);
        self.counts.lost.fetch_add(count, Relaxed);
    }

    /// Says in the sink how many lines it did not get.
    async fn tell_lost(&mut self, failing: &mut bool) {
        let lost = self.untold.swap(0, Relaxed);
        if lost == 0 {
            return;
        }
        let line = Arc::new(self.stamp.lost(self.name, lost));
        if self.attempt(&[line], failing).await.is_err() {
            self.untold.fetch_add(lost, Relaxed);
        }
    }
}
