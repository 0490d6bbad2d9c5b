//! Keeping TLS up to date with its files.

use std::{
    fmt::{self, Error},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
};
use tokio_rustls::TlsAcceptor;

use super::{
    configs::Configs,
    files::{Contents, TlsError, TlsFiles},
};

/// What TLS works with now. Certificate, key and client authority are replaced together, or not at all: handshakes that have
/// begun, and connections, go on with what they began with.
pub struct TlsKeeper {
    files: TlsFiles,
    current: ArcSwap<Configs>,
    state: Mutex<State>,
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
    /// Reads the files.
    ///
    /// # Errors
    /// When a file cannot be read, or they do not go together.
    pub fn open(files: TlsFiles) -> Result<Self, TlsError> {
        let contents = Contents::read(&files)?;
        let current = ArcSwap::from_pointee(Configs::new(&contents, &files)?);
        let state = Mutex::new(State { digest: contents.digest(), problem: None });
        Ok(Self { files, current, state, replaced: AtomicU64::new(0), failed: AtomicU64::new(0) })
    }

    /// Reads the files again, and takes over what they hold if it is other than before and can be used. If it cannot, all
    /// stays as it was; that is logged once.
    pub fn check(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (digest, read) = match Contents::read(&self.files) {
            Ok(contents) => {
                let digest = contents.digest();
                let is_known_bad =
                    state.problem.as_ref().is_some_and(|problem| problem.digest == Some(digest));
                if digest == state.digest {
                    if state.problem.take().is_some() {
                        tracing::info!("the TLS files are again what is in use");
                    }
                    return;
                }
                if is_known_bad {
                    return;
                }
                (Some(digest), Configs::new(&contents, &self.files))
            }
            Err(error) => (None, Err(error)),
        };
        match (read, digest) {
            (Ok(configs), Some(digest)) => {
                let expires_at = configs.expires_at;
                self.current.store(Arc::new(configs));
                *state = State { digest, problem: None };
                self.replaced.fetch_add(1, Relaxed);
                tracing::info!(expires_at, "the TLS files were replaced");
            }
            (Err(error), digest) => {
                let problem = Some(Problem { digest, text: error.to_string() });
                if state.problem != problem {
                    self.failed.fetch_add(1, Relaxed);
                    tracing::error!(%error, "the TLS files cannot be used; those of before stay in use");
                    state.problem = problem;
                }
            }
            (Ok(_), None) => {}
        }
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

impl Collector for TlsKeeper {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let help = "Times that changed TLS files were taken over, or could not be used";
        let mut reloads = encoder.encode_descriptor("tokend_tls_reloads", help, None, MetricType::Counter)?;
        for (result, count) in [("replaced", &self.replaced), ("failed", &self.failed)] {
            let labels = [("result", result)];
            ConstCounter::new(count.load(Relaxed)).encode(reloads.encode_family(&labels)?)?;
        }
        let is_bad = self.state.lock().unwrap_or_else(PoisonError::into_inner).problem.is_some();
        let help = "Whether the TLS files are such as can be used: 0 while older contents are in use";
        let usable = encoder.encode_descriptor("tokend_tls_files_usable", help, None, MetricType::Gauge)?;
        ConstGauge::new(u64::from(!is_bad)).encode(usable)?;
        if let Some(expires_at) = self.current.load().expires_at {
            let name = "tokend_tls_certificate_expires_at_seconds";
            let help = "When the server's certificate expires, in seconds since 1970";
            let expires = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            ConstGauge::new(expires_at).encode(expires)?;
        }
        Ok(())
    }
}
