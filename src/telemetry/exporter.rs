//! A span exporter that logs the first failure and the recovery.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use opentelemetry_otlp::SpanExporter as Otlp;
use opentelemetry_sdk::{
    Resource,
    error::{OTelSdkError, OTelSdkResult},
    trace::{SpanData, SpanExporter},
};
use tokio::runtime::Handle;

/// Exports on the runtime, since the SDK calls it on a thread without one. Logs the first failure and the recovery.
pub(super) struct LoggedExporter {
    inner: Arc<Otlp>,
    runtime: Handle,
    failing: AtomicBool,
}

impl LoggedExporter {
    pub(super) fn new(inner: Otlp) -> Self {
        Self { inner: Arc::new(inner), runtime: Handle::current(), failing: AtomicBool::new(false) }
    }
}

impl fmt::Debug for LoggedExporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LoggedExporter")
    }
}

impl SpanExporter for LoggedExporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let inner = Arc::clone(&self.inner);
        let sent = self.runtime.spawn(async move { inner.export(batch).await }).await;
        let sent = sent.unwrap_or_else(|error| Err(OTelSdkError::InternalFailure(error.to_string())));
        let failed_before = self.failing.swap(sent.is_err(), Relaxed);
        match &sent {
            Err(error) if !failed_before => tracing::warn!(%error, "spans cannot be exported"),
            Ok(()) if failed_before => tracing::info!("spans are exported again"),
            _ => {}
        }
        sent
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        // The SDK sets it before the first export, when the exporter is not shared.
        if let Some(inner) = Arc::get_mut(&mut self.inner) {
            inner.set_resource(resource);
        }
    }
}
