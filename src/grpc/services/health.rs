//! `grpc.health.v1.Health`: overall (`""`) and for each service. NOT_SERVING until the server is ready, and while it drains.

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

use crate::grpc::status::CallError;

/// The reported services; `""` is the server.
const SERVICES: [&str; 7] = [
    "",
    "tokend.v1.TokenService",
    "tokend.v1.ClientService",
    "tokend.v1.UserService",
    "tokend.v1.SessionService",
    "tokend.v1.KeyService",
    "tokend.v1.TrustBundleService",
];

/// The serving status.
#[derive(Clone)]
pub struct Health {
    reporter: HealthReporter,
    serving: Arc<AtomicBool>,
    /// The last report. Locked while a report is made, so that an older one cannot replace a newer one.
    reported: Arc<Mutex<Option<bool>>>,
}

impl Health {
    /// Reports NOT_SERVING.
    pub async fn not_serving() -> Self {
        // The reporter starts with "" as SERVING; no call arrives before it is replaced here.
        let health =
            Self { reporter: HealthReporter::new(), serving: Arc::default(), reported: Arc::default() };
        health.report(|| false).await;
        health
    }

    /// Reports the status of every service. Watches receive changes only.
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

    /// Handles Check.
    pub(in crate::grpc) fn check(
        &self,
        request: &HealthCheckRequest,
    ) -> Result<HealthCheckResponse, CallError> {
        if !SERVICES.contains(&request.service.as_str()) {
            return Err(CallError::ServiceUnknown);
        }
        let serving = self.serving.load(Relaxed);
        let status = if serving { ServingStatus::Serving } else { ServingStatus::NotServing };
        Ok(HealthCheckResponse { status: i32::from(health_check_response::ServingStatus::from(status)) })
    }

    pub(in crate::grpc) fn service(&self) -> HealthServer<impl HealthApi + use<>> {
        HealthServer::new(HealthService::from_health_reporter(self.reporter.clone()))
    }
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Health")
    }
}
