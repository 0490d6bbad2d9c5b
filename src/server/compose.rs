//! Building a server from its settings.

use std::sync::Arc;

use tokio::sync::Mutex;

use super::{CallerSources, Serving, Settings, follow::Follower, gauges};
use crate::{
    access::{
        Authenticator, ClientRegistry, Directory, KeyRegistry, LoginLimits, PasswordHasher, RegistryError,
        TrustedIssuers, UsedAssertions, UserRegistry,
    },
    admission::Admission,
    audit::{AuditLog, AuditOpenError},
    clock::Clock,
    grpc::{
        self, Drain, Edge, EdgeParts, Health, LoginMetrics, ReflectionError, RequestResponses, RevokeMetrics,
        RpcMetrics, SessionMetrics, TokenMetrics,
    },
    http::{self, Readiness},
    keys::{KeyError, KeyManager, KeyRing, Verifiers},
    listen::{CallMemory, ListenMetrics, TlsError, TlsKeeper},
    metrics::MetricsRegistry,
    model::{ClientId, ClientRecord, ClientSecret, ClientSettings, KeyId},
    random::RandomError,
    revocations::Revocations,
    store::{self, ClockGuard, OpenError, Store, StoreError},
    telemetry::{TraceError, Traces, register_log_metrics},
    tokens::{Exchanger, Introspector, Issuer, Logins, Revoker, Sessions},
};

