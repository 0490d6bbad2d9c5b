//! Connecting to the server that takes writes.

use std::{
    io,
    time::{Duration, Instant},
};

use sqlx::{
    ConnectOptions as _, Connection as _, PgConnection, Row as _,
    postgres::{PgConnectOptions, PgSslMode},
};

use super::{DatabaseLocation, location::host};

/// What a server does for a connection, in the order of preference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// It takes writes.
    ReadWrite,
    /// A primary whose transactions are read-only by default: set so for maintenance or a full disk, or demoted.
    ReadOnly,
    /// It follows another server, at any distance.
    Standby,
}

impl Access {
    /// Why it takes no writes.
    pub const fn problem(self) -> &'static str {
        match self {
            Self::ReadWrite => "",
            Self::ReadOnly => "the server takes no writes: default_transaction_read_only is on",
            Self::Standby => "the server takes no writes: it is a standby",
        }
    }
}

/// A connection, and how it was made.
#[derive(Debug)]
pub struct Connected {
    /// The connection.
    pub connection: PgConnection,
    /// The server, by name or address.
    pub options: PgConnectOptions,
    /// What the server does.
    pub access: Access,
}

/// Why no server can be connected to. Its text is for the log: it names hosts and neither user nor password.
#[derive(Debug, thiserror::Error)]
#[error("{problem}")]
pub struct ConnectError {
    problem: String,
    /// Whether a later attempt may succeed: a server does not run yet, is starting, or has no free connection.
    pub is_temporary: bool,
}

