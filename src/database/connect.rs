//! Connecting to the server that takes writes.

use std::time::Duration;

use sqlx::{
    ConnectOptions as _, PgConnection, Row as _,
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
#[error("{0}")]
pub struct ConnectError(String);

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
    let servers = location.servers().await.map_err(ConnectError)?;
    let (mut best, mut problems) = (None, Vec::new());
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
    best.ok_or_else(|| ConnectError(problems.join("; ")))
}

/// Connects to one server. Answers it if it takes writes, and else keeps it if it is the best until now.
async fn attempt(
    server: PgConnectOptions,
    session: &'static str,
    patience: Duration,
    best: &mut Option<Connected>,
    problems: &mut Vec<String>,
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
        Ok(Err(error)) => problem(&error, &server),
        Err(_) => format!("no answer within {} s", patience.as_secs()),
    };
    let problem = format!("{}: {problem}", host(&server));
    if !problems.contains(&problem) {
        problems.push(problem);
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
        _ => error.to_string().replace(&format!("\"{}\"", server.get_username()), "\"…\""),
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
