//! Reads values as what they must be, and notes whatever is wrong with them.

use std::{net::SocketAddr, path::PathBuf, str::FromStr, time::Duration};

use super::{
    Origin, Problems, Resolved,
    resolved::Value,
    secret::Secret,
    table::{Kind, Setting, settings},
};
use crate::model::Ttl;

/// Reads one value after the other; what cannot be read is noted and answered with a stand-in, so that all
/// problems come to light at once.
pub(super) struct Reader<'a> {
    resolved: &'a Resolved,
    pub(super) problems: Problems,
}

impl<'a> Reader<'a> {
    pub(super) fn new(resolved: &'a Resolved) -> Self {
        Self { resolved, problems: resolved.problems() }
    }

    /// Whether anything gave the setting a value, be it a bad one.
    pub(super) fn is_given(&self, name: &str) -> bool {
        self.resolved.values.contains_key(name)
    }

    pub(super) fn text(&self, name: &str) -> Option<&'a str> {
        match self.resolved.values.get(name) {
            Some(Value::Plain(text, _)) => Some(text),
            _ => None,
        }
    }

    pub(super) fn secret(&self, name: &str) -> Option<&'a Secret> {
        match self.resolved.values.get(name) {
            Some(Value::Secret(secret, _)) => Some(secret),
            _ => None,
        }
    }

    pub(super) fn path(&self, name: &str) -> Option<PathBuf> {
        self.text(name).map(PathBuf::from)
    }

    pub(super) fn address(&mut self, name: &str) -> Option<SocketAddr> {
        let text = self.text(name)?;
        self.note(
            name,
            text.parse()
                .map_err(|_| format!("`{text}` is not an IP address with a port, such as 0.0.0.0:50051")),
        )
    }

    pub(super) fn bool(&mut self, name: &str) -> Option<bool> {
        let text = self.text(name).unwrap_or("false");
        self.note(name, text.parse().map_err(|_| format!("`{text}` is neither true nor false")))
    }

    pub(super) fn number<N: TryFrom<u64> + Default>(&mut self, name: &str) -> N {
        let text = self.text(name).unwrap_or_default();
        let Some(Kind::Number(least, most)) = kind(name) else { return N::default() };
        let number = text.parse::<u64>().ok().filter(|number| (least..=most).contains(number));
        let read = number.and_then(|number| N::try_from(number).ok());
        let wanted = || format!("`{text}` is not a whole number from {least} to {most}");
        self.note(name, read.ok_or_else(wanted)).unwrap_or_default()
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
        self.note(name, read).unwrap_or_default()
    }

    /// A life of whole seconds, at least one.
    pub(super) fn ttl(&mut self, name: &str) -> Option<Ttl> {
        let ttl = Ttl::from_seconds(self.duration(name).as_secs());
        if ttl.is_none() && self.problems.is_empty() {
            self.wrong(name, "must be at least one second");
        }
        ttl
    }

    pub(super) fn word<T: FromStr<Err: std::fmt::Display>>(&mut self, name: &str) -> Option<T> {
        let text = self.text(name)?;
        self.note(name, text.parse().map_err(|error| format!("`{text}`: {error}")))
    }

    /// Takes the value, or notes the problem with the setting's name and where the value came from.
    pub(super) fn note<T>(&mut self, name: &str, read: Result<T, String>) -> Option<T> {
        read.map_err(|problem| self.wrong(name, &problem)).ok()
    }

    pub(super) fn wrong(&mut self, name: &str, problem: &str) {
        let origin = match self.resolved.values.get(name) {
            Some(
                Value::Plain(_, origin)
                | Value::Secret(_, origin)
                | Value::Absent(_, origin)
                | Value::Unreadable(origin),
            ) => origin,
            None => &Origin::Default,
        };
        self.problems.add(format!("{name}: {problem} ({origin})"));
    }

    /// Notes that the setting has no value, and all that can give it one.
    pub(super) fn missing(&mut self, name: &str) {
        if let Some(setting) = find(name) {
            self.problems.add(format!("{name} is missing: set it by {}", setting.given_by()));
        }
    }
}

pub(super) fn find(name: &str) -> Option<&'static Setting> {
    settings().find(|setting| setting.name == name)
}

fn kind(name: &str) -> Option<Kind> {
    find(name).map(|setting| setting.kind)
}
