//! What policy decided about a request, kept for the audit log.

use std::fmt;

use super::{check::Place, line::Line};

/// A value that was allowed, and by which line.
#[derive(Debug, Clone)]
pub(crate) struct Decision {
    pub(super) place: DecidedPlace,
    pub(super) line: Line,
}

/// A [`Place`] that outlives the request.
#[derive(Debug, Clone)]
pub(super) enum DecidedPlace {
    Claim(String),
    Other(Place<'static>),
}

impl Decision {
    /// The decision of a check that allows its value.
    pub(super) fn of(place: Place<'_>, line: Line) -> Self {
        let place = match place {
            Place::Claim(name) => DecidedPlace::Claim(name.to_owned()),
            Place::Method(method) => DecidedPlace::Other(Place::Method(method)),
            Place::Field(name) => DecidedPlace::Other(Place::Field(name)),
            Place::Item(name, index) => DecidedPlace::Other(Place::Item(name, index)),
            Place::Permission(name, index) => DecidedPlace::Other(Place::Permission(name, index)),
        };
        Self { place, line }
    }
}

impl fmt::Display for DecidedPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Claim(name) => Place::Claim(name).fmt(f),
            Self::Other(place) => place.fmt(f),
        }
    }
}
