//! An exporter whose failures harm nothing, and are logged once.

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

/// Sends on the runtime, for it is asked on a thread that has none; of failures the first and the recovery are logged.
pub(super) struct CalmExporter {
    inner: Arc<Otlp>,
    runtime: Handle,
    failing: AtomicBool,
}

impl CalmExporter {
    pub(super) fn new(inner: Otlp) -> Self {
        Self { inner: Arc::new(inner), runtime: Handle::current(), failing: AtomicBool::new(false) }
    }
}

impl fmt::Debug for CalmExporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CalmExporter")
    }
}

impl SpanExporter for CalmExporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let inner = Arc::clone(&self.inner);
        let sent = self.runtime.spawn(async move { inner.export(batch).await }).await;
        let sent = sent.unwrap_or_else(|error| Err(OTelSdkError::InternalFailure(error.to_string())));
        let failed_before = self.failing.swap(sent.is_err(), Relaxed);
        match &sent {
            Err(error) if !failed_before => tracing::warn!(%error, "spans cannot be sent"),
            Ok(()) if failed_before => tracing::info!("spans can be sent again"),
            _ => {}
        }
        sent
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        // Before anything is sent, and so before anybody shares it.
        if let Some(inner) = Arc::get_mut(&mut self.inner) {
            inner.set_resource(resource);
        }
    }
}
