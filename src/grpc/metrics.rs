//! Metrics of the gRPC port. Counting takes a few atomic additions; labels are made at the scrape.

use std::{sync::Arc, time::Duration};

use tonic::Code;

use super::methods::{METHODS, MethodIndex};
use crate::{
    access::HashError,
    metrics::{Counter, Durations, MetricsRegistry},
    model::{Algorithm, Reason, RevocationTarget},
    tokens::{IssuedToken, LoggedIn, LoginError, RefreshOutcome, RefreshedSession, SessionError},
};

/// Calls by method and code. Methods that are not served count as `other`, so that invented names take no memory.
#[derive(Debug)]
pub struct RpcMetrics {
    methods: Vec<[Durations; 17]>,
}

impl RpcMetrics {
    /// Registers the metrics.
    pub fn register(metrics: &mut MetricsRegistry) -> Arc<Self> {
        // The last entry is for methods that are not served.
        let methods = (0..=METHODS.len()).map(|_| <[Durations; 17]>::default()).collect();
        let rpc = Arc::new(Self { methods });
        let scraped = Arc::clone(&rpc);
        metrics.on_scrape(move |scrape| {
            let (name, help) = ("grpc_server_handled", "Calls that were answered, by method and code");
            let counts = scraped.observed().filter(|(_, durations)| !durations.is_empty());
            scrape.counters(name, help, counts.map(|(labels, durations)| (labels, durations.count())))?;
            let (name, help) = ("rpc_server_call_duration", "How long calls took, by method and code");
            scrape.durations(name, help, scraped.observed())
        });
        rpc
    }

    /// Counts a call.
    pub(super) fn observe(&self, method: MethodIndex, code: Code, duration: Duration) {
        let index = usize::try_from(i32::from(code)).unwrap_or_default();
        if let Some(durations) = self.methods.get(method.0).and_then(|codes| codes.get(index)) {
            durations.observe(duration);
        }
    }

    fn observed(&self) -> impl Iterator<Item = ([(&'static str, &'static str); 3], &Durations)> {
        let paths = METHODS.iter().map(|method| method.path).chain(["other/other"]);
        paths.zip(&self.methods).flat_map(|(path, codes)| {
            let (service, method) = path.trim_start_matches('/').split_once('/').unwrap_or_default();
            codes.iter().enumerate().map(move |(index, durations)| {
                let code = code_name(Code::from_i32(i32::try_from(index).unwrap_or_default()));
                ([("grpc_service", service), ("grpc_method", method), ("grpc_code", code)], durations)
            })
        })
    }
}

/// The code's name in the gRPC specification.
pub(super) const fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

/// Counters of what the methods did.
#[derive(Debug)]
pub struct ApiMetrics {
    issued: [Counter; Algorithm::ALL.len()],
    /// The valid tokens, then the refused ones in the order of [`Reason::ALL`].
    verified: [Counter; Reason::ALL.len() + 1],
    logins: [Counter; 5],
    sessions_begun: Counter,
    refreshes: [Counter; 6],
    revocations: [Counter; 4],
}

impl ApiMetrics {
    /// Registers the metrics.
    pub fn register(metrics: &mut MetricsRegistry) -> Self {
        let (name, help) = ("tokend_tokens_issued", "Tokens that were issued, by algorithm");
        let issued = metrics.counters(name, help, "algorithm", Algorithm::ALL.map(Algorithm::name));
        let mut results = ["OK"; Reason::ALL.len() + 1];
        for (result, reason) in results.iter_mut().skip(1).zip(Reason::ALL) {
            *result = reason.name();
        }
        let (name, help) = ("tokend_tokens_verified", "Tokens that were verified, by result");
        let verified = metrics.counters(name, help, "result", results);
        let results = ["OK", "LOGIN_FAILED", "RATE_LIMITED", "SCOPE_NOT_ALLOWED", "ERROR"];
        let logins = metrics.counters("tokend_logins", "Logins, by result", "result", results);
        let sessions_begun = metrics.counter("tokend_sessions_begun", "Sessions that were begun");
        let outcomes = ["rotated", "repeated", "invalid", "reused", "denied", "error"];
        let help = "Uses of refresh tokens, by outcome";
        let refreshes = metrics.counters("tokend_refreshes", help, "outcome", outcomes);
        let help = "Revocations that RevokeToken made durable, by what they are of";
        let targets = ["token", "session", "subject", "client"];
        let revocations = metrics.counters("tokend_revocations_made", help, "target", targets);
        Self { issued, verified, logins, sessions_begun, refreshes, revocations }
    }

    pub(super) fn issued(&self, token: &IssuedToken) {
        increment(&self.issued, Algorithm::ALL.iter().position(|algorithm| *algorithm == token.algorithm));
    }

    /// Counts a verified token; `refused` is the reason of a refused one.
    pub(super) fn verified(&self, refused: Option<Reason>) {
        let index = |reason| Reason::ALL.iter().position(|candidate| *candidate == reason);
        increment(&self.verified, refused.map_or(Some(0), |reason| index(reason).map(|index| index + 1)));
    }

    /// Counts a login that the policy allowed the client to try.
    pub(super) fn login(&self, outcome: &Result<LoggedIn, LoginError>) {
        let index = match outcome {
            Ok(_) => 0,
            Err(LoginError::Failed(_)) => 1,
            Err(LoginError::Limited(_) | LoginError::Hash(HashError::Busy { .. })) => 2,
            Err(LoginError::Denied(_)) => 3,
            Err(
                LoginError::Store(_) | LoginError::Hash(_) | LoginError::Issue(_) | LoginError::Session(_),
            ) => 4,
        };
        increment(&self.logins, Some(index));
    }

    pub(super) fn session_begun(&self) {
        self.sessions_begun.inc();
    }

    /// Counts a refresh that the policy allowed the client to try.
    pub(super) fn refreshed(&self, outcome: &Result<RefreshedSession, SessionError>) {
        let index = match outcome {
            Ok(RefreshedSession { outcome: RefreshOutcome::Rotated, .. }) => 0,
            Ok(RefreshedSession { outcome: RefreshOutcome::Repeated, .. }) => 1,
            Err(SessionError::Invalid(_)) => 2,
            Err(SessionError::Reused(_)) => 3,
            Err(SessionError::Policy(_) | SessionError::RequestIdReused(_)) => 4,
            Err(
                SessionError::Store(_)
                | SessionError::Contended
                | SessionError::Issue(_)
                | SessionError::Random(_)
                | SessionError::Seal(_),
            ) => 5,
        };
        increment(&self.refreshes, Some(index));
    }

    /// Counts a durable revocation.
    pub(super) fn revoked(&self, target: &RevocationTarget) {
        increment(
            &self.revocations,
            match target {
                RevocationTarget::Token(_) => Some(0),
                RevocationTarget::Session(_) => Some(1),
                RevocationTarget::Subject(..) => Some(2),
                RevocationTarget::Client(..) => Some(3),
                // No method makes such a revocation.
                RevocationTarget::Everything(_) => None,
            },
        );
    }
}

fn increment(counters: &[Counter], index: Option<usize>) {
    if let Some(counter) = index.and_then(|index| counters.get(index)) {
        counter.inc();
    }
}
