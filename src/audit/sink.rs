//! A place that lines are written to.

use std::sync::Arc;

use async_trait::async_trait;

use super::{
    file::FileSink,
    line::Line,
    postgres::PostgresSink,
    settings::{AuditMode, SinkSettings},
    stdout::StdoutSink,
};

/// A place that lines are written to, one batch after the other.
#[async_trait]
pub(super) trait Sink: Send {
    /// Writes these lines. After an error any of them may be there, and each may be written again.
    async fn write(&mut self, lines: &[Arc<Line>]) -> Result<(), SinkError>;

    /// Makes durable what was written, at the end.
    async fn finish(&mut self) {}
}

/// Why a batch was not written. Its text is for the log.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct SinkError(pub(super) String);

impl From<std::io::Error> for SinkError {
    fn from(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<sqlx::Error> for SinkError {
    fn from(error: sqlx::Error) -> Self {
        Self(error.to_string())
    }
}

/// Why there can be no audit log. Its text is for the operator at start, and names the setting.
#[derive(Debug, thiserror::Error)]
#[error("setting `{setting}`: {problem}")]
pub struct AuditOpenError {
    pub(super) setting: &'static str,
    pub(super) problem: String,
}

/// Opens a place, and finds out whether it can be written to.
pub(super) async fn open(settings: SinkSettings, mode: AuditMode) -> Result<Box<dyn Sink>, AuditOpenError> {
    Ok(match settings {
        SinkSettings::Stdout => Box::new(StdoutSink),
        SinkSettings::File(path) => Box::new(FileSink::open(path, mode == AuditMode::Required)?),
        SinkSettings::Postgres(database) => Box::new(PostgresSink::open(database).await?),
    })
}

/// The lines as they stand in a file.
pub(super) fn text(lines: &[Arc<Line>]) -> Vec<u8> {
    let mut text = Vec::with_capacity(lines.iter().map(|line| line.json().len() + 1).sum());
    for line in lines {
        text.extend_from_slice(line.json().as_bytes());
        text.push(b'\n');
    }
    text
}
