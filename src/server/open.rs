//! Builds a server from its settings.

use std::sync::Arc;

use super::{Serving, Settings, StartError, follow::Follower, state::State, status::ReplicaStatus};
use crate::{
    access::{
        Authenticator, ClientRegistry, KeyRegistry, LoginLimits, PasswordHasher, RegistryError, UserRegistry,
    },
    admission::Admission,
    audit::AuditLog,
    clock::Clock,
    grpc::{self, ApiMetrics, Drain, Edge, EdgeParts, Health, RequestResponses, RpcMetrics},
    http::{self, Readiness},
    listen::{CallMemory, ListenMetrics, TlsError, TlsReloader},
    metrics::MetricsRegistry,
    model::{ClientId, ClientRecord, ClientSecret, ClientSettings, KeyId},
    oauth,
    store::{self, Store},
    telemetry::{Traces, register_log_metrics},
    tokens::{Exchanger, Introspector, Issuer, Logins, Revoker, Sessions},
};

/// A server whose store is open and whose state is loaded.
pub struct Server {
    pub(super) serving: Serving,
    pub(super) state: State,
    pub(super) follower: Arc<Follower>,
    pub(super) tls: Option<Arc<TlsReloader>>,
    pub(super) audit: Arc<AuditLog>,
    pub(super) traces: Option<Traces>,
    pub(super) edge: Edge,
    pub(super) drain: Drain,
    pub(super) responses: Arc<RequestResponses>,
    pub(super) health: Health,
    pub(super) readiness: Readiness,
    pub(super) http: axum::Router,
    pub(super) metrics: axum::Router,
    pub(super) call_memory: Arc<CallMemory>,
    /// The metrics of the ports for gRPC, HTTP and metrics, and of the Unix socket for gRPC.
    pub(super) port_metrics: [Arc<ListenMetrics>; 4],
    clients: Arc<ClientRegistry>,
}

/// Runs the server's rounds on demand, for tests that move its clock.
#[derive(Debug, Clone)]
pub struct Rounds(Arc<Follower>);

impl Rounds {
    /// Loads what has changed in the store, executes due key operations, and reports to the other replicas.
    ///
    /// # Errors
    /// When the store fails, or holds an invalid row.
    pub async fn make(&self) -> Result<(), StartError> {
        self.0.round().await?;
        self.0.wait_for_fetches().await;
        Ok(())
    }
}

impl Server {
    /// Opens the store, loads the state (or makes the first keys), and builds the services.
    ///
    /// # Errors
    /// See [`StartError`]. Nothing stored has then been overwritten.
    pub async fn open(settings: Settings, clock: Arc<dyn Clock>) -> Result<Self, StartError> {
        // Files are checked first: a mistake in them must not leave a new store behind.
        let tls = open_tls(&settings, &clock)?;
        let audit = AuditLog::open(settings.audit.clone(), clock.clone()).await?;
        let store = store::open_with(&settings.store, &settings.opening).await?;
        let server = Self::build(settings, store.clone(), tls, audit, clock).await;
        if server.is_err() {
            // SQLite's files beside the database would otherwise remain.
            store.close().await;
        }
        server
    }

    /// As [`Self::open`], on an open store in place of `settings.store`.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn with_store(
        settings: Settings,
        store: Arc<Store>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StartError> {
        let tls = open_tls(&settings, &clock)?;
        let audit = AuditLog::open(settings.audit.clone(), clock.clone()).await?;
        Self::build(settings, store, tls, audit, clock).await
    }

