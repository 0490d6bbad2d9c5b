//! The writer of a sink: takes the queued records, writes them as one batch, and notifies the calls that wait for them.

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
    log::SinkCounts,
    record::{AuditRecord, Sequencer},
    sink::{Sink, SinkError},
};

/// The limit of records in a batch.
const MOST: usize = 512;

/// The time for which events are batched, except in the mode `required`, in which calls wait for them.
const GATHER: Duration = Duration::from_millis(1);

/// The first and the longest pause after a failure.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// A queued record, and the call that waits for it.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) record: Arc<AuditRecord>,
    pub(super) durable: Option<oneshot::Sender<()>>,
}

/// The next action of a writer.
enum Next {
    /// Write a batch.
    Batch,
    /// The sink fails: retry to report lost records.
    Lost,
    /// The log is closed: accept no more records.
    Close,
    /// The queue is empty and closed.
    End,
}

/// Writes to one sink.
pub(super) struct Writer {
    pub(super) name: &'static str,
    pub(super) sink: Box<dyn Sink>,
    pub(super) mode: AuditMode,
    pub(super) entries: mpsc::Receiver<Entry>,
    /// The number of lost records that the sink does not know of yet.
    pub(super) unreported: Arc<AtomicU64>,
    /// The record that reports them. It is kept for a retry, so that they are reported once.
    pub(super) lost_record: Option<Arc<AuditRecord>>,
    /// Whether the last attempt failed.
    pub(super) failing: Arc<AtomicBool>,
    pub(super) counts: Arc<SinkCounts>,
    pub(super) sequencer: Arc<Sequencer>,
    pub(super) closing: watch::Receiver<bool>,
}

impl Writer {
    /// Writes until the log is closed and the queue empty. While the sink fails and no record comes, retries to report lost records.
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
                    self.report_lost().await;
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

    /// Adds the events of the next millisecond to the batch: no call waits for them, and a wake-up costs more than a write.
    #[expect(clippy::disallowed_methods, reason = "on a thread of its own, for a batch to fill")]
    fn gather(&mut self, batch: &mut Vec<Entry>) {
        // The thread belongs to this writer, and a timer would end with the runtime that serves calls.
        std::thread::sleep(GATHER);
        while batch.len() < MOST
            && let Ok(entry) = self.entries.try_recv()
        {
            batch.push(entry);
        }
    }

    /// Writes a batch. In the mode `required` once: a call that is not notified knows that its record was not written. Otherwise until it
    /// is written, or the log is closed.
    async fn write(&mut self, batch: &mut Vec<Entry>) {
        let records: Vec<Arc<AuditRecord>> = batch.iter().map(|entry| Arc::clone(&entry.record)).collect();
        let (count, mut pause) = (u64::try_from(records.len()).unwrap_or(u64::MAX), PAUSE.0);
        loop {
            match self.attempt(&records).await {
                Ok(()) => {
                    for waiting in batch.drain(..).filter_map(|entry| entry.durable) {
                        // The call may have timed out.
                        let _ = waiting.send(());
                    }
                    return self.report_lost().await;
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

    /// Attempts to write, and counts the outcome. Logs the first failure and the recovery.
    async fn attempt(&mut self, records: &[Arc<AuditRecord>]) -> Result<(), SinkError> {
        let count = u64::try_from(records.len()).unwrap_or(u64::MAX);
        let written = self.sink.write(records).await;
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
        self.unreported.fetch_add(count, Relaxed);
        self.counts.lost.fetch_add(count, Relaxed);
    }

    /// Writes the number of lost records to the sink.
    async fn report_lost(&mut self) {
        loop {
            let record = match self.lost_record.take() {
                Some(record) => record,
                None => match self.unreported.swap(0, Relaxed) {
                    0 => {
                        // A call may have timed out just when its record was written.
                        self.failing.store(false, Relaxed);
                        return;
                    }
                    lost => Arc::new(self.sequencer.lost(self.name, lost)),
                },
            };
            if self.attempt(&[Arc::clone(&record)]).await.is_err() {
                self.lost_record = Some(record);
                return;
            }
        }
    }
}

fn longer(pause: Duration) -> Duration {
    pause.saturating_mul(2).min(PAUSE.1)
}
