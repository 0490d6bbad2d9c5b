//! How many connections there may be, of one source and in all.
//!
//! Beyond a cap a connection is accepted and closed at once. Left in the system's queue it would hang until its client gave
//! up; closed, its client hears of it and turns to another replica.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use crate::model::Source;

/// How many connections there may be.
#[derive(Debug, Clone, Copy)]
pub struct ConnectionCaps {
    /// In all.
    pub all: usize,
    /// Of one source: an IPv4 address, or the /64 network of an IPv6 address, which is what one host is given.
    pub of_one_source: usize,
}

/// Counts the open connections.
#[derive(Debug)]
pub(super) struct Admission {
    caps: ConnectionCaps,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    all: usize,
    by_source: HashMap<Source, usize>,
}

/// A connection's place. It is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    admission: Arc<Admission>,
    source: Source,
}

/// Which cap has been reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Full {
    /// That of all connections.
    All,
    /// That of one source.
    Source,
}

impl Admission {
    pub(super) fn new(caps: ConnectionCaps) -> Arc<Self> {
        Arc::new(Self { caps, open: Mutex::default() })
    }

    /// A place for a connection from `address`.
    pub(super) fn admit(self: &Arc<Self>, address: IpAddr) -> Result<Place, Full> {
        let source = Source::of(address);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.all >= self.caps.all {
            return Err(Full::All);
        }
        let of_source = open.by_source.entry(source).or_default();
        if *of_source >= self.caps.of_one_source {
            return Err(Full::Source);
        }
        *of_source += 1;
        open.all += 1;
        Ok(Place { admission: Arc::clone(self), source })
    }

    /// The connections that are open.
    pub(super) fn count(&self) -> usize {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).all
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.admission.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.all = open.all.saturating_sub(1);
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

    fn caps(all: usize, of_one_source: usize) -> Arc<Admission> {
        Admission::new(ConnectionCaps { all, of_one_source })
    }

    #[test]
    fn one_source_cannot_take_every_place() {
        let admission = caps(3, 2);
        let admit = |text: &str| admission.admit(text.parse().unwrap());
        let (first, _second) = (admit("10.0.0.1").unwrap(), admit("::ffff:10.0.0.1").unwrap());
        assert_eq!(admit("10.0.0.1").unwrap_err(), Full::Source);
        let _other = admit("10.0.0.2").unwrap();
        assert_eq!((admit("10.0.0.3").unwrap_err(), admission.count()), (Full::All, 3));
        drop(first);
        let _again = admit("10.0.0.1").unwrap();
        assert_eq!(admit("10.0.0.3").unwrap_err(), Full::All);
    }

    #[test]
    fn a_host_with_many_addresses_is_one_source_and_leaves_nothing_behind() {
        let admission = caps(10, 1);
        let place = admission.admit("2001:db8::1".parse().unwrap()).unwrap();
        assert_eq!(admission.admit("2001:db8::2:3".parse().unwrap()).unwrap_err(), Full::Source);
        admission.admit("2001:db8:0:1::1".parse().unwrap()).unwrap();
        drop(place);
        assert!(admission.open.lock().unwrap().by_source.is_empty());
    }
}