/// The pause before the second attempt, and the longest one.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// As [`connect`], at startup. Retries for the location's time if the problem is temporary, because the servers may start at the same
/// time as tokend. Rejects a pooler that shares connections.
///
/// # Errors
/// The last problem.
pub async fn connect_at_start(
    location: &DatabaseLocation,
    patience: Duration,
) -> Result<Connected, ConnectError> {
    let deadline = Instant::now() + location.connect_timeout();
    let mut pause = FIRST_PAUSE;
    loop {
        let problem = match connect(location, "", patience).await {
            Ok(connected) => return connected.reject_shared(patience).await,
            Err(problem) if problem.is_temporary => problem,
            Err(problem) => return Err(problem),
        };
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(problem);
        }
        let wait = pause.min(left);
        tracing::warn!(database = %location, %problem, retry_in_ms = wait.as_millis(), "the database cannot be reached");
        tokio::time::sleep(wait).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Connects to the first server that takes writes; where none does, to the best of those that answer. Names are resolved anew,
/// files are read anew. `session` is SQL that each connection starts with; `patience` is the limit for each server.
///
/// # Errors
/// When no server can be connected to.
pub async fn connect(
    location: &DatabaseLocation,
    session: &'static str,
    patience: Duration,
) -> Result<Connected, ConnectError> {
    let servers = location.servers().await;
    let servers = servers.map_err(|problem| ConnectError { problem, is_temporary: false })?;
    let (mut best, mut problems) = (None, Problems::default());
    for server in &servers {
        if let Some(writable) = attempt(server.clone(), session, patience, &mut best, &mut problems).await {
            return Ok(writable);
        }
    }
    // During a failover a name may stand for both servers: the first address is not the only one.
    for server in &servers {
        for address in addresses(server, patience).await {
            if let Some(writable) = attempt(address, session, patience, &mut best, &mut problems).await {
                return Ok(writable);
            }
        }
    }
    best.ok_or_else(|| ConnectError {
        problem: problems.texts.join("; "),
        is_temporary: problems.are_temporary,
    })
}

const SHARED: &str = "a pooler such as PgBouncer shares the connections between transactions, which loses prepared statements, session \
     settings and notifications; set its pool_mode to session, or connect to the server itself";

impl Connected {
    /// Rejects a pooler that gives the session of this connection to another one while both are open.
    async fn reject_shared(mut self, patience: Duration) -> Result<Self, ConnectError> {
        let check = async {
            sqlx::raw_sql("SET tokend.session = 'taken'").execute(&mut self.connection).await?;
            let mut other = self.options.connect().await?;
            let ask = "SELECT current_setting('tokend.session', true)";
            let value: Option<String> = sqlx::raw_sql(ask).fetch_one(&mut other).await?.try_get(0)?;
            sqlx::raw_sql("RESET tokend.session").execute(&mut other).await?;
            // The connection is not used again: an error on closing it has no effect.
            let _ = other.close().await;
            Ok::<_, sqlx::Error>(value.as_deref() == Some("taken"))
        };
        match tokio::time::timeout(patience, check).await {
            Ok(Ok(true)) => {
                let problem = format!("{}: {SHARED}", host(&self.options));
                Err(ConnectError { problem, is_temporary: false })
            }
            // Without a second connection it is unknown. A server with few free connections is no reason not to start.
            _ => Ok(self),
        }
    }
}

/// What is wrong with the servers.
#[derive(Default)]
struct Problems {
    texts: Vec<String>,
    /// Whether one of them is temporary.
    are_temporary: bool,
}

/// Connects to one server. Answers it if it takes writes, and else keeps it if it is the best until now.
async fn attempt(
    server: PgConnectOptions,
    session: &'static str,
    patience: Duration,
    best: &mut Option<Connected>,
    problems: &mut Problems,
) -> Option<Connected> {
    let connecting = async {
        let mut connection = server.connect().await?;
        let access = start(&mut connection, session).await?;
        Ok::<_, sqlx::Error>((connection, access))
    };
    let problem = match tokio::time::timeout(patience, connecting).await {
        Ok(Ok((connection, access))) => {
            let connected = Connected { connection, options: server, access };
            if access == Access::ReadWrite {
                return Some(connected);
            }
            if best.as_ref().is_none_or(|best| access < best.access) {
                *best = Some(connected);
            }
            return None;
        }
        Ok(Err(error)) => {
            problems.are_temporary |= is_temporary(&error);
            problem(&error, &server)
        }
        Err(_) => {
            problems.are_temporary = true;
            format!("no answer within {} s", patience.as_secs())
        }
    };
    let problem = format!("{}: {problem}", host(&server));
    if !problems.texts.contains(&problem) {
        problems.texts.push(problem);
    }
    None
}

/// Starts a session, and asks what the server does.
///
/// # Errors
/// Those of the driver.
pub async fn start(connection: &mut PgConnection, session: &'static str) -> Result<Access, sqlx::Error> {
    if !session.is_empty() {
        sqlx::raw_sql(session).execute(&mut *connection).await?;
    }
    access(connection).await
}

/// What the server of this connection does.
///
/// # Errors
/// Those of the driver.
pub async fn access(connection: &mut PgConnection) -> Result<Access, sqlx::Error> {
    const ASK: &str = "SELECT pg_is_in_recovery(), current_setting('transaction_read_only') = 'on'";
    let row = sqlx::raw_sql(ASK).fetch_one(connection).await?;
    Ok(match (row.try_get(0)?, row.try_get(1)?) {
        (true, _) => Access::Standby,
        (false, true) => Access::ReadOnly,
        (false, false) => Access::ReadWrite,
    })
}

/// The addresses of a server's name, if there are several. None where its certificate has to hold the name.
async fn addresses(server: &PgConnectOptions, patience: Duration) -> Vec<PgConnectOptions> {
    if server.get_socket().is_some() || matches!(server.get_ssl_mode(), PgSslMode::VerifyFull) {
        return Vec::new();
    }
    let looking = tokio::net::lookup_host((server.get_host(), server.get_port()));
    let Ok(Ok(found)) = tokio::time::timeout(patience, looking).await else { return Vec::new() };
    let found: Vec<_> = found.map(|address| server.clone().host(&address.ip().to_string())).collect();
    if found.len() > 1 { found } else { Vec::new() }
}

/// What went wrong, without the user: it may be a misplaced password.
fn problem(error: &sqlx::Error, server: &PgConnectOptions) -> String {
    match error.as_database_error().and_then(sqlx::error::DatabaseError::code) {
        Some(code) if code == "28P01" => "the server refuses user or password (28P01)".to_owned(),
        Some(code) if code == "53300" => {
            let problem = "the server has no free connection (53300): raise its max_connections, or lower store_connections of each \
                           replica";
            problem.to_owned()
        }
        _ => error.to_string().replace(&format!("\"{}\"", server.get_username()), "\"…\""),
    }
}

/// Whether a later attempt to connect may succeed: the server cannot be reached, starts or stops (57P0.), or has no free connection
/// (53300).
fn is_temporary(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(error) => {
            error.code().is_some_and(|code| code == "53300" || code.starts_with("57P0"))
        }
        // A TLS handshake that fails is invalid data.
        sqlx::Error::Io(error) => error.kind() != io::ErrorKind::InvalidData,
        _ => false,
    }
}

/// Whether a connection must not be used again after this error: it is lost (08…), its server goes (57P0.) or takes no writes
/// (25006), or it was refused (28…).
pub fn is_lost(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            code == "25006" || ["08", "28", "57P0"].iter().any(|class| code.starts_with(class))
        }),
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) => true,
        _ => false,
    }
}
