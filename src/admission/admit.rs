//! Admits a call: first the client's limit of concurrent calls, then its rate, then a permit of the call's class.

use std::{
    num::NonZeroU32,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use tokio::sync::OwnedSemaphorePermit;

use super::{
    CallClass,
    concurrency::ConcurrencyLimits,
    rate::Rate,
    traffic::{ClientTraffic, Traffic},
};
use crate::{
    clock::Clock,
    model::{Client, ClientId, ClientLimits},
};

/// The retry delay after a refusal for concurrency: some of the calls in flight have ended by then.
const BUSY_RETRY: Duration = Duration::from_millis(500);

/// The limits that settings define.
#[derive(Debug, Clone, Copy)]
pub struct AdmissionLimits {
    /// The limits of a client that has none of its own.
    pub client: ClientLimits,
    /// The most calls of each class that wait for a permit.
    pub waiting: usize,
}

/// Why a call is not admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Overloaded {
    #[error("the client exceeds its limit of calls per second")]
    Rate(Duration),
    #[error("the client exceeds its limit of concurrent calls")]
    Calls,
    #[error("too many calls of this kind are waiting")]
    Class,
}

impl Overloaded {
    /// The delay before a retry.
    pub(crate) const fn retry_after(self) -> Duration {
        match self {
            Self::Rate(wait) => wait,
            Self::Calls | Self::Class => BUSY_RETRY,
        }
    }
}

/// Admits calls.
#[derive(Debug)]
pub struct Admission {
    defaults: ClientLimits,
    pub(super) limits: Arc<ConcurrencyLimits>,
    pub(super) traffic: Arc<Traffic>,
    clock: Arc<dyn Clock>,
}

/// An admitted call, until the permit is dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    limits: Arc<ConcurrencyLimits>,
    of_class: Option<OwnedSemaphorePermit>,
    _active: Option<ActiveCall>,
}

impl Permit {
    /// Releases the permit of the call's class before the call waits for something that has a limit of its own.
    pub(crate) fn leave_class(&mut self) {
        self.of_class = None;
    }

    /// Releases the permit of the call's class, then acquires one of another class.
    pub(crate) async fn change_class(&mut self, class: CallClass) -> Result<(), Overloaded> {
        self.leave_class();
        self.of_class = Some(self.limits.of(class).acquire().await?);
        Ok(())
    }
}

impl Admission {
    /// Applies `limits` in a process where `threads` threads serve calls.
    pub fn new(limits: AdmissionLimits, threads: usize, clock: Arc<dyn Clock>) -> Self {
        Self {
            defaults: limits.client,
            limits: Arc::new(ConcurrencyLimits::new(threads, limits.waiting)),
            traffic: Arc::default(),
            clock,
        }
    }

    pub(crate) fn traffic(&self, client_id: &ClientId) -> Arc<ClientTraffic> {
        self.traffic.of(client_id)
    }

    /// Drops the traffic of clients that are not registered any more.
    pub fn forget_others(&self, is_registered: impl Fn(&ClientId) -> bool) {
        self.traffic.keep(is_registered);
    }

    /// Admits a call, which may wait for a permit of its class.
    pub(crate) async fn admit(
        &self,
        client: &Client,
        traffic: &Arc<ClientTraffic>,
        class: Option<CallClass>,
    ) -> Result<Permit, Overloaded> {
        let own = client.settings.limits;
        let limit = own.concurrent_calls.or(self.defaults.concurrent_calls);
        let active = limit.map(|limit| ActiveCall::begin(traffic, limit)).transpose()?;
        if let Some(per_second) = own.calls_per_second.or(self.defaults.calls_per_second) {
            traffic
                .rate
                .take(self.clock.monotonic(), Rate::per_second(per_second))
                .map_err(Overloaded::Rate)?;
        }
        let of_class = match class {
            Some(class) => Some(self.limits.of(class).acquire().await?),
            None => None,
        };
        Ok(Permit { limits: Arc::clone(&self.limits), of_class, _active: active })
    }
}

/// One of a client's calls in flight.
#[derive(Debug)]
struct ActiveCall(Arc<ClientTraffic>);

impl ActiveCall {
    fn begin(traffic: &Arc<ClientTraffic>, limit: NonZeroU32) -> Result<Self, Overloaded> {
        let before = traffic.active.fetch_add(1, Relaxed);
        let active = Self(Arc::clone(traffic));
        let limit = usize::try_from(limit.get()).unwrap_or(usize::MAX);
        if before < limit { Ok(active) } else { Err(Overloaded::Calls) }
    }
}

impl Drop for ActiveCall {
    fn drop(&mut self) {
        self.0.active.fetch_sub(1, Relaxed);
    }
}
