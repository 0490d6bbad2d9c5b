//! The settings of the audit log.

use std::{path::PathBuf, str::FromStr};

use crate::database::DatabaseLocation;

/// The treatment of calls whose event cannot be written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AuditMode {
    /// They fail: each call waits until its event is durable in every sink.
    Required,
    /// They succeed: events are queued, and counted if the queue is full.
    #[default]
    Buffered,
    /// No audit log.
    Off,
}

/// A text that is not a mode.
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

/// The settings of the audit log.
#[derive(Debug, Clone)]
pub struct AuditSettings {
    /// The treatment of calls whose event cannot be written.
    pub mode: AuditMode,
    /// The sinks; every event is written to each.
    pub sinks: Vec<SinkSettings>,
    /// The limit of queued events for each sink.
    pub buffer: usize,
}

impl AuditSettings {
    /// No audit log.
    pub const fn off() -> Self {
        Self { mode: AuditMode::Off, sinks: Vec::new(), buffer: 1 }
    }
}

/// The settings of a sink.
#[derive(Clone)]
pub enum SinkSettings {
    /// Standard output.
    Stdout,
    /// A file, which is created if there is none.
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
