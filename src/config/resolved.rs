//! The value of each setting with its origin, not yet parsed.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

use super::{
    Problems,
    secret::Secret,
    setting::{Kind, Setting},
    table::settings,
};
use crate::{database::printable, files, store::Location};

/// The settings with the path of a file with a secret that is read where the secret is used.
const SECRET_PATHS: [&str; 3] = ["store_file", "tls_key_file", "vault_token_file"];

/// The source of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A flag, named without its dashes.
    Flag(String),
    /// An environment variable.
    Variable(String),
    /// A key of the configuration file.
    Key {
        /// The key.
        key: String,
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// The default.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) => write!(f, "flag --{name}"),
            Self::Variable(name) => write!(f, "variable {name}"),
            Self::Key { key, file, line } => write!(f, "key {key} in {}, line {line}", file.display()),
            Self::Default => f.write_str("default"),
        }
    }
}

#[derive(Debug, Clone)]
pub(super) struct Resolution {
    pub(super) value: Value,
    pub(super) origin: Origin,
}

#[derive(Debug, Clone)]
pub(super) enum Value {
    Plain(String),
    Secret(Secret),
    /// The file of the secret does not exist.
    Absent(PathBuf),
    /// The value cannot be read, and the problem is already reported.
    Unreadable,
}

/// The value of each setting and its origin.
#[derive(Debug, Clone)]
pub struct Resolved {
    pub(super) values: BTreeMap<&'static str, Resolution>,
    /// The files of secrets that were read, by the keys of the settings.
    pub(super) secret_files: Vec<(String, PathBuf)>,
    pub(super) problems: Problems,
    pub(super) is_file_unreadable: bool,
    pub(super) warnings: Vec<String>,
}

/// One setting as an operator may see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The name.
    pub name: &'static str,
    /// The value, if there is one; `set` for a secret.
    pub value: Option<String>,
    /// The source of the value.
    pub origin: Origin,
    /// Whether it is a secret.
    pub secret: bool,
}

impl Resolved {
    /// The problems of the sources: the file, or the file of a secret.
    pub fn problems(&self) -> Problems {
        let mut problems = self.problems.clone();
        for (name, Resolution { value, origin }) in &self.values {
            if let Value::Absent(path) = value {
                let path = files::printable(path);
                problems.add(format!("{name}: {path} cannot be read: it does not exist ({origin})"));
            }
        }
        problems
    }

    /// Probable mistakes that prevent nothing: variables that look like settings.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The files with secrets that other users than the owner can read or change.
    pub fn exposed_files(&self) -> Vec<String> {
        let paths =
            SECRET_PATHS.iter().filter_map(|name| Some(((*name).to_owned(), self.text(name)?.into())));
        let files = self.secret_files.iter().cloned().chain(paths);
        files.filter_map(|(key, path): (String, PathBuf)| {
            let mode = files::exposed_mode(&path).ok().flatten()?;
            let path = files::printable(&path);
            Some(format!("{key}: {path} holds a secret and has the mode {mode:04o}; run `chmod 0600 {path}`, or 0640 for a file of root's"))
        }).collect()
    }

    /// Removes and returns the file of the secret if it does not exist, for a caller that creates the file.
    pub fn take_absent(&mut self, name: &str) -> Option<PathBuf> {
        let Value::Absent(path) = &self.values.get(name)?.value else { return None };
        let path = path.clone();
        self.values.remove(name);
        Some(path)
    }

    /// The given text of a setting that is no secret.
    pub fn text(&self, name: &str) -> Option<&str> {
        match &self.values.get(name)?.value {
            Value::Plain(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn secret(&self, name: &str) -> Option<&Secret> {
        match &self.values.get(name)?.value {
            Value::Secret(secret) => Some(secret),
            _ => None,
        }
    }

    /// The text of a secret.
    pub fn secret_text(&self, name: &str) -> Option<&str> {
        self.secret(name).map(Secret::reveal)
    }

    /// All settings in the order of the table, without the values of secrets.
    pub fn shown(&self) -> Vec<Shown> {
        let shown = |setting: &'static Setting| {
            let resolution = self.values.get(setting.name);
            let value = match resolution.map(|resolution| &resolution.value) {
                Some(Value::Plain(text)) => Some(printable_value(setting, text)),
                Some(_) => Some("set".to_owned()),
                None if setting.name == "jwks_uri" => {
                    self.text("issuer").map(|issuer| printable(&default_jwks_uri(issuer)))
                }
                None => None,
            };
            let origin = resolution.map_or(Origin::Default, |resolution| resolution.origin.clone());
            Shown { name: setting.name, value, origin, secret: setting.is_secret() }
        };
        settings().map(shown).collect()
    }
}

/// The URL of the JWK set if `jwks_uri` is not set.
pub(super) fn default_jwks_uri(issuer: &str) -> String {
    format!("{issuer}/.well-known/jwks.json")
}

/// A value without a possible password.
fn printable_value(setting: &Setting, text: &str) -> String {
    match (setting.name, setting.kind) {
        ("store", _) => {
            text.parse::<Location>().map_or_else(|_| "not a store".to_owned(), |at| at.to_string())
        }
        ("issuer" | "jwks_uri" | "vault_addr" | "otlp_endpoint", _) => printable(text),
        (_, Kind::Path) => files::printable(Path::new(text)),
        _ => text.to_owned(),
    }
}
