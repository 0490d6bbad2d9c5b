//! Limits of open connections, in total and per source.
//!
//! Beyond a limit a connection is accepted and closed at once. In the system's queue it would hang until its client times out; a
//! client whose connection is closed turns to another replica.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use crate::model::Source;

/// Limits of open connections.
#[derive(Debug, Clone, Copy)]
pub struct ConnectionLimits {
    /// All connections of the port.
    pub total: usize,
    /// Connections of one source: an IPv4 address, or the /64 network of an IPv6 address, which one host is given.
    pub per_source: usize,
}

/// Counts open connections.
#[derive(Debug)]
pub(super) struct ConnectionLimiter {
    limits: ConnectionLimits,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    total: usize,
    by_source: HashMap<Source, usize>,
}

/// An open connection. Dropping the permit frees it.
#[derive(Debug)]
pub(super) struct ConnectionPermit {
    limiter: Arc<ConnectionLimiter>,
    source: Source,
}

/// The limit that was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LimitReached {
    Total,
    PerSource,
}

impl ConnectionLimiter {
    pub(super) fn new(limits: ConnectionLimits) -> Arc<Self> {
        Arc::new(Self { limits, open: Mutex::default() })
    }

    pub(super) fn acquire(self: &Arc<Self>, address: IpAddr) -> Result<ConnectionPermit, LimitReached> {
        let source = Source::of(address);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.total >= self.limits.total {
            return Err(LimitReached::Total);
        }
        let of_source = open.by_source.entry(source).or_default();
        if *of_source >= self.limits.per_source {
            return Err(LimitReached::PerSource);
        }
        *of_source += 1;
        open.total += 1;
        Ok(ConnectionPermit { limiter: Arc::clone(self), source })
    }

    /// Number of open connections.
    pub(super) fn count(&self) -> usize {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).total
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let mut open = self.limiter.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.total = open.total.saturating_sub(1);
        if let Some(of_source) = open.by_source.get_mut(&self.source) {
            *of_source = of_source.saturating_sub(1);
            if *of_source == 0 {
                open.by_source.remove(&self.source);
            }
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::*;

    fn limiter(total: usize, per_source: usize) -> Arc<ConnectionLimiter> {
        ConnectionLimiter::new(ConnectionLimits { total, per_source })
    }

    #[test]
    fn one_source_cannot_use_all_connections() {
        let limiter = limiter(3, 2);
        let acquire = |text: &str| limiter.acquire(text.parse().unwrap());
        let (first, _second) = (acquire("10.0.0.1").unwrap(), acquire("::ffff:10.0.0.1").unwrap());
        assert_eq!(acquire("10.0.0.1").unwrap_err(), LimitReached::PerSource);
        let _other = acquire("10.0.0.2").unwrap();
        assert_eq!((acquire("10.0.0.3").unwrap_err(), limiter.count()), (LimitReached::Total, 3));
        drop(first);
        let _again = acquire("10.0.0.1").unwrap();
        assert_eq!(acquire("10.0.0.3").unwrap_err(), LimitReached::Total);
    }

    #[test]
    fn the_addresses_of_one_network_are_one_source_which_is_forgotten_with_its_last_connection() {
        let limiter = limiter(10, 1);
        let permit = limiter.acquire("2001:db8::1".parse().unwrap()).unwrap();
        assert_eq!(limiter.acquire("2001:db8::2:3".parse().unwrap()).unwrap_err(), LimitReached::PerSource);
        limiter.acquire("2001:db8:0:1::1".parse().unwrap()).unwrap();
        drop(permit);
        assert!(limiter.open.lock().unwrap().by_source.is_empty());
    }
}
