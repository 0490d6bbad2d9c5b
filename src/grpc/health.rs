//! `grpc.health.v1.Health`: overall ("") and for each service. Not serving until ready, and again while draining.

use std::fmt;

use tonic_health::{
    ServingStatus,
    pb::health_server::{Health as HealthApi, HealthServer},
    server::{HealthReporter, HealthService},
};

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
pub struct Health(HealthReporter);

impl Health {
    /// A server that does not serve yet.
    pub async fn not_serving() -> Self {
        // The reporter starts with "" as serving; nobody can ask before this is done.
        let health = Self(HealthReporter::new());
        health.set(false).await;
        health
    }

    /// Reports every service as serving, or as not.
    pub async fn set(&self, serving: bool) {
        let status = if serving { ServingStatus::Serving } else { ServingStatus::NotServing };
        for service in SERVICES {
            self.0.set_service_status(service, status).await;
        }
    }

    pub(super) fn service(&self) -> HealthServer<impl HealthApi + use<>> {
        HealthServer::new(HealthService::from_health_reporter(self.0.clone()))
    }
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Health")
    }
}