    async fn build(
        settings: Settings,
        store: Arc<Store>,
        tls: Option<Arc<TlsReloader>>,
        audit: AuditLog,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StartError> {
        let mut metrics = MetricsRegistry::default();
        let start_time = clock.now();
        let (serving, audit) = (settings.serving, Arc::new(audit));
        let traces = settings.traces.as_ref().map(Traces::start).transpose()?;
        store.register_metrics(&mut metrics);

        let state = State::load(
            store.clone(),
            settings.keys,
            settings.revocations,
            settings.caller_sources,
            audit.clone(),
            clock.clone(),
        )
        .await?;
        let threads = tokio::runtime::Handle::current().metrics().num_workers();
        let admission = Arc::new(Admission::new(settings.admission, threads, clock.clone()));
        let health = Health::not_serving().await;
        let readiness = Readiness::starting(serving.ready_when_degraded);
        let follower = Arc::new(Follower::new(
            state.clone(),
            admission.clone(),
            audit.clone(),
            readiness.clone(),
            health.clone(),
            settings.store.admits_read_only(),
        ));

        let authenticator = Authenticator::new(
            settings.callers,
            state.directory.clone(),
            state.used_assertions.clone(),
            state.issuers.clone(),
            &mut metrics,
            clock.clone(),
        )?;
        let clients = Arc::new(ClientRegistry::new(store.clone(), state.directory.clone(), clock.clone()));
        let hasher = Arc::new(PasswordHasher::new(settings.people.hashing)?);
        let users = UserRegistry::new(store.clone(), hasher.clone(), clock.clone());
        let keys =
            KeyRegistry::new(state.key_manager.clone(), settings.issue.issuer.clone(), state.issuers.clone());

        let issuer = Arc::new(Issuer::new(settings.issue, state.ring.clone(), clock.clone()));
        let verifier = Arc::new(grpc::verifier(settings.verify, &state.ring, &state.revocations, &clock));
        let sessions = Arc::new(Sessions::new(
            settings.sessions,
            store.clone(),
            issuer.clone(),
            state.ring.clone(),
            state.revocations.clone(),
            clock.clone(),
        ));
        let login_limits = LoginLimits::new(settings.people.limits, clock.clone())?;
        let logins = Logins::new(store.clone(), hasher, login_limits, issuer.clone(), sessions.clone());
        let revoker = Revoker::new(
            verifier.clone(),
            sessions.clone(),
            state.revocations.clone(),
            state.ring.clone(),
            store.clone(),
            clock.clone(),
        );
        let introspector = Introspector::new(verifier.clone(), sessions.clone());
        let exchanger =
            Exchanger::new(verifier.clone(), state.issuers.clone(), issuer.clone(), clock.clone());

        let rpc_metrics = RpcMetrics::register(&mut metrics);
        let api_metrics = ApiMetrics::register(&mut metrics);
        state.register_metrics(&mut metrics);
        admission.register_metrics(&mut metrics);
        audit.register_metrics(&mut metrics);
        register_log_metrics(&mut metrics);
        verifier.cache().register_metrics(&mut metrics);
        let call_memory = Arc::new(CallMemory::new(serving.call_memory));
        call_memory.register_metrics(&mut metrics);
        if let Some(tls) = &tls {
            tls.register_metrics(&mut metrics);
        }
        let port_metrics = ListenMetrics::register(&mut metrics, ["grpc", "http", "metrics", "grpc_socket"]);

        let drain = Drain::default();
        let responses = Arc::new(RequestResponses::new(clock)?);
        let status = ReplicaStatus {
            state: state.clone(),
            readiness: readiness.clone(),
            tls: tls.clone(),
            issuer: settings.discovery.issuer.clone(),
            store: settings.store.to_string(),
            start_time,
        };
        let services = grpc::Api {
            authenticator: Arc::new(authenticator),
            clients: clients.clone(),
            responses: responses.clone(),
            users: Arc::new(users),
            keys: Arc::new(keys),
            ring: state.ring.clone(),
            verifiers: state.verifiers.clone(),
            watches: settings.watches,
            privacy: settings.trust_privacy,
            drain: drain.clone(),
            rules: settings.rules,
            issuer,
            verifier,
            logins,
            sessions,
            revoker,
            introspector,
            exchanger,
            revocations: state.revocations.clone(),
            status: Arc::new(status),
            metrics: api_metrics,
        };
        let services = grpc::services(services, &health, settings.max_message_bytes)?;
        let edge = EdgeParts {
            limits: settings.calls,
            drain: drain.clone(),
            metrics: rpc_metrics,
            admission,
            audit: audit.clone(),
            spans: traces.as_ref().map(Traces::spans),
        };
        let edge = Edge::new(services, edge)?;
        let oauth = settings.discovery.oauth.is_some();
        let oauth = oauth.then(|| oauth::routes(&edge, &call_memory, &settings.discovery.issuer_path()));
        let documents = http::Parts {
            ring: state.ring.clone(),
            discovery: Arc::new(settings.discovery),
            readiness: readiness.clone(),
            page: serving.page,
        };
        let metrics = Arc::new(metrics);
        let http = http::routes(documents, serving.metrics_on_http.then(|| metrics.clone()))
            .merge(oauth.unwrap_or_default());
        Ok(Self {
            serving,
            state,
            follower,
            tls,
            audit,
            traces,
            edge,
            drain,
            responses,
            health,
            readiness,
            http,
            metrics: http::metrics_routes(metrics),
            call_memory,
            port_metrics,
            clients,
        })
    }

    /// Creates or replaces a client, with `secret` or a new one as its only secret. For the operator of this process: no permission
    /// is checked.
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

    /// Reads a client from the store. A client whose row fails its check counts as not found. For the operator of this process.
    ///
    /// # Errors
    /// When the store fails, or there is no such client.
    pub async fn stored_client(&self, client_id: &ClientId) -> Result<ClientRecord, RegistryError> {
        self.clients.stored(client_id).await
    }

    /// The default signing key.
    pub fn default_key_id(&self) -> Option<KeyId> {
        self.state.ring.default_key_id()
    }

    /// The store.
    pub const fn store(&self) -> &Arc<Store> {
        &self.state.store
    }

    /// Reloads TLS when asked, for a signal handler; none: plaintext.
    pub fn tls(&self) -> Option<Arc<TlsReloader>> {
        self.tls.clone()
    }

    /// Runs the server's rounds on demand.
    pub fn rounds(&self) -> Rounds {
        Rounds(self.follower.clone())
    }
}

fn open_tls(settings: &Settings, clock: &Arc<dyn Clock>) -> Result<Option<Arc<TlsReloader>>, TlsError> {
    let open = |files| TlsReloader::open(files, clock.clone());
    Ok(settings.tls.clone().map(open).transpose()?.map(Arc::new))
}
