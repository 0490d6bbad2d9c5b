//! Where a PostgreSQL database is.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use sqlx::postgres::PgConnectOptions;
use zeroize::Zeroizing;

use super::url::{self, Parsed};
use crate::files;

/// Where a PostgreSQL database is: a URL, and the file that it was read from, which is read again for each connection.
/// Printed as scheme, host and database.
#[derive(Clone)]
pub struct DatabaseLocation {
    text: Arc<Mutex<Text>>,
    file: Option<PathBuf>,
    /// As printed.
    name: String,
    database: Option<String>,
    admits_read_only: bool,
    connect_timeout: Duration,
}

/// What was read.
struct Text {
    /// The last URL that can be used.
    url: Zeroizing<String>,
    /// What the file held last.
    seen: Zeroizing<String>,
    /// Why the file was of no use, if it was not.
    problem: Option<String>,
}

impl DatabaseLocation {
    /// The database at this URL.
    ///
    /// # Errors
    /// What is wrong with it; the text quotes nothing that could be a password.
    pub fn parse(url: &str) -> Result<Self, String> {
        let Parsed { servers, .. } = url::parse(url)?;
        let Some(first) = servers.first() else { return Err("names no server".to_owned()) };
        let database = first.get_database().map(str::to_owned);
        let hosts: Vec<String> = servers.iter().map(host).collect();
        let name = format!("postgres://{}/{}", hosts.join(","), database.as_deref().unwrap_or_default());
        let url = Zeroizing::new(url.to_owned());
        let text = Text { seen: url.clone(), url, problem: None };
        Ok(Self {
            text: Arc::new(Mutex::new(text)),
            file: None,
            name,
            database,
            admits_read_only: false,
            connect_timeout: Duration::ZERO,
        })
    }

    /// The same, read from this file, which may be rewritten.
    #[must_use]
    pub fn in_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.file = Some(file.into());
        self
    }

    /// The same, with or without the need for a server that takes writes.
    #[must_use]
    pub const fn admit_read_only(mut self, admits_read_only: bool) -> Self {
        self.admits_read_only = admits_read_only;
        self
    }

    /// Whether a server that takes no writes will do, such as a standby.
    pub const fn admits_read_only(&self) -> bool {
        self.admits_read_only
    }

    /// The same, retried for this time at startup while no server can be reached.
    #[must_use]
    pub const fn connect_for(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long to retry at startup.
    pub(super) const fn connect_timeout(&self) -> Duration {
        self.connect_timeout
    }

    /// Says which parameters of the URL have no effect.
    pub fn warn_of_ignored(&self) {
        for parameter in url::parse(&self.text().url).map(|parsed| parsed.ignored).unwrap_or_default() {
            tracing::warn!(database = %self, parameter, "a parameter of the URL is not known and has no effect");
        }
    }

    /// How to connect to each server, as of now. On a thread that may wait: a file may be on a disk that hangs.
    pub(super) async fn servers(&self) -> Result<Vec<PgConnectOptions>, String> {
        let location = self.clone();
        let read = tokio::task::spawn_blocking(move || location.read());
        read.await.unwrap_or_else(|error| Err(error.to_string()))
    }

    /// Where the file cannot be read or makes no sense, as of the last time that it could be and did: it may be about to be written.
    fn read(&self) -> Result<Vec<PgConnectOptions>, String> {
        if let Some(file) = &self.file {
            let problem = self.read_again(file).err();
            let mut text = self.text();
            if let Some(problem) = problem.as_deref().filter(|_| text.problem != problem) {
                let file = file.display();
                tracing::warn!(database = %self, %file, problem, "the URL of the database could not be read again");
            }
            text.problem = problem;
        }
        url::parse(&self.text().url).map(|parsed| parsed.servers)
    }

    /// Whether the file holds another text than the one that was read last.
    pub async fn has_changed(&self) -> bool {
        let Some(file) = self.file.clone() else { return false };
        let read = tokio::task::spawn_blocking(move || files::read_secret(&file)).await;
        matches!(read, Ok(Ok(text)) if text != self.text().seen)
    }

    fn read_again(&self, file: &Path) -> Result<(), String> {
        let text = files::read_secret(file)?;
        self.text().seen = text.clone();
        let fresh = Self::parse(&text)?;
        // What is in memory is of the one that was opened.
        if fresh.database != self.database {
            return Err("it names another database: restart to use that".to_owned());
        }
        self.text().url = text;
        Ok(())
    }

    fn text(&self) -> MutexGuard<'_, Text> {
        self.text.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A server as it is printed.
pub(super) fn host(server: &PgConnectOptions) -> String {
    match server.get_socket() {
        Some(folder) => folder.display().to_string().replace('/', "%2F"),
        None if server.get_host().starts_with('/') => server.get_host().replace('/', "%2F"),
        None if server.get_host().contains(':') => format!("[{}]:{}", server.get_host(), server.get_port()),
        None => format!("{}:{}", server.get_host(), server.get_port()),
    }
}

impl PartialEq for DatabaseLocation {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, &self.file) == (&other.name, &other.file)
            && *self.text().url.clone() == *other.text().url
    }
}

impl Eq for DatabaseLocation {}

impl fmt::Display for DatabaseLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl fmt::Debug for DatabaseLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}
