//! Where a store is.

use std::{fmt, path::PathBuf, str::FromStr};

use url::Url;
use zeroize::Zeroizing;

use super::OpenError;

/// Where a store is. Printed without the password.
#[derive(Clone, PartialEq, Eq)]
pub enum Location {
    /// In this process' memory, gone with it: `memory`.
    Memory,
    /// A file: `sqlite:PATH`.
    Sqlite(PathBuf),
    /// A PostgreSQL database: `postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=…`.
    Postgres(Zeroizing<String>),
}

impl FromStr for Location {
    type Err = OpenError;

    fn from_str(text: &str) -> Result<Self, OpenError> {
        if text == "memory" {
            return Ok(Self::Memory);
        }
        if let Some(path) = text.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            if !path.is_empty() && !path.starts_with(':') {
                return Ok(Self::Sqlite(PathBuf::from(path)));
            }
        }
        let postgres = text.starts_with("postgres://") || text.starts_with("postgresql://");
        if postgres && Url::parse(text).is_ok() {
            return Ok(Self::Postgres(Zeroizing::new(text.to_owned())));
        }
        Err(OpenError::Location(shown(text).to_owned()))
    }
}

/// As much of a text that is no location as surely holds no password: it may be a URL with a slip of the pen.
fn shown(text: &str) -> &str {
    if !text.contains([':', '@']) {
        return text;
    }
    let scheme = |character: char| character.is_ascii_alphanumeric() || matches!(character, '+' | '.' | '-');
    text.split_once(':').map(|(first, _)| first).filter(|first| first.chars().all(scheme)).unwrap_or("…")
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("memory"),
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(url) => {
                let parsed = Url::parse(url).ok().filter(|url| !url.cannot_be_a_base());
                let Some(mut shown) = parsed else { return f.write_str("postgres://…") };
                if shown.password().is_some() && shown.set_password(Some("***")).is_err() {
                    return f.write_str("postgres://…");
                }
                let pairs: Vec<(String, String)> = shown.query_pairs().into_owned().collect();
                shown.set_query(None);
                let mut kept = pairs.iter().filter(|(name, _)| name != "password").peekable();
                if kept.peek().is_some() {
                    shown.query_pairs_mut().extend_pairs(kept);
                }
                f.write_str(shown.as_str())
            }
        }
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
