//! Where a value came from.

use std::{fmt, path::PathBuf};

/// Where a setting's value came from.
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
    /// Nothing gave one.
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
