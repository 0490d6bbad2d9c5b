//! `grpc.health.v1.Health`: overall ("") and for each service. Not serving until ready, and again while draining.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use tokio::sync::Mutex;
use tonic_health::{
    ServingStatus,
    pb::{
        HealthCheckRequest, HealthCheckResponse, health_check_response,
        health_server::{Health as HealthApi, HealthServer},
    },
    server::{HealthReporter, HealthService},
};

use super::status::CallError;

/// The services that are reported, the overall one first.
const SERVICES: [&str; 7] = [
    "",
    "tokend.v1.TokenService",
    "tokend.v1.ClientService",
    "tokend.v1.UserService",
    "tokend.v1.SessionService",
    "tokend.v1.KeyService",
    "tokend.v1.TrustBundleService",
];

/// Says whether the server serves.
#[derive(Clone)]
pub struct Health {
    reporter: HealthReporter,
    serving: Arc<AtomicBool>,
    /// What was reported last. Held while a report is made, so that an older one never replaces a newer one.
    reported: Arc<Mutex<Option<bool>>>,
}

impl Health {
    /// A server that does not serve yet.
    pub async fn not_serving() -> Self {
        // The reporter starts with "" as serving; no call can come before this is done.
        let health =
            Self { reporter: HealthReporter::new(), serving: Arc::default(), reported: Arc::default() };
        health.report(|| false).await;
        health
    }

    /// Reports every service as serving, or as not. Watches are sent changes only.
    pub async fn report(&self, serving: impl Fn() -> bool) {
        let mut reported = self.reported.lock().await;
        let serving = serving();
        if reported.replace(serving) == Some(serving) {
            return;
        }
        self.serving.store(serving, Relaxed);
        let status = if serving { ServingStatus::Serving } else { ServingStatus::NotServing };
        for service in SERVICES {
            self.reporter.set_service_status(service, status).await;
        }
    }

    /// The answer to a check: whether the service serves.
    pub(super) fn check(&self, request: &HealthCheckRequest) -> Result<HealthCheckResponse, CallError> {
        if !SERVICES.contains(&request.service.as_str()) {
            return Err(CallError::ServiceUnknown);
        }
        let serving = self.serving.load(Relaxed);
        let status = if serving { ServingStatus::Serving } else { ServingStatus::NotServing };
        Ok(HealthCheckResponse { status: i32::from(health_check_response::ServingStatus::from(status)) })
    }

    pub(super) fn service(&self) -> HealthServer<impl HealthApi + use<>> {
        HealthServer::new(HealthService::from_health_reporter(self.reporter.clone()))
    }
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Health")
    }
}
