//! The location of a store.

use std::{fmt, path::PathBuf, str::FromStr, time::Duration};

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
            check_sqlite_path(path)?;
            return Ok(Self::Sqlite(PathBuf::from(path)));
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            let problem = |problem| OpenError::Location(format!("the postgres:// URL {problem}"));
            return DatabaseLocation::parse(text).map(Self::Postgres).map_err(problem);
        }
        Err(OpenError::Location(FORMS.to_owned()))
    }
}

/// Rejects a URI. A path is printed, and so must not be a URL with a password.
fn check_sqlite_path(path: &str) -> Result<(), OpenError> {
    let problem = if path.starts_with("file:") {
        "`sqlite:` takes a path and no URI: remove `file:`".to_owned()
    } else if let Some((_, parameters)) = path.split_once('?') {
        let name = parameters.split_once('=').map_or("", |(name, _)| name);
        let is_name = (1..=40).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        let what = if is_name { format!("the parameter `{name}`") } else { "everything from `?`".to_owned() };
        let next = match name {
            "mode" => "; only `create_store` decides whether tokend creates the database",
            "vfs" | "immutable" | "nolock" | "psow" => {
                "; tokend always locks the database, because several processes may use it"
            }
            _ => "; tokend itself sets foreign keys, journal mode and timeouts",
        };
        format!("`sqlite:` takes a path without parameters: remove {what}{next}")
    } else if path.contains('@') || path.contains("://") {
        "`sqlite:` takes a path without `@` and `://`: rename the file or folder".to_owned()
    } else {
        return Ok(());
    };
    Err(OpenError::Location(problem))
}

impl Location {
    /// The same, without retries at startup: an operator waits for the answer.
    #[must_use]
    pub fn at_once(&self) -> Self {
        match self {
            Self::Postgres(database) => Self::Postgres(database.clone().connect_for(Duration::ZERO)),
            other => other.clone(),
        }
    }

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
