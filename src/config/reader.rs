//! Parses values, and collects the problems.

use std::{net::SocketAddr, path::PathBuf, str::FromStr, time::Duration};

use super::{
    Origin, Problems, Resolved,
    secret::Secret,
    setting::{Kind, Setting},
    table::find,
};
use crate::model::Ttl;

/// Parses one value after the other. A value that cannot be parsed adds a problem and becomes a placeholder, so that all problems
/// are reported at once.
pub(super) struct Reader<'a> {
    resolved: &'a Resolved,
    pub(super) problems: Problems,
}

impl<'a> Reader<'a> {
    pub(super) fn new(resolved: &'a Resolved) -> Self {
        Self { resolved, problems: resolved.problems() }
    }

    /// A reader that reports only the problems of the values that it reads.
    pub(super) fn without_other_problems(resolved: &'a Resolved) -> Self {
        Self { resolved, problems: Problems::default() }
    }

    /// Whether the setting has a value, valid or not.
    pub(super) fn is_given(&self, name: &str) -> bool {
        self.resolved.values.contains_key(name)
    }

    pub(super) fn text(&self, name: &str) -> Option<&'a str> {
        self.resolved.text(name)
    }

    pub(super) fn secret(&self, name: &str) -> Option<&'a Secret> {
        self.resolved.secret(name)
    }

    pub(super) fn path(&self, name: &str) -> Option<PathBuf> {
        self.text(name).map(PathBuf::from)
    }

    /// The words of a list.
    pub(super) fn words(&self, name: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        self.text(name).unwrap_or_default().split(',').map(str::trim)
    }

    pub(super) fn address(&mut self, name: &str) -> Option<SocketAddr> {
        let text = self.text(name)?;
        let wanted = |_| format!("`{text}` is not an IP address with a port, such as 0.0.0.0:50051");
        self.ok_or_problem(name, text.parse().map_err(wanted))
    }

    pub(super) fn bool(&mut self, name: &str) -> bool {
        self.valid_bool(name).unwrap_or_default()
    }

    /// A value on which other settings depend: none if it is invalid, so that it causes no further problems.
    pub(super) fn valid_bool(&mut self, name: &str) -> Option<bool> {
        let text = self.text(name).unwrap_or("false");
        self.ok_or_problem(name, text.parse().map_err(|_| format!("`{text}` is neither true nor false")))
    }

    pub(super) fn number<N: TryFrom<u64> + Default>(&mut self, name: &str) -> N {
        let text = self.text(name).unwrap_or_default();
        let Some(Kind::Number(least, most)) = kind(name) else { return N::default() };
        let number = text.parse::<u64>().ok().filter(|number| (least..=most).contains(number));
        let read = number.and_then(|number| N::try_from(number).ok());
        let wanted = || format!("`{text}` is not a whole number from {least} to {most}");
        self.ok_or_problem(name, read.ok_or_else(wanted)).unwrap_or_default()
    }

    pub(super) fn duration(&mut self, name: &str) -> Duration {
        let (least, most, whole) = match kind(name) {
            Some(Kind::Duration(least, most)) => (least, most, false),
            Some(Kind::Seconds(least, most)) => (Duration::from_secs(least), Duration::from_secs(most), true),
            _ => return Duration::ZERO,
        };
        let text = self.text(name).unwrap_or_default();
        let read = humantime::parse_duration(text)
            .map_err(|_| format!("`{text}` is not a duration, such as 30s, 5m or 1h"))
            .and_then(|duration| {
                if !(least..=most).contains(&duration) {
                    let (least, most) = (humantime::format_duration(least), humantime::format_duration(most));
                    Err(format!("`{text}` is not between {least} and {most}"))
                } else if whole && duration.subsec_nanos() != 0 {
                    Err(format!("`{text}` is not of whole seconds"))
                } else {
                    Ok(duration)
                }
            });
        self.ok_or_problem(name, read).unwrap_or_default()
    }

    /// A lifetime of at least one second.
    pub(super) fn ttl(&mut self, name: &str) -> Option<Ttl> {
        let ttl = Ttl::from_seconds(self.duration(name).as_secs());
        if ttl.is_none() && self.problems.is_empty() {
            self.problem(name, "must be at least one second");
        }
        ttl
    }

    pub(super) fn parsed<T: FromStr<Err: std::fmt::Display>>(&mut self, name: &str) -> Option<T> {
        let text = self.text(name)?;
        self.ok_or_problem(name, text.parse().map_err(|error| format!("`{text}`: {error}")))
    }

    /// The value, or none after adding the problem.
    pub(super) fn ok_or_problem<T>(&mut self, name: &str, read: Result<T, String>) -> Option<T> {
        read.map_err(|problem| self.problem(name, &problem)).ok()
    }

    /// Adds a problem with the name of the setting and the origin of its value.
    pub(super) fn problem(&mut self, name: &str, problem: &str) {
        let origin = self.resolved.values.get(name).map_or(&Origin::Default, |resolution| &resolution.origin);
        self.problems.add(format!("{name}: {problem} ({origin})"));
    }

    /// Adds the problem that a required setting has no value.
    pub(super) fn missing(&mut self, name: &str) {
        self.problems.add(format!("{name} is missing: set it by {}", sources(name)));
    }
}

/// Everything that can set the setting.
pub(super) fn sources(name: &str) -> String {
    find(name).map(Setting::sources).unwrap_or_default()
}

fn kind(name: &str) -> Option<Kind> {
    find(name).map(|setting| setting.kind)
}
