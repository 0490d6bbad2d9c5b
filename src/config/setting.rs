//! One setting: its name, its type, its default and its help.

use std::time::Duration;

/// The type of a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// The path of a file or a folder.
    Path,
    /// An IP address and a port.
    Address,
    /// `true` or `false`.
    Bool,
    /// A whole number within these bounds.
    Number(u64, u64),
    /// A duration within these bounds.
    Duration(Duration, Duration),
    /// A duration of whole seconds within these bounds: tokens and HTTP have no fractions of seconds.
    Seconds(u64, u64),
    /// One or more words, separated by commas.
    List,
    /// A secret, given by a variable or a file, never as the value of a flag or a key.
    Secret,
}

/// One setting.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// The name in `snake_case`, which is the key in the file.
    pub name: &'static str,
    /// The type of the value.
    pub kind: Kind,
    /// The placeholder for the value in help texts.
    pub placeholder: &'static str,
    /// The default value.
    pub default: Option<&'static str>,
    /// The help in one line, with the unit.
    pub help: &'static str,
}

impl Setting {
    /// Whether the value must never be shown.
    pub const fn is_secret(&self) -> bool {
        matches!(self.kind, Kind::Secret)
    }

    /// The key in the file; the key of a secret names a file.
    pub fn key(&self) -> String {
        if self.is_secret() { format!("{}_file", self.name) } else { self.name.to_owned() }
    }

    /// The flag without `--`; the flag of a secret names a file.
    pub fn flag(&self) -> String {
        self.key().replace('_', "-")
    }

    /// The variable with the value.
    pub fn variable(&self) -> String {
        format!("TOKEND_{}", self.name.to_uppercase())
    }

    /// The variable that names a file with the value, for a secret.
    pub fn file_variable(&self) -> Option<String> {
        self.is_secret().then(|| format!("{}_FILE", self.variable()))
    }

    /// Everything that can set the value, for messages.
    pub fn sources(&self) -> String {
        let (flag, variable, key) = (self.flag(), self.variable(), self.key());
        match self.file_variable() {
            None => format!("flag --{flag}, variable {variable} or key {key}"),
            Some(file_variable) => format!(
                "variable {variable}, or a file named by flag --{flag}, variable {file_variable} or key {key}"
            ),
        }
    }
}

/// Whether the character does not belong at the beginning or end of a value. The byte order mark is invisible, and begins some files
/// of Windows.
pub(super) fn is_stray(character: char) -> bool {
    character.is_whitespace() || character.is_control() || character == '\u{feff}'
}

/// Rejects a value that begins or ends with a blank or a line end: a line end of Windows, or a copied blank, would name another file
/// or issuer. The error does not quote the value.
pub(super) fn check_ends(text: &str) -> Result<(), String> {
    let check = |place: &str, found: Option<char>| match found.filter(|character| is_stray(*character)) {
        None => Ok(()),
        Some(' ') => Err(format!("the value {place} with a blank; remove it")),
        Some('\n' | '\r') => Err(format!("the value {place} with a line end; remove it")),
        Some(other) => {
            Err(format!("the value {place} with the character {}; remove it", other.escape_unicode()))
        }
    };
    check("begins", text.chars().next())?;
    check("ends", text.chars().next_back())
}

/// As [`check_ends`], for a value of one line.
pub(super) fn check_line(text: &str) -> Result<(), String> {
    check_ends(text)?;
    // The path of a SQLite file.
    if let Some(path) = text.strip_prefix("sqlite:") {
        check_ends(path)?;
    }
    match text.chars().find(|character| character.is_control()) {
        None => Ok(()),
        Some('\n' | '\r') => Err("the value has several lines; write it in one".to_owned()),
        Some(other) => Err(format!("the value contains the character {}; remove it", other.escape_unicode())),
    }
}

pub(super) const TEN_YEARS: u64 = 10 * 365 * 86_400;

/// A type with its placeholder.
type Typed = (Kind, &'static str);

pub(super) const fn text(placeholder: &'static str) -> Typed {
    (Kind::Text, placeholder)
}

pub(super) const fn path(placeholder: &'static str) -> Typed {
    (Kind::Path, placeholder)
}

pub(super) const fn list(placeholder: &'static str) -> Typed {
    (Kind::List, placeholder)
}

pub(super) const fn boolean() -> Typed {
    (Kind::Bool, "BOOL")
}

pub(super) const fn address() -> Typed {
    (Kind::Address, "IP:PORT")
}

pub(super) const fn secret() -> Typed {
    (Kind::Secret, "FILE")
}

pub(super) const fn number(least: u64, most: u64) -> Typed {
    (Kind::Number(least, most), "NUMBER")
}

/// A duration of whole seconds.
pub(super) const fn seconds(least: u64, most: u64) -> Typed {
    (Kind::Seconds(least, most), "DURATION")
}

/// A duration that is not zero, of at most this many seconds.
pub(super) const fn duration(most: u64) -> Typed {
    (Kind::Duration(Duration::from_millis(100), Duration::from_secs(most)), "DURATION")
}

/// A duration that may be zero, of at most this many seconds.
pub(super) const fn delay(most: u64) -> Typed {
    (Kind::Duration(Duration::ZERO, Duration::from_secs(most)), "DURATION")
}
