//! What policy decided about a request, kept for the audit log: bounded, for events wait in memory.

use std::{fmt, sync::Arc};

use super::{
    check::{Check, Place, Verdict},
    denial::Denial,
    line::Line,
};
use crate::model::{Bounded, Client};

/// A log must stay readable: of the values of one request, so many are named.
pub(super) const MOST_NAMED: usize = 16;

/// The values that were allowed, and the line that allowed each.
#[derive(Debug, Clone, Default)]
pub(super) struct Decisions {
    named: Vec<(DecidedPlace, Line)>,
    more: usize,
}

/// A [`Place`] that outlives the request.
#[derive(Debug, Clone)]
enum DecidedPlace {
    Claim(String),
    Other(Place<'static>),
}

impl Decisions {
    /// What allows each value; else the first value that is not allowed.
    pub(super) fn of<'a>(client: &Client, checks: impl Iterator<Item = Check<'a>>) -> Result<Self, Denial> {
        let mut decisions = Self::default();
        for check in checks {
            match check.verdict {
                Verdict::Denied(line) => return Err(Denial::by(line, &check, client)),
                Verdict::Allowed(line) if decisions.named.len() < MOST_NAMED => {
                    decisions.named.push((DecidedPlace::of(check.place), line));
                }
                Verdict::Allowed(_) => decisions.more += 1,
            }
        }
        Ok(decisions)
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.named.is_empty()
    }
}

impl DecidedPlace {
    fn of(place: Place<'_>) -> Self {
        match place {
            Place::Claim(name) => Self::Claim(Bounded(name).to_string()),
            Place::Method(method) => Self::Other(Place::Method(method)),
            Place::Field(name) => Self::Other(Place::Field(name)),
            Place::Item(name, index) => Self::Other(Place::Item(name, index)),
            Place::Permission(name, index) => Self::Other(Place::Permission(name, index)),
        }
    }
}

impl fmt::Display for DecidedPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Claim(name) => write!(f, "claims.{name}"),
            Self::Other(place) => place.fmt(f),
        }
    }
}

/// The decisions about a client's request, put into words where they are written.
pub(super) struct DecidedPolicy {
    pub(super) client: Arc<Client>,
    pub(super) decisions: Decisions,
}

impl fmt::Display for DecidedPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (place, line)) in self.decisions.named.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{place} by {}", line.of(&self.client))?;
        }
        match self.decisions.more {
            0 => Ok(()),
            more => write!(f, ", and {more} more"),
        }
    }
}
