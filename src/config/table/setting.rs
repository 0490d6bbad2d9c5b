//! One setting, and how the table writes it down.

use std::time::Duration;

/// What a setting's value must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// A file's path.
    Path,
    /// An IP address and a port.
    Address,
    /// `true` or `false`.
    Bool,
    /// A whole number within these bounds.
    Number(u64, u64),
    /// A duration within these bounds.
    Duration(Duration, Duration),
    /// A duration of whole seconds within these bounds: tokens and HTTP count no fractions.
    Seconds(u64, u64),
    /// One or more words with commas between them.
    List,
    /// A secret: given by variable or file, never as a flag's or a key's value.
    Secret,
}

/// One setting.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Its name in `snake_case`, which is its key in the file.
    pub name: &'static str,
    /// What its value must be.
    pub kind: Kind,
    /// What stands for the value in help texts.
    pub placeholder: &'static str,
    /// Its value when nothing gives it one.
    pub default: Option<&'static str>,
    /// What it does, in one line, with the unit.
    pub help: &'static str,
}

impl Setting {
    /// Whether its value must never be shown.
    pub const fn is_secret(&self) -> bool {
        matches!(self.kind, Kind::Secret)
    }

    /// Its key in the file; that of a secret names a file.
    pub fn key(&self) -> String {
        if self.is_secret() { format!("{}_file", self.name) } else { self.name.to_owned() }
    }

    /// Its flag, without the dashes before it; that of a secret names a file.
    pub fn flag(&self) -> String {
        self.key().replace('_', "-")
    }

    /// The variable that holds its value.
    pub fn variable(&self) -> String {
        format!("TOKEND_{}", self.name.to_uppercase())
    }

    /// The variable that names the file with its value, for a secret.
    pub fn file_variable(&self) -> Option<String> {
        self.is_secret().then(|| format!("{}_FILE", self.variable()))
    }

    /// All that can set it, for messages.
    pub fn given_by(&self) -> String {
        let (flag, variable, key) = (self.flag(), self.variable(), self.key());
        match self.file_variable() {
            None => format!("flag --{flag}, variable {variable} or key {key}"),
            Some(file_variable) => format!(
                "variable {variable}, or a file named by flag --{flag}, variable {file_variable} or key {key}"
            ),
        }
    }
}

pub(super) const fn setting(
    name: &'static str,
    kind: Kind,
    placeholder: &'static str,
    default: Option<&'static str>,
    help: &'static str,
) -> Setting {
    Setting { name, kind, placeholder, default, help }
}

pub(super) const fn duration(
    name: &'static str,
    default: &'static str,
    most: u64,
    help: &'static str,
) -> Setting {
    let bounds = Kind::Duration(Duration::from_millis(100), Duration::from_secs(most));
    setting(name, bounds, "DURATION", Some(default), help)
}

pub(super) const fn delay(
    name: &'static str,
    default: &'static str,
    most: u64,
    help: &'static str,
) -> Setting {
    let bounds = Kind::Duration(Duration::ZERO, Duration::from_secs(most));
    setting(name, bounds, "DURATION", Some(default), help)
}

pub(super) const fn seconds(
    name: &'static str,
    default: &'static str,
    most: u64,
    help: &'static str,
) -> Setting {
    setting(name, Kind::Seconds(0, most), "DURATION", Some(default), help)
}

/// Ten years: far longer than any key should live.
pub(super) const LONGEST_PERIOD: u64 = 10 * 365 * 86_400;

pub(super) const fn period(name: &'static str, default: &'static str, help: &'static str) -> Setting {
    setting(name, Kind::Seconds(60, LONGEST_PERIOD), "DURATION", Some(default), help)
}

pub(super) const fn number(
    name: &'static str,
    default: &'static str,
    bounds: (u64, u64),
    help: &'static str,
) -> Setting {
    setting(name, Kind::Number(bounds.0, bounds.1), "NUMBER", Some(default), help)
}
