//! Reloads TLS when its files change.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use tokio_rustls::TlsAcceptor;

use super::{
    certificate::Validity,
    config::Configs,
    files::{Contents, TlsError, TlsFiles},
};
use crate::{clock::Clock, metrics::MetricsRegistry, model::UnixTime};

/// Attempts to read the same contents twice in a row: another set of files may be put in place between two reads.
const MAX_READS: u32 = 4;

/// The TLS configuration in use. Certificate, key and client CA are replaced together or not at all. Open connections keep the
/// configuration of their handshake.
pub struct TlsReloader {
    files: TlsFiles,
    clock: Arc<dyn Clock>,
    current: ArcSwap<Configs>,
    /// Locked while the files are read, however long their file system takes. Serving does not need it.
    state: Mutex<State>,
    usable: AtomicBool,
    replaced: AtomicU64,
    failed: AtomicU64,
}

struct State {
    /// Digest of the contents in use.
    digest: [u8; 32],
    /// Why the files cannot be used now.
    problem: Option<Problem>,
}

#[derive(PartialEq, Eq)]
struct Problem {
    /// Digest of the contents, if they could be read.
    digest: Option<[u8; 32]>,
    text: String,
}

impl TlsReloader {
    /// Reads the files. An expired certificate is used, and logged, until there is another.
    ///
    /// # Errors
    /// When a file cannot be read, or the files do not match.
    pub fn open(files: TlsFiles, clock: Arc<dyn Clock>) -> Result<Self, TlsError> {
        let contents = read(&files, |_| false)?;
        let current = ArcSwap::from_pointee(Configs::new(&contents, &files)?);
        let reloader = Self {
            files,
            clock,
            current,
            state: Mutex::new(State { digest: contents.digest(), problem: None }),
            usable: AtomicBool::new(true),
            replaced: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        };
        reloader.reload();
        Ok(reloader)
    }

    /// The host names in the certificate in use, and its end.
    pub fn certificate(&self) -> (Vec<String>, Option<UnixTime>) {
        let current = self.current.load();
        (current.names.clone(), current.validity.map(Validity::expires_at))
    }

    /// Reads the files again, and uses their contents if they have changed and are valid. Otherwise logs the problem once, and keeps
    /// the configuration.
    pub fn reload(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let in_use = state.digest;
        let contents = match read(&self.files, |digest| digest == in_use) {
            Ok(contents) => contents,
            Err(error) => return self.keep(&mut state, None, &error),
        };
        let digest = contents.digest();
        let checked = if digest == in_use {
            self.check_validity(&self.current.load()).map(|()| None)
        } else {
            Configs::new(&contents, &self.files)
                .and_then(|configs| self.check_validity(&configs).map(|()| Some(configs)))
        };
        match checked {
            Ok(Some(configs)) => self.replace(configs),
            Ok(None) if state.problem.is_some() => {
                tracing::info!("the TLS files are usable again; they are those in use");
            }
            Ok(None) => {}
            Err(error) => return self.keep(&mut state, Some(digest), &error),
        }
        *state = State { digest, problem: None };
        self.usable.store(true, Relaxed);
    }

    fn replace(&self, configs: Configs) {
        let expires_at = configs.validity.map(|validity| validity.expires_at().seconds());
        self.current.store(Arc::new(configs));
        self.replaced.fetch_add(1, Relaxed);
        tracing::info!(expires_at, "TLS files reloaded");
    }

    fn keep(&self, state: &mut State, digest: Option<[u8; 32]>, error: &TlsError) {
        let problem = Some(Problem { digest, text: error.to_string() });
        if state.problem == problem {
            return;
        }
        if digest == Some(state.digest) {
            tracing::error!(%error, "the TLS files in use are not valid now");
        } else {
            tracing::error!(%error, "the TLS files cannot be used; the previous ones stay in use");
        }
        self.failed.fetch_add(1, Relaxed);
        self.usable.store(false, Relaxed);
        state.problem = problem;
    }

    fn check_validity(&self, configs: &Configs) -> Result<(), TlsError> {
        let problem = configs.validity.and_then(|validity| validity.problem(self.clock.now()));
        problem.map_or(Ok(()), |problem| {
            Err(TlsError::Validity { path: self.files.certificate.display().to_string(), problem })
        })
    }

    /// Registers the reloads, and the state of the files and of the certificate.
    pub fn register_metrics(self: &Arc<Self>, metrics: &mut MetricsRegistry) {
        let reloader = Arc::clone(self);
        metrics.on_scrape(move |scrape| {
            let reloads = [("replaced", &reloader.replaced), ("failed", &reloader.failed)];
            let reloads = reloads.map(|(result, count)| ([("result", result)], count.load(Relaxed)));
            let help = "Times that changed TLS files were taken over, or could not be used";
            scrape.counters("tokend_tls_reloads", help, reloads)?;
            let help = "Whether the TLS files are such as can be used: 0 while older contents are in use, or expired ones";
            scrape.gauge("tokend_tls_files_usable", help, reloader.usable.load(Relaxed))?;
            let Some(validity) = reloader.current.load().validity else { return Ok(()) };
            let help = "When the server's certificate expires, in seconds since 1970";
            scrape.gauge("tokend_tls_certificate_expires_at_seconds", help, validity.expires_at().seconds())
        });
    }

    /// Whether the files can be used; otherwise their former contents are in use.
    pub fn is_usable(&self) -> bool {
        self.usable.load(Relaxed)
    }

    /// Reloads every `interval`, for ever. The contents are compared, so that the symbolic links that Kubernetes swaps in a volume
    /// need no special case.
    pub async fn run(self: Arc<Self>, interval: Duration) {
        loop {
            tokio::time::sleep(interval).await;
            let reloader = Arc::clone(&self);
            let _ = tokio::task::spawn_blocking(move || reloader.reload()).await;
        }
    }
}

/// Reads the files until two reads in a row agree, or one satisfies `is_known`.
fn read(files: &TlsFiles, is_known: impl Fn([u8; 32]) -> bool) -> Result<Contents, TlsError> {
    let mut contents = Contents::read(files)?;
    for _ in 1..MAX_READS {
        let digest = contents.digest();
        if is_known(digest) {
            break;
        }
        contents = Contents::read(files)?;
        if contents.digest() == digest {
            break;
        }
    }
    Ok(contents)
}

impl fmt::Debug for TlsReloader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsReloader").field("files", &self.files).finish_non_exhaustive()
    }
}

/// TLS of one port.
#[derive(Debug, Clone)]
pub enum PortTls {
    /// The gRPC port: HTTP/2, and client certificates if there is a CA for them.
    Grpc(Arc<TlsReloader>),
    /// The HTTP port: HTTP/1.1, no client certificates.
    Http(Arc<TlsReloader>),
}

impl PortTls {
    /// The acceptor for the next handshake.
    pub fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(match self {
            Self::Grpc(reloader) => Arc::clone(&reloader.current.load().grpc),
            Self::Http(reloader) => Arc::clone(&reloader.current.load().http),
        })
    }
}