/// Why a server cannot start. Each text names the setting to look at.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store cannot be opened.
    #[error("setting `store`: {0}")]
    Open(#[from] OpenError),
    /// The store failed after it was opened.
    #[error("setting `store`: {0}")]
    Store(#[from] StoreError),
    /// The keys cannot be used.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// There is no randomness.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// The TLS files cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The audit log cannot be written.
    #[error(transparent)]
    Audit(#[from] AuditOpenError),
    /// Traces cannot be sent.
    #[error(transparent)]
    Traces(#[from] TraceError),
    /// The binary is damaged.
    #[error(transparent)]
    Reflection(#[from] ReflectionError),
}

/// A server that could serve: its store is open, its keys are loaded.
pub struct Server {
    pub(super) serving: Serving,
    pub(super) store: Arc<Store>,
    pub(super) ring: Arc<KeyRing>,
    pub(super) key_manager: Arc<KeyManager>,
    pub(super) follower: Arc<Follower>,
    pub(super) tls: Option<Arc<TlsKeeper>>,
    pub(super) call_memory: Arc<CallMemory>,
    /// Those of the ports for gRPC, for HTTP and for the metrics.
    pub(super) port_metrics: [Arc<ListenMetrics>; 3],
    pub(super) edge: Edge,
    pub(super) audit: Arc<AuditLog>,
    pub(super) traces: Option<Traces>,
    pub(super) drain: Drain,
    pub(super) health: Health,
    pub(super) readiness: Readiness,
    pub(super) http: axum::Router,
    pub(super) metrics: axum::Router,
    pub(super) responses: Arc<RequestResponses>,
    clients: Arc<ClientRegistry>,
}

/// Makes a server's rounds by hand, for whoever moves its clock.
#[derive(Debug, Clone)]
pub struct Rounds(Arc<Follower>);

impl Rounds {
    /// Brings keys and clients in memory to the store's state, does what is due with the keys, and tells the other
    /// replicas what is held here.
    ///
    /// # Errors
    /// When the store fails or holds what makes no sense.
    pub async fn make(&self) -> Result<(), StartError> {
        self.0.round().await?;
        // What a round only begins, because nobody should wait for other servers, whoever makes it by hand waits for.
        self.0.settled().await;
        Ok(())
    }
}

impl Server {
    /// Opens the store, loads the keys (or makes the first ones), and builds the services.
    ///
    /// # Errors
    /// See [`StartError`]; nothing has been served, and nothing that was stored has been overwritten.
    pub async fn open(settings: Settings, clock: Arc<dyn Clock>) -> Result<Self, StartError> {
        // Files first: they cost nothing, and a mistake in them must not leave a fresh store behind.
        let tls = tls(&settings, &clock)?;
        let audit = AuditLog::open(settings.audit.clone(), Arc::clone(&clock)).await?;
        let store = store::open(&settings.store).await?;
        let assembled = Self::assemble(settings, Arc::clone(&store), tls, audit, clock).await;
        if assembled.is_err() {
            // Else SQLite's files beside the database would stay behind.
            store.close().await;
        }
        assembled
    }

    /// The same on a store that is open already. `settings.store` is not looked at.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn with_store(
        settings: Settings,
        store: Arc<Store>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StartError> {
        let tls = tls(&settings, &clock)?;
        let audit = AuditLog::open(settings.audit.clone(), Arc::clone(&clock)).await?;
        Self::assemble(settings, store, tls, audit, clock).await
    }

    async fn assemble(
        settings: Settings,
        store: Arc<Store>,
        tls: Option<Arc<TlsKeeper>>,
        audit: AuditLog,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StartError> {
        let audit = Arc::new(audit);
        let traces = settings.traces.as_ref().map(Traces::start).transpose()?;
        let mut metrics = MetricsRegistry::default();
        store.register_metrics(&mut metrics);
        let admits_read_only = settings.store.admits_read_only();
        let Settings {
            keys,
            callers,
            caller_sources,
            rules,
            issue,
            verify,
            discovery,
            people,
            sessions,
            revocations,
            watches,
            trust_privacy,
            max_message_bytes,
            serving,
            ..
        } = settings;
        let limits = settings.calls;
        let guard = Arc::new(ClockGuard::new(Arc::clone(&store), Arc::clone(&clock)));
        let ring = Arc::new(KeyRing::open(Arc::clone(&store), keys, Arc::clone(&clock)).await?);
        // Only now: a server that does not start leaves the store as it was.
        guard.observe().await?;
        let verifiers = Arc::new(Verifiers::default());
        let key_manager = Arc::new(KeyManager::new(
            Arc::clone(&store),
            Arc::clone(&ring),
            Arc::clone(&verifiers),
            Arc::clone(&clock),
            Arc::clone(&guard),
            Arc::clone(&audit),
        )?);
        // What was due while nobody ran is done before anything is signed.
        key_manager.reconcile().await?;
        let opening =
            Revocations::open(Arc::clone(&store), revocations, Arc::clone(&clock), Arc::clone(&guard));
        let revocations = Arc::new(opening.await?);
        // What is read after them is complete up to where they are.
        ring.refresh().await?;
        let jwks_dir = caller_sources.jwks_dir.clone();
        let sealer = Arc::clone(ring.sealer());
        let directory = Arc::new(Directory::open(Arc::clone(&store), sealer, jwks_dir).await?);
        revocations.publish(*revocations.loaded().borrow());
        let CallerSources { trusted_issuers, refresh, .. } = caller_sources;
        let issuers = Arc::new(TrustedIssuers::new(trusted_issuers, refresh, Arc::clone(&clock)));
        let used_assertions = Arc::new(UsedAssertions::new(Arc::clone(&store), Arc::clone(&clock)));
        let threads = tokio::runtime::Handle::current().metrics().num_workers();
        let admission = Arc::new(Admission::new(settings.admission, threads, Arc::clone(&clock)));
        let (health, readiness, drain) =
            (Health::not_serving().await, Readiness::starting(serving.ready_when_degraded), Drain::default());
        let follower = Arc::new(Follower {
            store: Arc::clone(&store),
            revocations: Arc::clone(&revocations),
            ring: Arc::clone(&ring),
            directory: Arc::clone(&directory),
            admission: Arc::clone(&admission),
            used_assertions: Arc::clone(&used_assertions),
            issuers: Arc::clone(&issuers),
            key_manager: Arc::clone(&key_manager),
            clock: Arc::clone(&clock),
            audit: Arc::clone(&audit),
            readiness: readiness.clone(),
            health: health.clone(),
            admits_read_only,
            accepts_writes: true.into(),
            guard: Arc::clone(&guard),
            seen: Mutex::default(),
        });
        let authenticator = Authenticator::new(
            callers,
            Arc::clone(&directory),
            used_assertions,
            Arc::clone(&issuers),
            &mut metrics,
            Arc::clone(&clock),
        )?;
        let clients =
            Arc::new(ClientRegistry::new(Arc::clone(&store), Arc::clone(&directory), Arc::clone(&clock)));

        let issuer_name = issue.issuer.clone();
        let issuer = Arc::new(Issuer::new(issue, Arc::clone(&ring), Arc::clone(&clock)));
        let hasher = Arc::new(PasswordHasher::new(people.hashing)?);
        let users = UserRegistry::new(Arc::clone(&store), Arc::clone(&hasher), Arc::clone(&clock));
        let limits_of_logins = LoginLimits::new(people.limits, Arc::clone(&clock))?;
        let verifier = Arc::new(grpc::verifier(verify, &ring, &revocations, &clock));
        let sessions = Arc::new(Sessions::new(
            sessions,
            Arc::clone(&store),
            Arc::clone(&issuer),
            Arc::clone(&ring),
            Arc::clone(&revocations),
            Arc::clone(&clock),
        ));
        let logins = Logins::new(
            Arc::clone(&store),
            hasher,
            limits_of_logins,
            Arc::clone(&issuer),
            Arc::clone(&sessions),
        );
        let revoker = Revoker::new(
            Arc::clone(&verifier),
            Arc::clone(&sessions),
            Arc::clone(&revocations),
            Arc::clone(&ring),
            Arc::clone(&store),
            Arc::clone(&clock),
        );
        let introspector = Introspector::new(Arc::clone(&verifier), Arc::clone(&sessions));
        let exchanger = Exchanger::new(
            Arc::clone(&verifier),
            Arc::clone(&issuers),
            Arc::clone(&issuer),
            Arc::clone(&clock),
        );

        let (calls, tokens) = (Arc::new(RpcMetrics::default()), Arc::new(TokenMetrics::default()));
        let port_metrics = ListenMetrics::register(&mut metrics, ["grpc", "http", "metrics"]);
        let call_memory = Arc::new(CallMemory::new(serving.call_memory));
        let login_metrics = Arc::new(LoginMetrics::default());
        let revoke_metrics = Arc::new(RevokeMetrics::default());
        let session_metrics = Arc::new(SessionMetrics::default());
        metrics.collector(Arc::clone(&calls));
        metrics.collector(Arc::clone(&tokens));
        metrics.collector(Arc::clone(&login_metrics));
        metrics.collector(Arc::clone(&revoke_metrics));
        metrics.collector(Arc::clone(&session_metrics));
        admission.register_metrics(&mut metrics);
        audit.register_metrics(&mut metrics);
        register_log_metrics(&mut metrics);
        issuers.register_metrics(&mut metrics);
        verifier.cache().register_metrics(&mut metrics);
        call_memory.register_metrics(&mut metrics);
        if let Some(tls) = &tls {
            tls.register_metrics(&mut metrics);
        }
        gauges::register_keys(&mut metrics, Arc::clone(&ring), Arc::clone(&verifiers));
        gauges::register_rows(&mut metrics, Arc::clone(&ring), Arc::clone(&directory));
        gauges::register_revocations(&mut metrics, Arc::clone(&revocations));
        gauges::register_process(&mut metrics, guard);
        let responses = Arc::new(RequestResponses::new(Arc::clone(&clock))?);
        let parts = grpc::Api {
            authenticator: Arc::new(authenticator),
            clients: Arc::clone(&clients),
            responses: Arc::clone(&responses),
            users: Arc::new(users),
            keys: Arc::new(KeyRegistry::new(Arc::clone(&key_manager), issuer_name, issuers)),
            ring: Arc::clone(&ring),
            verifiers,
            watches,
            privacy: trust_privacy,
            drain: drain.clone(),
            rules,
            issuer,
            verifier,
            logins,
            sessions,
            revoker,
            introspector,
            exchanger,
            revocations,
            tokens,
            login_metrics,
            revoke_metrics,
            session_metrics,
        };
        let services = grpc::services(parts, &health, max_message_bytes)?;
        let edge = EdgeParts {
            limits,
            drain: drain.clone(),
            metrics: calls,
            admission,
            audit: Arc::clone(&audit),
            spans: traces.as_ref().map(Traces::spans),
        };
        let edge = Edge::new(services, edge)?;
        let parts = http::Parts {
            ring: Arc::clone(&ring),
            discovery: Arc::new(discovery),
            readiness: readiness.clone(),
        };
        let metrics = Arc::new(metrics);
        let http = http::routes(parts, serving.metrics_on_http.then(|| Arc::clone(&metrics)));
        Ok(Self {
            serving,
            store,
            ring,
            key_manager,
            follower,
            tls,
            call_memory,
            port_metrics,
            edge,
            audit,
            traces,
            drain,
            health,
            readiness,
            http,
            metrics: http::metrics_routes(metrics),
            responses,
            clients,
        })
    }

    /// Makes a client exactly so, with `secret` or a fresh one as its only secret. For the one who runs the server: it asks
    /// for no permission.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn put_client(
        &self,
        client_id: ClientId,
        settings: ClientSettings,
        secret: Option<ClientSecret>,
    ) -> Result<ClientSecret, RegistryError> {
        self.clients.put(client_id, settings, secret).await
    }

    /// A client as the store has it; not found, too, if its row is not trusted. For the one who runs the server.
    ///
    /// # Errors
    /// When the store fails, or there is no such client.
    pub async fn stored_client(&self, client_id: &ClientId) -> Result<ClientRecord, RegistryError> {
        self.clients.stored(client_id).await
    }

    /// The key that signs by default.
    pub fn default_key_id(&self) -> Option<KeyId> {
        self.ring.default_key_id()
    }

    /// The store behind it.
    pub const fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// What keeps TLS up to date with its files, if there is TLS: for whoever hears that they changed.
    pub fn tls(&self) -> Option<Arc<TlsKeeper>> {
        self.tls.clone()
    }

    /// What does by hand what the server does on its rounds while it runs.
    pub fn rounds(&self) -> Rounds {
        Rounds(Arc::clone(&self.follower))
    }
}

fn tls(settings: &Settings, clock: &Arc<dyn Clock>) -> Result<Option<Arc<TlsKeeper>>, TlsError> {
    let open = |files| TlsKeeper::open(files, Arc::clone(clock));
    Ok(settings.tls.clone().map(open).transpose()?.map(Arc::new))
}
