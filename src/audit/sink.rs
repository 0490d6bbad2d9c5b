//! The interface of sinks, and the sink for standard output.

use std::{
    io::{Write as _, stdout},
    sync::Arc,
};

use async_trait::async_trait;

use super::{
    file::FileSink,
    postgres::PostgresSink,
    record::AuditRecord,
    settings::{AuditMode, SinkSettings},
};

/// A destination of records, written batch by batch.
#[async_trait]
pub(super) trait Sink: Send {
    /// Writes these records. After an error, any of them may have been written, and each may be written again.
    async fn write(&mut self, records: &[Arc<AuditRecord>]) -> Result<(), SinkError>;

    /// Flushes the records at shutdown.
    async fn finish(&mut self) {}
}

/// Why a batch could not be written. Its text is for the log.
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

/// Why the audit log cannot be opened. Its text names the setting, for the operator at startup.
#[derive(Debug, thiserror::Error)]
#[error("setting `{setting}`: {problem}")]
pub struct AuditOpenError {
    pub(super) setting: &'static str,
    pub(super) problem: String,
}

/// Opens a sink, and checks that it is writable.
pub(super) async fn open(settings: SinkSettings, mode: AuditMode) -> Result<Box<dyn Sink>, AuditOpenError> {
    Ok(match settings {
        SinkSettings::Stdout => Box::new(StdoutSink),
        SinkSettings::File(path) => Box::new(FileSink::open(path, mode == AuditMode::Required)?),
        SinkSettings::Postgres(database) => Box::new(PostgresSink::open(database).await?),
    })
}

/// The records as lines of text.
pub(super) fn lines(records: &[Arc<AuditRecord>]) -> Vec<u8> {
    let mut text = Vec::with_capacity(records.iter().map(|record| record.json().len() + 1).sum());
    for record in records {
        text.extend_from_slice(record.json().as_bytes());
        text.push(b'\n');
    }
    text
}

/// Standard output. A record counts as durable when it was written to the pipe.
#[derive(Debug)]
struct StdoutSink;

#[async_trait]
impl Sink for StdoutSink {
    async fn write(&mut self, records: &[Arc<AuditRecord>]) -> Result<(), SinkError> {
        let mut stdout = stdout().lock();
        stdout.write_all(&lines(records))?;
        Ok(stdout.flush()?)
    }
}
