//! Keeping TLS up to date with its files.

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
    configs::Configs,
    files::{Contents, TlsError, TlsFiles},
};
use crate::{clock::Clock, metrics::MetricsRegistry};

/// Contents are read again until they are twice the same, and so often at the most: between two files of one set, another set
/// may have been put in place.
const MOST_READS: u32 = 4;

/// What TLS works with now. Certificate, key and client authority are replaced together, or not at all: handshakes that have
/// begun, and connections, go on with what they began with.
pub struct TlsKeeper {
    files: TlsFiles,
    clock: Arc<dyn Clock>,
    current: ArcSwap<Configs>,
    /// Held while the files are read, which takes as long as their file system likes: nobody who serves waits for it.
    state: Mutex<State>,
    usable: AtomicBool,
    replaced: AtomicU64,
    failed: AtomicU64,
}

struct State {
    /// Of the contents in use.
    digest: [u8; 32],
    /// What is wrong with the files now.
    problem: Option<Problem>,
}

#[derive(PartialEq, Eq)]
struct Problem {
    /// Of the contents, where they could be read.
    digest: Option<[u8; 32]>,
    text: String,
}

impl TlsKeeper {
    /// Reads the files. A certificate that has expired is used until there is another: the log says so.
    ///
    /// # Errors
    /// When a file cannot be read, or they do not go together.
    pub fn open(files: TlsFiles, clock: Arc<dyn Clock>) -> Result<Self, TlsError> {
        let contents = read(&files, |_| false)?;
        let current = ArcSwap::from_pointee(Configs::new(&contents, &files)?);
        let state = Mutex::new(State { digest: contents.digest(), problem: None });
        let usable = AtomicBool::new(true);
        let keeper = Self {
            files,
            clock,
            current,
            state,
            usable,
            replaced: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        };
        keeper.check();
        Ok(keeper)
    }

    /// Reads the files again, and takes over what they hold if it is other than before and can be used. If it cannot, all
    /// stays as it was; that is logged once.
    pub fn check(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let in_use = state.digest;
        let contents = match read(&self.files, |digest| digest == in_use) {
            Ok(contents) => contents,
            Err(error) => return self.keep(&mut state, None, &error),
        };
        let digest = contents.digest();
        if digest == in_use {
            match self.valid(&self.current.load()) {
                Ok(()) if state.problem.is_some() => tracing::info!("the TLS files are again what is in use"),
                Ok(()) => {}
                Err(error) => return self.keep(&mut state, Some(digest), &error),
            }
        } else {
            match Configs::new(&contents, &self.files)
                .and_then(|configs| self.valid(&configs).map(|()| configs))
            {
                Ok(configs) => self.replace(configs),
                Err(error) => return self.keep(&mut state, Some(digest), &error),
            }
        }
        *state = State { digest, problem: None };
        self.usable.store(true, Relaxed);
    }

    fn replace(&self, configs: Configs) {
        let expires_at = configs.validity.map(|validity| validity.expires_at().seconds());
        self.current.store(Arc::new(configs));
        self.replaced.fetch_add(1, Relaxed);
        tracing::info!(expires_at, "the TLS files were replaced");
    }

    /// Says once what is wrong.
    fn keep(&self, state: &mut State, digest: Option<[u8; 32]>, error: &TlsError) {
        let problem = Some(Problem { digest, text: error.to_string() });
        if state.problem == problem {
            return;
        }
        if digest == Some(state.digest) {
            tracing::error!(%error, "the TLS files cannot be used, but are in use: there are no others");
        } else {
            tracing::error!(%error, "the TLS files cannot be used; those of before stay in use");
        }
        self.failed.fetch_add(1, Relaxed);
        self.usable.store(false, Relaxed);
        state.problem = problem;
    }

    fn valid(&self, configs: &Configs) -> Result<(), TlsError> {
        let problem = configs.validity.and_then(|validity| validity.problem(self.clock.now()));
        problem.map_or(Ok(()), |problem| {
            Err(TlsError::Validity { path: self.files.certificate.display().to_string(), problem })
        })
    }

    /// Registers the reloads, and the state of the files and of the certificate.
    pub fn register_metrics(self: &Arc<Self>, metrics: &mut MetricsRegistry) {
        let keeper = Arc::clone(self);
        metrics.on_scrape(move |scrape| {
            let reloads = [("replaced", &keeper.replaced), ("failed", &keeper.failed)];
            let reloads = reloads.map(|(result, count)| ([("result", result)], count.load(Relaxed)));
            let help = "Times that changed TLS files were taken over, or could not be used";
            scrape.counters("tokend_tls_reloads", help, reloads)?;
            let help = "Whether the TLS files are such as can be used: 0 while older contents are in use, or expired ones";
            scrape.gauge("tokend_tls_files_usable", help, keeper.usable.load(Relaxed))?;
            let Some(validity) = keeper.current.load().validity else { return Ok(()) };
            let help = "When the server's certificate expires, in seconds since 1970";
            scrape.gauge("tokend_tls_certificate_expires_at_seconds", help, validity.expires_at().seconds())
        });
    }

    /// Checks every `interval`, for ever. What Kubernetes does to files in a volume (it swaps a symbolic link above them)
    /// makes no difference: the contents are looked at.
    pub async fn run(self: Arc<Self>, interval: Duration) {
        loop {
            tokio::time::sleep(interval).await;
            let keeper = Arc::clone(&self);
            let _ = tokio::task::spawn_blocking(move || keeper.check()).await;
        }
    }
}

/// What the files hold once two readings agree, or the first if it is such as `is_known`.
fn read(files: &TlsFiles, is_known: impl Fn([u8; 32]) -> bool) -> Result<Contents, TlsError> {
    let mut contents = Contents::read(files)?;
    for _ in 1..MOST_READS {
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

impl fmt::Debug for TlsKeeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsKeeper").field("files", &self.files).finish_non_exhaustive()
    }
}

/// TLS as one port uses it.
#[derive(Debug, Clone)]
pub enum TlsUse {
    /// The gRPC port: HTTP/2, and client certificates if there is an authority for them.
    Grpc(Arc<TlsKeeper>),
    /// The HTTP port: HTTP/1.1, and no client certificates.
    Http(Arc<TlsKeeper>),
}

impl TlsUse {
    /// What the next handshake is made with.
    pub fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(match self {
            Self::Grpc(keeper) => Arc::clone(&keeper.current.load().grpc),
            Self::Http(keeper) => Arc::clone(&keeper.current.load().http),
        })
    }
}
