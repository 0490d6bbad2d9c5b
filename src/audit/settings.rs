//! What steers the audit log.

use std::{path::PathBuf, str::FromStr};

use crate::database::DatabaseLocation;

/// What becomes of calls whose event cannot be written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AuditMode {
    /// They are not answered: each call waits until its event is durable in every sink.
    Required,
    /// They are answered; events wait, and those that find no room are counted.
    #[default]
    Buffered,
    /// Nothing is written.
    Off,
}

/// A text that names no mode.
#[derive(Debug, thiserror::Error)]
#[error("must be required, buffered or off")]
pub struct UnknownAuditMode;

impl FromStr for AuditMode {
    type Err = UnknownAuditMode;

    fn from_str(text: &str) -> Result<Self, UnknownAuditMode> {
        match text {
            "required" => Ok(Self::Required),
            "buffered" => Ok(Self::Buffered),
            "off" => Ok(Self::Off),
            _ => Err(UnknownAuditMode),
        }
    }
}

/// What steers the audit log.
#[derive(Debug, Clone)]
pub struct AuditSettings {
    /// What becomes of calls whose event cannot be written.
    pub mode: AuditMode,
    /// Where events are written: to all of these.
    pub sinks: Vec<SinkSettings>,
    /// How many events may wait for each sink.
    pub buffer: usize,
}

impl AuditSettings {
    /// No audit log.
    pub const fn off() -> Self {
        Self { mode: AuditMode::Off, sinks: Vec::new(), buffer: 1 }
    }
}

/// One place to write to.
#[derive(Clone)]
pub enum SinkSettings {
    /// Standard output.
    Stdout,
    /// A file, which is made if there is none.
    File(PathBuf),
    /// The table `audit_events` of this database.
    Postgres(DatabaseLocation),
}

impl SinkSettings {
    /// Its name in settings and metrics.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::File(_) => "file",
            Self::Postgres(_) => "postgres",
        }
    }
}

impl std::fmt::Debug for SinkSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
