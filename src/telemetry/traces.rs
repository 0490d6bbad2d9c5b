//! Traces, exported to a collector over OTLP.

use std::{fmt, sync::Arc, time::Duration};

use opentelemetry::{KeyValue, SpanId, TraceId, trace::TracerProvider as _};
use opentelemetry_otlp::{SpanExporter, WithTonicConfig as _};
use opentelemetry_sdk::{
    Resource,
    trace::{IdGenerator, Sampler, SdkTracerProvider},
};
use tonic::transport::{ClientTlsConfig, Endpoint};
use url::Url;

use super::exporter::LoggedExporter;
use crate::{
    random,
    spans::{Sampling, Spans},
};

/// Timeout of an export, and of the connection to the collector.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(10);

/// Settings of traces.
#[derive(Debug, Clone)]
pub struct TraceSettings {
    /// The collector, for OTLP over gRPC.
    pub endpoint: Url,
    /// Ratio of calls that are traced unless the caller decides, from 0 to 1.
    pub sample_ratio: f64,
    /// Whether the caller's `traceparent` decides.
    pub follow_callers: bool,
}

/// Traces cannot be exported.
#[derive(Debug, thiserror::Error)]
#[error("setting `otlp_endpoint`: {0}")]
pub struct TraceError(String);

/// Exports spans from a bounded queue. When the collector is slow or unavailable, spans are dropped, and calls are unaffected.
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
    /// Starts the export on the current runtime. Connects for the first span.
    ///
    /// # Errors
    /// When the endpoint is invalid.
    pub fn start(settings: &TraceSettings) -> Result<Self, TraceError> {
        let failed = |error: &dyn fmt::Display| TraceError(error.to_string());
        let mut endpoint = Endpoint::from_shared(settings.endpoint.to_string())
            .map_err(|error| failed(&error))?
            .connect_timeout(EXPORT_TIMEOUT)
            .timeout(EXPORT_TIMEOUT);
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
            .with_batch_exporter(LoggedExporter::new(exporter))
            .with_resource(resource)
            // `Sampling` decides before a span is started.
            .with_sampler(Sampler::AlwaysOn)
            .with_id_generator(Ids)
            .build();
        let [a, b, c, d, e, f, g, h] = random::bytes::<8>().map_err(|error| failed(&error))?;
        let seed = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
        let sampling = Sampling::new(settings.sample_ratio, settings.follow_callers, seed);
        let spans = Arc::new(Spans::new(provider.tracer("tokend"), sampling));
        Ok(Self { provider, spans })
    }

    /// Starts spans.
    pub fn spans(&self) -> Arc<Spans> {
        Arc::clone(&self.spans)
    }

    /// Exports the queue, within `timeout`.
    pub async fn close(self, timeout: Duration) {
        let provider = self.provider;
        // It blocks.
        let closed = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(timeout));
        if !matches!(closed.await, Ok(Ok(()))) {
            tracing::warn!("the last spans were not exported in time");
        }
    }
}

/// Ids from [`random`]. Without randomness an id is invalid, and its span is not exported.
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
