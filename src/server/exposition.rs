//! The metrics, put together and written.

use std::sync::Arc;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _, text},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry::Registry,
};

use super::revocation_gauges::RevocationGauges;
use crate::{
    access::{AuthenticationMetrics, Directory, TrustedIssuers},
    admission::AdmissionMetrics,
    audit::AuditMetrics,
    grpc::{LoginMetrics, RevokeMetrics, RpcMetrics, SessionMetrics, TokenMetrics},
    http::WriteMetrics,
    keys::{KeyRing, Verifiers},
    listen::{CallMemory, CallMemoryMetrics, ListenMetrics, ListenMetricsOf, TlsKeeper},
    revocations::Revocations,
    store::{ClockGuard, StoreMetrics},
    telemetry::LogMetrics,
    tokens::TokenCache,
};

/// Everything that is counted.
#[derive(Debug)]
pub(super) struct Exposition {
    pub(super) calls: Arc<RpcMetrics>,
    pub(super) tokens: Arc<TokenMetrics>,
    pub(super) admission: AdmissionMetrics,
    pub(super) audit: Arc<AuditMetrics>,
    pub(super) authentications: Arc<AuthenticationMetrics>,
    pub(super) logins: Arc<LoginMetrics>,
    pub(super) revoked: Arc<RevokeMetrics>,
    pub(super) sessions: Arc<SessionMetrics>,
    pub(super) issuers: Arc<TrustedIssuers>,
    pub(super) store: Arc<StoreMetrics>,
    pub(super) ring: Arc<KeyRing>,
    pub(super) directory: Arc<Directory>,
    pub(super) clock: Arc<ClockGuard>,
    pub(super) verifiers: Arc<Verifiers>,
    pub(super) revocations: Arc<Revocations>,
    pub(super) verify_cache: Arc<TokenCache>,
    pub(super) call_memory: Arc<CallMemory>,
    pub(super) ports: Vec<Arc<ListenMetrics>>,
    pub(super) tls: Option<Arc<TlsKeeper>>,
}

impl Exposition {
    /// What writes it in the OpenMetrics text format.
    pub(super) fn into_writer(self) -> Arc<WriteMetrics> {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(self.calls));
        registry.register_collector(Box::new(self.tokens));
        registry.register_collector(Box::new(self.admission));
        registry.register_collector(Box::new(self.audit));
        registry.register_collector(Box::new(LogMetrics));
        registry.register_collector(Box::new(self.authentications));
        registry.register_collector(Box::new(self.logins));
        registry.register_collector(Box::new(self.revoked));
        registry.register_collector(Box::new(self.sessions));
        registry.register_collector(Box::new(self.issuers));
        registry.register_collector(Box::new(self.store));
        registry.register_collector(Box::new(self.verify_cache));
        registry.register_collector(Box::new(CallMemoryMetrics(self.call_memory)));
        registry.register_collector(Box::new(ListenMetricsOf(self.ports)));
        if let Some(tls) = self.tls {
            registry.register_collector(Box::new(tls));
        }
        registry.register_collector(Box::new(RevocationGauges(self.revocations)));
        registry.register_collector(Box::new(Gauges {
            ring: self.ring,
            directory: self.directory,
            clock: self.clock,
            verifiers: self.verifiers,
        }));
        Arc::new(move || {
            let mut written = String::new();
            text::encode(&mut written, &registry)?;
            Ok(written)
        })
    }
}

/// What is read at the scrape: each key, how old the view of the store is, who watches, and what was built.
#[derive(Debug)]
struct Gauges {
    ring: Arc<KeyRing>,
    directory: Arc<Directory>,
    clock: Arc<ClockGuard>,
    verifiers: Arc<Verifiers>,
}

impl Collector for Gauges {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let mut ages = encoder.encode_descriptor(
            "tokend_key_age_seconds",
            "Time since each key was made",
            None,
            MetricType::Gauge,
        )?;
        for (key_id, algorithm, age) in self.ring.ages() {
            let labels = [("key_id", key_id.as_str()), ("algorithm", algorithm.name())];
            ConstGauge::new(age.as_secs()).encode(ages.encode_family(&labels)?)?;
        }
        let mut usable = encoder.encode_descriptor(
            "tokend_key_usable",
            "Whether this replica can use each key as it should",
            None,
            MetricType::Gauge,
        )?;
        for (key_id, problem) in self.ring.usability() {
            let labels = [("key_id", key_id.as_str())];
            ConstGauge::new(u64::from(problem.is_none())).encode(usable.encode_family(&labels)?)?;
        }
        let help = "Whether the clock is trusted: without, keys do not rotate";
        let trusted = encoder.encode_descriptor("tokend_clock_trusted", help, None, MetricType::Gauge)?;
        ConstGauge::new(u64::from(self.clock.now().is_some())).encode(trusted)?;
        let counts = [("signing_keys", self.ring.row_counts()), ("clients", self.directory.row_counts())];
        for (name, help, count) in [
            ("tokend_rows_untrusted", "Stored rows that fail their check and are not used", 0),
            ("tokend_rows_unsigned", "Stored rows in use without a valid MAC", 1),
        ] {
            let mut rows = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for (table, (untrusted, unsigned)) in counts {
                let value = u64::try_from(if count == 0 { untrusted } else { unsigned }).unwrap_or(u64::MAX);
                ConstGauge::new(value).encode(rows.encode_family(&[("table", table)])?)?;
            }
        }
        let age = self.ring.view_age().as_secs();
        let help = "Time since the keys in memory were known to be the store's";
        let view = encoder.encode_descriptor("tokend_view_age_seconds", help, None, MetricType::Gauge)?;
        ConstGauge::new(age).encode(view)?;
        let lookups = self.ring.lookups();
        let help = "Calls that wait for a look-up of a key in the store";
        let name = "tokend_key_lookups_waiting";
        let waiting = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        ConstGauge::new(u64::try_from(lookups.waiting).unwrap_or(u64::MAX)).encode(waiting)?;
        let help = "Look-ups in the store for keys that are not in memory, by result";
        let mut ended = encoder.encode_descriptor("tokend_key_lookups", help, None, MetricType::Counter)?;
        for (result, count) in [("ok", lookups.succeeded), ("failed", lookups.failed)] {
            ConstCounter::new(count).encode(ended.encode_family(&[("result", result)])?)?;
        }
        let help = "Verifiers that watch the trust bundle at this replica";
        let watching = encoder.encode_descriptor("tokend_verifiers", help, None, MetricType::Gauge)?;
        ConstGauge::new(u64::try_from(self.verifiers.count()).unwrap_or(u64::MAX)).encode(watching)?;
        let mut build =
            encoder.encode_descriptor("tokend_build_info", "What is running", None, MetricType::Gauge)?;
        let labels = [("version", env!("CARGO_PKG_VERSION"))];
        ConstGauge::new(1_u64).encode(build.encode_family(&labels)?)?;
        Ok(())
    }
}
