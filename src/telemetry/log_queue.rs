//! The queue between log lines and stderr. Logging never waits for the reader of stderr: a line that finds the queue full is
//! dropped and counted, and the number of dropped lines is logged once the reader has caught up.

use std::{
    cell::RefCell,
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
        mpsc::{self, Receiver, TryRecvError},
    },
    thread,
    time::{Duration, Instant},
};

use tracing_subscriber::fmt::MakeWriter;

use crate::model::redact;

/// Bytes of lines that may wait.
const CAPACITY: usize = 1024 * 1024;

/// While the queue never empties, dropped lines are reported this often.
const REPORT_INTERVAL: Duration = Duration::from_secs(10);

/// The pause before a retry where stderr is non-blocking and its pipe is full.
const RETRY: Duration = Duration::from_millis(10);

enum Message {
    Line(Box<[u8]>),
    Flush(mpsc::Sender<()>),
}

/// Queues lines for the thread that writes them.
#[derive(Debug, Clone)]
pub(super) struct LogQueue {
    messages: mpsc::Sender<Message>,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    queued_bytes: AtomicUsize,
    dropped: AtomicU64,
    unreported: AtomicU64,
}

impl Counts {
    fn drop_line(&self) {
        self.dropped.fetch_add(1, Relaxed);
        self.unreported.fetch_add(1, Relaxed);
    }
}

thread_local! {
    /// Lines that the writing thread logs itself: they must not wait in the queue that the thread empties.
    static CAPTURED: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

impl LogQueue {
    /// Starts the thread that writes to `output`.
    ///
    /// # Errors
    /// When the system has no thread.
    pub(super) fn start(output: impl Write + Send + 'static) -> io::Result<Self> {
        let (messages, coming) = mpsc::channel();
        let counts = Arc::<Counts>::default();
        let writer =
            QueueWriter { output, messages: coming, counts: Arc::clone(&counts), reported: Instant::now() };
        thread::Builder::new().name("log".to_owned()).spawn(move || writer.run())?;
        Ok(Self { messages, counts })
    }

    /// Waits until all earlier lines are written, up to `timeout`.
    pub(super) fn flush(&self, timeout: Duration) {
        let (done, flushed) = mpsc::channel();
        if self.messages.send(Message::Flush(done)).is_ok() {
            let _ = flushed.recv_timeout(timeout);
        }
    }

    /// Lines that were dropped since the start.
    pub(super) fn dropped(&self) -> u64 {
        self.counts.dropped.load(Relaxed)
    }

    fn put(&self, line: &[u8]) {
        let room = |queued: usize| queued.checked_add(line.len()).filter(|bytes| *bytes <= CAPACITY);
        if self.counts.queued_bytes.fetch_update(Relaxed, Relaxed, room).is_err()
            || self.messages.send(Message::Line(line.into())).is_err()
        {
            self.counts.drop_line();
        }
    }
}

impl<'a> MakeWriter<'a> for LogQueue {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> &'a Self {
        self
    }
}

/// The layer writes each line in one call. Credentials are redacted, because other crates log parts of connections and statements, and
/// errors quote requests.
impl Write for &LogQueue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let (length, line) = (line.len(), String::from_utf8_lossy(line));
        let line = redact(&line);
        let line = line.as_bytes();
        let captured = CAPTURED.with_borrow_mut(|captured| {
            captured.as_mut().map(|captured| captured.extend_from_slice(line)).is_some()
        });
        if !captured {
            self.put(line);
        }
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The writing thread.
struct QueueWriter<W> {
    output: W,
    messages: Receiver<Message>,
    counts: Arc<Counts>,
    /// When dropped lines were last reported.
    reported: Instant,
}

impl<W: Write> QueueWriter<W> {
    fn run(mut self) {
        // After a failed write, nothing is reported before a line could be written again.
        let mut writable = true;
        loop {
            let message = match self.messages.try_recv() {
                Ok(message) => message,
                Err(TryRecvError::Disconnected) => return,
                Err(TryRecvError::Empty) => {
                    if writable {
                        writable = self.report();
                    }
                    let Ok(message) = self.messages.recv() else { return };
                    message
                }
            };
            match message {
                Message::Line(line) => {
                    writable = self.write(&line).is_ok();
                    self.counts.queued_bytes.fetch_sub(line.len(), Relaxed);
                    if !writable {
                        self.counts.drop_line();
                    } else if self.reported.elapsed() > REPORT_INTERVAL {
                        writable = self.report();
                    }
                }
                Message::Flush(done) => {
                    if writable {
                        writable = self.report();
                    }
                    // The receiver may have timed out.
                    let _ = done.send(());
                }
            }
        }
    }

    /// Logs how many lines were dropped since the last report, if any. Returns whether stderr could be written.
    fn report(&mut self) -> bool {
        let dropped = self.counts.unreported.swap(0, Relaxed);
        if dropped == 0 {
            return true;
        }
        self.reported = Instant::now();
        CAPTURED.set(Some(Vec::new()));
        // An error, so that it appears with every filter but `off`.
        tracing::error!(dropped, "log lines were dropped: stderr was not read fast enough, or failed");
        let line = CAPTURED.take().unwrap_or_default();
        let written = self.write(&line).is_ok();
        if !written {
            self.counts.unreported.fetch_add(dropped, Relaxed);
        }
        written
    }

    /// Writes a whole line, however long the reader takes.
    fn write(&mut self, mut rest: &[u8]) -> io::Result<()> {
        while !rest.is_empty() {
            match self.output.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => rest = rest.get(written..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Another process made the pipe non-blocking.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::park_timeout(RETRY),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
