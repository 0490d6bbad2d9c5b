//! The traffic of each client: its rate, its calls in flight, and its counters.

use std::{
    collections::HashMap,
    hash::{BuildHasher as _, RandomState},
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
};

use arc_swap::ArcSwap;

use super::rate::TokenBucket;
use crate::model::ClientId;

/// The most clients with a metric series of their own; the others share one. A caller that may create clients must not be able to
/// fill the memory of the metrics collector.
const SERIES: usize = 1000;

/// The number of parts of the map. A part is copied when one of its clients calls for the first time.
const PARTS: usize = 64;

/// The result of a call in the metrics by client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ResultClass {
    /// The call succeeded.
    Ok,
    /// The request was rejected.
    Refused,
    /// The call was rejected for overload.
    Limited,
    /// The server failed.
    Failed,
}

impl ResultClass {
    pub(super) const ALL: [Self; 4] = [Self::Ok, Self::Refused, Self::Limited, Self::Failed];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Refused => "refused",
            Self::Limited => "limited",
            Self::Failed => "failed",
        }
    }
}

/// The counters of one series.
#[derive(Debug, Default)]
pub(super) struct Counts {
    calls: [AtomicU64; 4],
    pub(super) tokens: AtomicU64,
}

impl Counts {
    pub(super) const fn calls(&self, class: ResultClass) -> &AtomicU64 {
        let [ok, refused, limited, failed] = &self.calls;
        match class {
            ResultClass::Ok => ok,
            ResultClass::Refused => refused,
            ResultClass::Limited => limited,
            ResultClass::Failed => failed,
        }
    }

    /// Adds the counts of `others`.
    fn add(&self, others: &Self) {
        for (own, other) in self.calls.iter().zip(&others.calls).chain([(&self.tokens, &others.tokens)]) {
            own.fetch_add(other.load(Relaxed), Relaxed);
        }
    }
}

#[derive(Debug)]
pub(crate) struct ClientTraffic {
    pub(super) rate: TokenBucket,
    /// Calls in flight.
    pub(super) active: AtomicUsize,
    counts: Arc<Counts>,
}

impl ClientTraffic {
    /// Counts a call.
    pub(crate) fn called(&self, class: ResultClass) {
        self.counts.calls(class).fetch_add(1, Relaxed);
    }

    /// Counts an issued token.
    pub(crate) fn issued(&self) {
        self.counts.tokens.fetch_add(1, Relaxed);
    }
}

type Part = HashMap<ClientId, Arc<ClientTraffic>>;

/// Every registered client that has called since the start.
#[derive(Debug)]
pub(super) struct Traffic {
    parts: Vec<ArcSwap<Part>>,
    hasher: RandomState,
    series: AtomicUsize,
    other: Arc<Counts>,
}

impl Default for Traffic {
    fn default() -> Self {
        Self {
            parts: (0..PARTS).map(|_| ArcSwap::default()).collect(),
            hasher: RandomState::new(),
            series: AtomicUsize::new(0),
            other: Arc::default(),
        }
    }
}

impl Traffic {
    /// The traffic of a client. Takes no lock; a client's first call copies a part of the map.
    pub(super) fn of(&self, client_id: &ClientId) -> Arc<ClientTraffic> {
        let hash = usize::try_from(self.hasher.hash_one(client_id) % 64).unwrap_or_default();
        let Some(part) = self.parts.get(hash) else { return self.fresh() };
        if let Some(known) = part.load().get(client_id) {
            return Arc::clone(known);
        }
        let fresh = self.fresh();
        let before = part.rcu(|part| {
            let mut grown = Part::clone(part);
            // Of two concurrent first calls, the earlier entry stays.
            grown.entry(client_id.clone()).or_insert_with(|| Arc::clone(&fresh));
            grown
        });
        let Some(first) = before.get(client_id) else { return fresh };
        if self.has_series(&fresh) {
            self.series.fetch_sub(1, Relaxed);
        }
        Arc::clone(first)
    }

