//! What checks callers, without a server around it: for what a connection tells, and for what must be measured.

use std::{num::NonZeroU32, sync::Arc};

use http::{HeaderMap, header::AUTHORIZATION};
use tokend::{
    access::{AuthenticationError, Authenticator, Directory, TrustedIssuers, UsedAssertions},
    keys::Sealer,
    metrics::MetricsRegistry,
    model::{ClientSettings, Peer},
    store::{self, Location, Store},
};

use crate::{
    caller_tokens::put,
    harness::{ManualClock, manual_clock, settings},
};

/// What checks callers, without a server around it.
pub struct Door {
    store: Arc<Store>,
    directory: Arc<Directory>,
    authenticator: Authenticator,
    pub clock: Arc<ManualClock>,
}

impl Door {
    /// Bears so many failures a minute.
    pub async fn bearing(failures: u32) -> Self {
        let store = store::open(&Location::Memory).await.unwrap();
        let clock = manual_clock();
        let sealer = Arc::new(Sealer::over(Vec::new(), clock.clone()));
        let directory = Arc::new(Directory::open(Arc::clone(&store), sealer, None).await.unwrap());
        let used = Arc::new(UsedAssertions::new(Arc::clone(&store), clock.clone()));
        let refresh = settings().caller_sources.refresh;
        let issuers = Arc::new(TrustedIssuers::new(Vec::new(), refresh, clock.clone()));
        let mut settings = settings().callers;
        settings.failures_per_minute = NonZeroU32::new(failures).unwrap();
        let metrics = &mut MetricsRegistry::default();
        let authenticator =
            Authenticator::new(settings, Arc::clone(&directory), used, issuers, metrics, clock.clone())
                .unwrap();
        Self { store, directory, authenticator, clock }
    }

    pub async fn register(&self, client_id: &str, settings: ClientSettings) {
        put(&self.store, client_id, settings, Vec::new()).await;
        self.directory.refresh().await.unwrap();
    }

    /// The caller's id, or why there is none.
    pub async fn ask(&self, peer: &Peer, authorization: Option<&str>) -> Result<String, AuthenticationError> {
        let mut headers = HeaderMap::new();
        if let Some(value) = authorization {
            headers.insert(AUTHORIZATION, value.parse().unwrap());
        }
        let caller = self.authenticator.authenticate(&headers, Some(peer)).await?;
        Ok(caller.client_id().to_string())
    }
}

pub fn peer(address: &str) -> Peer {
    Peer { address: address.parse().unwrap(), certificate: None, unix: None }
}
