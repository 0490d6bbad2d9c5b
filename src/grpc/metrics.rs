//! What is counted on the gRPC port. Counting is a few atomic additions; names are put together at the scrape.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{MetricType, counter::ConstCounter},
};
use tonic::Code;

use crate::{
    metrics::Durations,
    model::{Algorithm, Reason},
    tokens::IssuedToken,
};

/// Calls by method and code. A method that is not ours counts as `other`, so that inventing names fills no memory.
#[derive(Debug)]
pub struct RpcMetrics {
    methods: HashMap<&'static str, Codes>,
    other: Codes,
}

type Codes = [Durations; 17];

/// Methods by their paths.
const METHODS: [&str; 33] = [
    "/tokend.v1.TokenService/IssueToken",
    "/tokend.v1.TokenService/VerifyToken",
    "/tokend.v1.TokenService/BatchVerifyTokens",
    "/tokend.v1.TokenService/Login",
    "/tokend.v1.TokenService/RefreshToken",
    "/tokend.v1.TokenService/RevokeToken",
    "/tokend.v1.TokenService/IntrospectToken",
    "/tokend.v1.TokenService/ExchangeToken",
    "/tokend.v1.SessionService/ListSessions",
    "/tokend.v1.SessionService/EndSession",
    "/tokend.v1.ClientService/CreateClient",
    "/tokend.v1.ClientService/GetClient",
    "/tokend.v1.ClientService/ListClients",
    "/tokend.v1.ClientService/UpdateClient",
    "/tokend.v1.ClientService/DeleteClient",
    "/tokend.v1.ClientService/RotateClientSecret",
    "/tokend.v1.UserService/CreateUser",
    "/tokend.v1.UserService/GetUser",
    "/tokend.v1.UserService/ListUsers",
    "/tokend.v1.UserService/UpdateUser",
    "/tokend.v1.UserService/SetUserPassword",
    "/tokend.v1.UserService/DeleteUser",
    "/tokend.v1.KeyService/ListKeys",
    "/tokend.v1.KeyService/CreateKey",
    "/tokend.v1.KeyService/ImportKey",
    "/tokend.v1.KeyService/RotateKeys",
    "/tokend.v1.KeyService/RevokeKey",
    "/tokend.v1.TrustBundleService/GetTrustBundle",
    "/tokend.v1.TrustBundleService/WatchTrustBundle",
    "/grpc.health.v1.Health/Check",
    "/grpc.health.v1.Health/Watch",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];

impl Default for RpcMetrics {
    fn default() -> Self {
        let methods = METHODS.into_iter().map(|path| (path, Codes::default())).collect();
        Self { methods, other: Codes::default() }
    }
}

impl RpcMetrics {
    /// The name under which a call to `path` is counted and logged: its path, or `other` for a method that is not ours.
    /// Such a path is the caller's own text, and may well be a token.
    pub(super) fn name(&self, path: &str) -> &'static str {
        self.methods.get_key_value(path).map_or("other", |(path, _)| path)
    }

    /// Counts one call.
    pub(super) fn observe(&self, path: &str, code: Code, duration: Duration) {
        let codes = self.methods.get(path).unwrap_or(&self.other);
        let index = usize::try_from(i32::from(code)).unwrap_or_default();
        if let Some(durations) = codes.get(index) {
            durations.observe(duration);
        }
    }

    fn observed(&self) -> impl Iterator<Item = (Labels, &Durations)> {
        let methods = METHODS.into_iter().filter_map(|path| Some((path, self.methods.get(path)?)));
        methods.chain([("other/other", &self.other)]).flat_map(|(path, codes)| {
            let (service, method) = path.trim_start_matches('/').split_once('/').unwrap_or_default();
            let calls = codes.iter().enumerate().filter(|(_, durations)| !durations.is_empty());
            calls.map(move |(index, durations)| {
                let code = Code::from_i32(i32::try_from(index).unwrap_or_default());
                (
                    [("grpc_service", service), ("grpc_method", method), ("grpc_code", code_name(code))],
                    durations,
                )
            })
        })
    }
}

type Labels = [(&'static str, &'static str); 3];

impl Collector for RpcMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let mut handled = encoder.encode_descriptor(
            "grpc_server_handled",
            "Calls that were answered, by method and code",
            None,
            MetricType::Counter,
        )?;
        for (labels, durations) in self.observed() {
            ConstCounter::new(durations.count()).encode(handled.encode_family(&labels)?)?;
        }
        let mut latency = encoder.encode_descriptor(
            "rpc_server_call_duration_seconds",
            "How long calls took, by method and code",
            None,
            MetricType::Histogram,
        )?;
        for (labels, durations) in self.observed() {
            durations.encode(&mut latency.encode_family(&labels)?)?;
        }
        Ok(())
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

/// Tokens that were issued, by algorithm, and verified, by result.
#[derive(Debug, Default)]
pub struct TokenMetrics {
    issued: [AtomicU64; Algorithm::ALL.len()],
    trusted: AtomicU64,
    refused: [AtomicU64; Reason::ALL.len()],
}

impl TokenMetrics {
    pub(super) fn issued(&self, token: &IssuedToken) {
        count(&Algorithm::ALL, &self.issued, &token.algorithm);
    }

    /// Counts a token that was verified, or refused for a reason.
    pub(super) fn verified(&self, refused: Option<Reason>) {
        match refused {
            None => {
                self.trusted.fetch_add(1, Relaxed);
            }
            Some(reason) => count(&Reason::ALL, &self.refused, &reason),
        }
    }
}

fn count<T: PartialEq>(all: &[T], counters: &[AtomicU64], one: &T) {
    if let Some((_, counter)) = all.iter().zip(counters).find(|(candidate, _)| *candidate == one) {
        counter.fetch_add(1, Relaxed);
    }
}

impl Collector for TokenMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let mut issued = encoder.encode_descriptor(
            "tokend_tokens_issued",
            "Tokens that were issued, by algorithm",
            None,
            MetricType::Counter,
        )?;
        for (algorithm, counter) in Algorithm::ALL.iter().zip(&self.issued) {
            let labels = [("algorithm", algorithm.name())];
            ConstCounter::new(counter.load(Relaxed)).encode(issued.encode_family(&labels)?)?;
        }
        let mut verified = encoder.encode_descriptor(
            "tokend_tokens_verified",
            "Tokens that were verified, by result",
            None,
            MetricType::Counter,
        )?;
        let refused = Reason::ALL.iter().zip(&self.refused).map(|(reason, counter)| (reason.name(), counter));
        for (result, counter) in [("OK", &self.trusted)].into_iter().chain(refused) {
            let labels = [("result", result)];
            ConstCounter::new(counter.load(Relaxed)).encode(verified.encode_family(&labels)?)?;
        }
        Ok(())
    }
}
