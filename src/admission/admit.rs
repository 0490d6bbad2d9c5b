//! Admits a call: first the client's limit of concurrent calls, then its rate, then a permit of the call's class.

use std::{
    num::NonZeroU32,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use tokio::sync::OwnedSemaphorePermit;

use super::{
    AdmissionMetrics, CallClass,
    concurrency::ConcurrencyLimits,
    traffic::{ClientTraffic, Traffic},
};
use crate::{
    clock::Clock,
    model::{Client, ClientId, ClientLimits},
};

/// When a client that was refused for the number of calls may retry: some of them have ended by then.
const BUSY_RETRY: Duration = Duration::from_millis(500);

/// How many calls are admitted.
#[derive(Debug, Clone, Copy)]
pub struct AdmissionLimits {
    /// The limits of a client that has none of its own.
    pub client: ClientLimits,
    /// Calls of each class that may wait for a permit.
    pub waiting: usize,
}

/// A call is not admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Overloaded {
    #[error("the client calls more often than it may")]
    Rate(Duration),
    #[error("the client has as many calls at once as it may")]
    Calls,
    #[error("too many calls of this kind are waiting")]
    Class,
}

impl Overloaded {
    /// When a retry makes sense.
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
    limits: Arc<ConcurrencyLimits>,
    traffic: Arc<Traffic>,
    clock: Arc<dyn Clock>,
}

/// An admitted call, until this is dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    limits: Arc<ConcurrencyLimits>,
    of_class: Option<OwnedSemaphorePermit>,
    _active: Option<ActiveCall>,
}

impl Permit {
    /// Gives up the permit of the call's class: the call is about to wait for something that has a limit of its own.
    pub(crate) fn leave_class(&mut self) {
        self.of_class = None;
    }

    /// Continues as a call of another class. The permit that the call held is free before it waits for the other.
    pub(crate) async fn change_class(&mut self, class: CallClass) -> Result<(), Overloaded> {
        self.leave_class();
        self.of_class = Some(acquire(&self.limits, class).await?);
        Ok(())
    }
}

async fn acquire(limits: &ConcurrencyLimits, class: CallClass) -> Result<OwnedSemaphorePermit, Overloaded> {
    limits.of(class).acquire().await.map_err(|_| Overloaded::Class)
}

impl Admission {
    /// Admits as many calls as `limits` say, in a process where so many threads serve calls.
    pub fn new(limits: AdmissionLimits, threads: usize, clock: Arc<dyn Clock>) -> Self {
        Self {
            defaults: limits.client,
            limits: Arc::new(ConcurrencyLimits::new(threads, limits.waiting)),
            traffic: Arc::default(),
            clock,
        }
    }

    /// The counts of a client's calls.
    pub(crate) fn traffic(&self, client_id: &ClientId) -> Arc<ClientTraffic> {
        self.traffic.of(client_id)
    }

    /// Forgets the calls of clients that are not registered any more.
    pub fn forget_others(&self, is_registered: impl Fn(&ClientId) -> bool) {
        self.traffic.keep(is_registered);
    }

    /// Admits a call, which may have to wait for the permit of its class.
    pub(crate) async fn admit(
        &self,
        client: &Client,
        traffic: &Arc<ClientTraffic>,
        class: Option<CallClass>,
    ) -> Result<Permit, Overloaded> {
        let own = client.settings.limits;
        let most = own.concurrent_calls.or(self.defaults.concurrent_calls);
        let active = most.map(|most| ActiveCall::begin(traffic, most)).transpose()?;
        self.rate(own, traffic)?;
        let of_class = match class {
            Some(class) => Some(acquire(&self.limits, class).await?),
            None => None,
        };
        Ok(Permit { limits: Arc::clone(&self.limits), of_class, _active: active })
    }

    fn rate(&self, own: ClientLimits, traffic: &ClientTraffic) -> Result<(), Overloaded> {
        match own.calls_per_second.or(self.defaults.calls_per_second) {
            Some(per_second) => {
                traffic.rate.take(self.clock.monotonic(), per_second).map_err(Overloaded::Rate)
            }
            None => Ok(()),
        }
    }

    /// What is counted.
    pub fn metrics(&self) -> AdmissionMetrics {
        AdmissionMetrics { limits: Arc::clone(&self.limits), traffic: Arc::clone(&self.traffic) }
    }
}

/// One of a client's calls in flight.
#[derive(Debug)]
struct ActiveCall(Arc<ClientTraffic>);

impl ActiveCall {
    fn begin(traffic: &Arc<ClientTraffic>, most: NonZeroU32) -> Result<Self, Overloaded> {
        let before = traffic.active.fetch_add(1, Relaxed);
        let active = Self(Arc::clone(traffic));
        let most = usize::try_from(most.get()).unwrap_or(usize::MAX);
        if before < most { Ok(active) } else { Err(Overloaded::Calls) }
    }
}

impl Drop for ActiveCall {
    fn drop(&mut self) {
        self.0.active.fetch_sub(1, Relaxed);
    }
}
