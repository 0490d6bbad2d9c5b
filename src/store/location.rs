//! The location of a store.

use std::{fmt, path::PathBuf, str::FromStr};

use super::OpenError;
use crate::database::DatabaseLocation;

/// The location of a store. Its text has neither user, password nor parameters.
#[derive(Clone, PartialEq, Eq)]
pub enum Location {
    /// In this process' memory: `memory`.
    Memory,
    /// A file: `sqlite:PATH`.
    Sqlite(PathBuf),
    /// A PostgreSQL database: `postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=…`.
    Postgres(DatabaseLocation),
}

impl FromStr for Location {
    type Err = OpenError;

    fn from_str(text: &str) -> Result<Self, OpenError> {
        const FORMS: &str = "must be `memory`, `sqlite:PATH` or `postgres://…`";
        if text == "memory" {
            return Ok(Self::Memory);
        }
        if let Some(path) = text.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            if path.is_empty() || path.starts_with(':') {
                return Err(OpenError::Location(FORMS.to_owned()));
            }
            // A path is printed, and so must not be a URL with a password.
            if path.contains(['?', '@']) || path.contains("://") {
                return Err(OpenError::Location(
                    "`sqlite:` takes a path without parameters, `?` and `@`".to_owned(),
                ));
            }
            return Ok(Self::Sqlite(PathBuf::from(path)));
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            let problem = |problem| OpenError::Location(format!("the postgres:// URL {problem}"));
            return DatabaseLocation::parse(text).map(Self::Postgres).map_err(problem);
        }
        Err(OpenError::Location(FORMS.to_owned()))
    }
}

impl Location {
    /// Whether a database that takes no writes may be used.
    pub const fn admits_read_only(&self) -> bool {
        match self {
            Self::Memory | Self::Sqlite(_) => false,
            Self::Postgres(database) => database.admits_read_only(),
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("memory"),
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(database) => fmt::Display::fmt(database, f),
        }
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
