//! The value of each setting with its origin.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use super::{
    Origin, Problems,
    secret::Secret,
    table::{Kind, Setting, settings},
};
use crate::{database::printable, files, store::Location};

/// The settings with the path of a file that holds a secret, and is read where it is used.
const SECRET_PATHS: [&str; 3] = ["store_file", "tls_key_file", "vault_token_file"];

/// A setting's value as it was given.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Plain(String, Origin),
    Secret(Secret, Origin),
    /// A file was named for a secret, and does not exist.
    Absent(PathBuf, Origin),
    /// Something gave one that could not be had; the problem is noted already.
    Unreadable(Origin),
}

/// The value of each setting, not yet checked, and where it came from.
#[derive(Debug, Clone)]
pub struct Resolved {
    pub(super) values: BTreeMap<&'static str, Value>,
    /// The files that secrets were read from, by the settings' keys.
    pub(super) secret_files: Vec<(String, PathBuf)>,
    pub(super) problems: Problems,
    /// Whether nothing of the configuration file could be read.
    pub(super) is_file_unreadable: bool,
    pub(super) warnings: Vec<String>,
}

/// One setting as an operator may see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// Its name.
    pub name: &'static str,
    /// Its value; nothing when it has none. `set` for a secret.
    pub value: Option<String>,
    /// Where the value came from.
    pub origin: Origin,
    /// Whether it is a secret.
    pub secret: bool,
}

impl Resolved {
    /// What is wrong with the sources themselves: the file, or a secret's file.
    pub fn problems(&self) -> Problems {
        let mut problems = self.problems.clone();
        for (name, value) in &self.values {
            if let Value::Absent(path, origin) = value {
                let path = files::printable(path);
                problems.add(format!("{name}: {path} cannot be read: it does not exist ({origin})"));
            }
        }
        problems
    }

    /// What is probably a mistake, and stops nothing: variables that look like settings and are none.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// What is wrong with the permissions of files that hold secrets: others than their owner can read or change them.
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

    /// Takes the file out that was named for the secret and does not exist, for the one who will make it: from here on
    /// it is no problem, and the secret is not set.
    pub fn take_absent(&mut self, name: &str) -> Option<PathBuf> {
        if !matches!(self.values.get(name), Some(Value::Absent(..))) {
            return None;
        }
        match self.values.remove(name) {
            Some(Value::Absent(path, _)) => Some(path),
            _ => None,
        }
    }

    /// A setting's text, as it was given; none for a secret.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.values.get(name) {
            Some(Value::Plain(text, _)) => Some(text),
            _ => None,
        }
    }

    /// A secret's text, for the one who may see it.
    pub fn secret_text(&self, name: &str) -> Option<&str> {
        match self.values.get(name) {
            Some(Value::Secret(secret, _)) => Some(secret.reveal()),
            _ => None,
        }
    }

    /// Every setting in the order of the table, no secret among the values.
    pub fn shown(&self) -> Vec<Shown> {
        let issuer = match self.values.get("issuer") {
            Some(Value::Plain(issuer, _)) => Some(issuer),
            _ => None,
        };
        settings()
            .map(|setting| {
                let (value, origin) = match self.values.get(setting.name) {
                    Some(Value::Plain(text, origin)) => (Some(shown(setting, text)), origin.clone()),
                    Some(Value::Secret(_, origin) | Value::Absent(_, origin) | Value::Unreadable(origin)) => {
                        (Some("set".to_owned()), origin.clone())
                    }
                    None if setting.name == "jwks_uri" => {
                        (issuer.map(|issuer| printable(&default_jwks_uri(issuer))), Origin::Default)
                    }
                    None => (None, Origin::Default),
                };
                Shown { name: setting.name, value, origin, secret: setting.is_secret() }
            })
            .collect()
    }
}

/// Where the JWK set is when nothing says otherwise.
pub(super) fn default_jwks_uri(issuer: &str) -> String {
    format!("{issuer}/.well-known/jwks.json")
}

/// A value without what could be a password.
fn shown(setting: &Setting, text: &str) -> String {
    match (setting.name, setting.kind) {
        ("store", _) => {
            text.parse::<Location>().map_or_else(|_| "not a store".to_owned(), |at| at.to_string())
        }
        ("issuer" | "jwks_uri" | "vault_addr" | "otlp_endpoint", _) => printable(text),
        (_, Kind::Path) => files::printable(Path::new(text)),
        _ => text.to_owned(),
    }
}
