//! Lines on standard output, for whatever collects it.

use std::{
    io::{Write as _, stdout},
    sync::Arc,
};

use async_trait::async_trait;

use super::{
    line::Line,
    sink::{Sink, SinkError, text},
};

/// Standard output. A line counts as durable when the reader's pipe has it: nobody can know more.
#[derive(Debug)]
pub(super) struct StdoutSink;

#[async_trait]
impl Sink for StdoutSink {
    async fn write(&mut self, lines: &[Arc<Line>]) -> Result<(), SinkError> {
        let mut stdout = stdout().lock();
        stdout.write_all(&text(lines))?;
        Ok(stdout.flush()?)
    }
}