    /// Drops clients that are not registered any more. The shared series takes over their counts, so that no sum decreases. A client
    /// with a call in flight is kept until a later round.
    pub(super) fn keep(&self, is_registered: impl Fn(&ClientId) -> bool) {
        for part in &self.parts {
            let known = part.load();
            // A call in flight holds another reference.
            let gone = known
                .iter()
                .filter(|(client_id, traffic)| Arc::strong_count(traffic) == 1 && !is_registered(client_id));
            let gone: Part =
                gone.map(|(client_id, traffic)| (client_id.clone(), Arc::clone(traffic))).collect();
            if gone.is_empty() {
                continue;
            }
            part.rcu(|part| {
                let mut kept = Part::clone(part);
                kept.retain(|client_id, _| !gone.contains_key(client_id));
                kept
            });
            for traffic in gone.values().filter(|traffic| self.has_series(traffic)) {
                self.other.add(&traffic.counts);
                self.series.fetch_sub(1, Relaxed);
            }
        }
    }

    fn has_series(&self, traffic: &ClientTraffic) -> bool {
        !Arc::ptr_eq(&traffic.counts, &self.other)
    }

    fn fresh(&self) -> Arc<ClientTraffic> {
        let free = |series: usize| (series < SERIES).then_some(series + 1);
        let own = self.series.fetch_update(Relaxed, Relaxed, free).is_ok();
        let counts = if own { Arc::default() } else { Arc::clone(&self.other) };
        Arc::new(ClientTraffic { rate: TokenBucket::default(), active: AtomicUsize::new(0), counts })
    }

    /// Each series, by client id; the shared one is `(other)`.
    pub(super) fn series(&self) -> Vec<(String, Arc<Counts>)> {
        let mut series = Vec::new();
        for part in &self.parts {
            let part = part.load();
            let own = part.iter().filter(|(_, traffic)| self.has_series(traffic));
            series.extend(own.map(|(id, traffic)| (id.as_str().to_owned(), Arc::clone(&traffic.counts))));
        }
        series.sort_by(|(one, _), (other, _)| one.cmp(other));
        // No client id contains a parenthesis.
        series.push(("(other)".to_owned(), Arc::clone(&self.other)));
        series
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_clients_have_their_own_series_and_the_rest_share_one() {
        let traffic = Traffic::default();
        let id = |number: usize| ClientId::parse(format!("client-{number}")).unwrap();
        for _ in 0..2 {
            for number in 0..SERIES + 50 {
                traffic.of(&id(number)).called(ResultClass::Ok);
            }
        }
        let series = traffic.series();
        assert_eq!(series.len(), SERIES + 1);
        let (last, others) = series.last().unwrap();
        assert_eq!(last, "(other)");
        assert_eq!(others.calls(ResultClass::Ok).load(Relaxed), 100);
        assert!(
            series.iter().take(SERIES).all(|(_, counts)| counts.calls(ResultClass::Ok).load(Relaxed) == 2)
        );
    }

    #[test]
    fn a_client_that_is_registered_no_more_gives_its_series_to_others() {
        let traffic = Traffic::default();
        let id = |number: usize| ClientId::parse(format!("client-{number}")).unwrap();
        for number in 0..SERIES + 50 {
            let own = traffic.of(&id(number));
            own.called(ResultClass::Ok);
            own.issued();
        }
        let sum = || -> u64 {
            let series = traffic.series();
            series.iter().map(|(_, counts)| counts.calls(ResultClass::Ok).load(Relaxed)).sum()
        };
        let served = traffic.of(&id(1));
        // Half of the clients stay, and one that has a call in flight.
        let stays = |client_id: &ClientId| client_id.as_str().ends_with(['0', '2', '4', '6', '8']);
        traffic.keep(stays);
        assert_eq!((traffic.series().len(), sum()), (SERIES / 2 + 2, 1050));
        drop(served);
        traffic.keep(stays);
        assert_eq!((traffic.series().len(), sum()), (SERIES / 2 + 1, 1050));
        let (_, others) = traffic.series().pop().unwrap();
        assert_eq!(others.tokens.load(Relaxed), 550);
        // Series are free again, up to the same limit.
        for number in 2000..2000 + SERIES {
            traffic.of(&id(number)).called(ResultClass::Ok);
        }
        assert_eq!((traffic.series().len(), sum()), (SERIES + 1, 2050));
    }

    #[test]
    fn first_calls_at_once_meet_in_one() {
        let traffic = Traffic::default();
        let id = ClientId::parse("web").unwrap();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..100).for_each(|_| traffic.of(&id).called(ResultClass::Refused)));
            }
        });
        assert_eq!(traffic.of(&id).counts.calls(ResultClass::Refused).load(Relaxed), 800);
        assert_eq!(traffic.series.load(Relaxed), 1);
    }
}
