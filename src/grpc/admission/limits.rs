//! Whether a call is taken on: its client's rate and number, then its lane.

use std::{
    num::NonZeroU32,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use super::{
    AdmissionMetrics,
    lanes::{LaneName, Lanes, Place},
    traffic::{ClientTraffic, Traffic},
};
use crate::{
    clock::Clock,
    model::{Client, ClientId, ClientLimits},
};

/// When one who was refused for the number of calls may ask again: some of them have ended by then.
const BUSY_RETRY: Duration = Duration::from_millis(500);

/// How much is taken on.
#[derive(Debug, Clone, Copy)]
pub struct AdmissionLimits {
    /// What holds for a client that was told nothing else.
    pub client: ClientLimits,
    /// Calls that may wait in each lane.
    pub waiting: usize,
}

/// There is too much to do to take on a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Busy {
    #[error("the client calls more often than it may")]
    Rate(Duration),
    #[error("the client has as many calls at once as it may")]
    Calls,
    #[error("too many calls of this kind are waiting")]
    Lane,
}

impl Busy {
    /// When it makes sense to ask again.
    pub(crate) const fn retry_after(self) -> Duration {
        match self {
            Self::Rate(wait) => wait,
            Self::Calls | Self::Lane => BUSY_RETRY,
        }
    }
}

/// Takes calls on, or not.
#[derive(Debug)]
pub struct Admission {
    defaults: ClientLimits,
    lanes: Arc<Lanes>,
    traffic: Arc<Traffic>,
    clock: Arc<dyn Clock>,
}

/// A call that was taken on, until it is dropped.
#[derive(Debug)]
pub(in crate::grpc) struct Admitted {
    place: Option<Place>,
    _active: Option<Active>,
}

impl Admitted {
    /// Gives up the place in the lane, or takes one in another.
    pub(in crate::grpc) fn put(&mut self, place: Option<Place>) {
        self.place = place;
    }
}

impl Admission {
    /// Takes on as much as `limits` say, in a process where so many threads serve calls.
    pub fn new(limits: AdmissionLimits, threads: usize, clock: Arc<dyn Clock>) -> Self {
        Self {
            defaults: limits.client,
            lanes: Arc::new(Lanes::new(threads, limits.waiting)),
            traffic: Arc::default(),
            clock,
        }
    }

    /// What is known of a client's calls.
    pub(in crate::grpc) fn traffic(&self, client_id: &ClientId) -> Arc<ClientTraffic> {
        self.traffic.of(client_id)
    }

    /// Forgets the calls of clients that are not registered any more.
    pub fn forget_others(&self, is_registered: impl Fn(&ClientId) -> bool) {
        self.traffic.keep(is_registered);
    }

    /// Takes a call on, which may have to wait for its lane.
    pub(in crate::grpc) async fn admit(
        &self,
        client: &Client,
        traffic: &Arc<ClientTraffic>,
        lane: Option<LaneName>,
    ) -> Result<Admitted, Busy> {
        let own = client.settings.limits;
        let most = own.concurrent_calls.or(self.defaults.concurrent_calls);
        let active = most.map(|most| Active::begin(traffic, most)).transpose()?;
        self.rate(own, traffic)?;
        Ok(Admitted { place: self.place(lane).await?, _active: active })
    }

    fn rate(&self, own: ClientLimits, traffic: &ClientTraffic) -> Result<(), Busy> {
        match own.calls_per_second.or(self.defaults.calls_per_second) {
            Some(per_second) => traffic.rate.take(self.clock.monotonic(), per_second).map_err(Busy::Rate),
            None => Ok(()),
        }
    }

    /// A place in a lane, which may have to be waited for.
    pub(in crate::grpc) async fn place(&self, lane: Option<LaneName>) -> Result<Option<Place>, Busy> {
        match lane {
            Some(lane) => self.lanes.lane(lane).enter().await.map(Some).map_err(|_| Busy::Lane),
            None => Ok(None),
        }
    }

    /// What is counted.
    pub fn metrics(&self) -> AdmissionMetrics {
        AdmissionMetrics { lanes: Arc::clone(&self.lanes), traffic: Arc::clone(&self.traffic) }
    }
}

/// One of a client's calls at once.
#[derive(Debug)]
struct Active(Arc<ClientTraffic>);

impl Active {
    fn begin(traffic: &Arc<ClientTraffic>, most: NonZeroU32) -> Result<Self, Busy> {
        let before = traffic.active.fetch_add(1, Relaxed);
        let active = Self(Arc::clone(traffic));
        let most = usize::try_from(most.get()).unwrap_or(usize::MAX);
        if before < most { Ok(active) } else { Err(Busy::Calls) }
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        self.0.active.fetch_sub(1, Relaxed);
    }
}
