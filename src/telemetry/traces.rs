//! Traces, sent to a collector over OTLP.

use std::{fmt, sync::Arc, time::Duration};

use opentelemetry::{KeyValue, SpanId, TraceId, trace::TracerProvider as _};
use opentelemetry_otlp::{SpanExporter, WithTonicConfig as _};
use opentelemetry_sdk::{
    Resource,
    trace::{IdGenerator, Sampler, SdkTracerProvider},
};
use tonic::transport::{ClientTlsConfig, Endpoint};
use url::Url;

use super::exporter::CalmExporter;
use crate::{
    random,
    spans::{Sampling, Spans},
};

/// How long an export may take, the connection included.
const EXPORT: Duration = Duration::from_secs(10);

/// What steers traces.
#[derive(Debug, Clone)]
pub struct TraceSettings {
    /// The collector: OTLP over gRPC.
    pub endpoint: Url,
    /// The share of calls that are traced where nobody else decides: 0 to 1.
    pub sample_ratio: f64,
    /// Whether a caller that traces decides for its call.
    pub follow_callers: bool,
}

/// Traces cannot be set up.
#[derive(Debug, thiserror::Error)]
#[error("setting `otlp_endpoint`: {0}")]
pub struct TraceError(String);

/// Sends spans to a collector. They wait in a bounded queue; where the collector is slow or gone, spans are lost, and nothing
/// else is.
pub struct Traces {
    provider: SdkTracerProvider,
    spans: Arc<Spans>,
}

impl fmt::Debug for Traces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Traces")
    }
}

impl Traces {
    /// Sets traces up; connects when there is something to send. Within a runtime, which does the sending.
    ///
    /// # Errors
    /// When the endpoint is none that can be connected to.
    pub fn start(settings: &TraceSettings) -> Result<Self, TraceError> {
        let failed = |error: &dyn fmt::Display| TraceError(error.to_string());
        let mut endpoint = Endpoint::from_shared(settings.endpoint.to_string())
            .map_err(|error| failed(&error))?
            .connect_timeout(EXPORT)
            .timeout(EXPORT);
        if settings.endpoint.scheme() == "https" {
            let tls = ClientTlsConfig::new().with_native_roots();
            endpoint = endpoint.tls_config(tls).map_err(|error| failed(&error))?;
        }
        let exporter = SpanExporter::builder()
            .with_tonic()
            .with_channel(endpoint.connect_lazy())
            .build()
            .map_err(|error| failed(&error))?;
        let instance = random::text::<9>().map_err(|error| failed(&error))?;
        let resource = Resource::builder()
            .with_service_name("tokend")
            .with_attributes([
                KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
                KeyValue::new("service.instance.id", instance),
            ])
            .build();
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(CalmExporter::new(exporter))
            .with_resource(resource)
            // Decided already where a span is begun.
            .with_sampler(Sampler::AlwaysOn)
            .with_id_generator(Ids)
            .build();
        let [a, b, c, d, e, f, g, h] = random::bytes::<8>().map_err(|error| failed(&error))?;
        let seed = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
        let sampling = Sampling::new(settings.sample_ratio, settings.follow_callers, seed);
        let spans = Arc::new(Spans::new(provider.tracer("tokend"), sampling));
        Ok(Self { provider, spans })
    }

    /// What begins spans.
    pub fn spans(&self) -> Arc<Spans> {
        Arc::clone(&self.spans)
    }

    /// Sends what waits, for as long as `bound`.
    pub async fn close(self, bound: Duration) {
        let provider = self.provider;
        // It blocks, up to the bound.
        let closed = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(bound));
        if !matches!(closed.await, Ok(Ok(()))) {
            tracing::warn!("the last spans were not sent in time");
        }
    }
}

/// Ids from the one source of randomness. Without it an id is invalid, and its span is not sent.
#[derive(Debug)]
struct Ids;

impl IdGenerator for Ids {
    fn new_trace_id(&self) -> TraceId {
        random::bytes().map_or(TraceId::INVALID, TraceId::from_bytes)
    }

    fn new_span_id(&self) -> SpanId {
        random::bytes().map_or(SpanId::INVALID, SpanId::from_bytes)
    }
}
