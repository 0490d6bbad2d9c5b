//! Logs: to stderr, as text on a terminal and as JSON elsewhere.
//!
//! Invariant: no token and no secret is logged, whatever the filter says.

use std::{
    io::{self, IsTerminal as _, Write, stderr},
    str::FromStr,
};

use tracing::{Level, Metadata};
use tracing_subscriber::{
    EnvFilter,
    filter::{FilterFn, filter_fn},
    fmt,
    prelude::*,
};

use crate::model::redact;

/// How logs are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    #[default]
    Auto,
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// A text that names no format.
#[derive(Debug, thiserror::Error)]
#[error("must be auto, text or json")]
pub struct UnknownLogFormat;

impl FromStr for LogFormat {
    type Err = UnknownLogFormat;

    fn from_str(text: &str) -> Result<Self, UnknownLogFormat> {
        match text {
            "auto" => Ok(Self::Auto),
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(UnknownLogFormat),
        }
    }
}

/// What is logged: a level, or directives such as `info,tokend=debug`. Checked, so that a bad one is found
/// before anything is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFilter(String);

/// Why logs cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter cannot be read.
    #[error("`log` must be a level or a list such as info,tokend=debug: {0}")]
    Filter(String),
    /// The process has a subscriber.
    #[error("logs were set up already")]
    Twice,
}

impl FromStr for LogFilter {
    type Err = LogError;

    fn from_str(text: &str) -> Result<Self, LogError> {
        parse(text)?;
        Ok(Self(text.to_owned()))
    }
}

impl LogFilter {
    /// The filter as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn parse(filter: &str) -> Result<EnvFilter, LogError> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    // A word alone that is no level would be taken for a target, and all others would be silent.
    let is_known = |word: &str| {
        LEVELS.iter().any(|level| level.eq_ignore_ascii_case(word))
            || word.contains(['=', '[', ':'])
            || matches!(word, "" | "tokend")
    };
    if let Some(word) = filter.split(',').map(str::trim).find(|word| !is_known(word)) {
        let problem = format!("`{word}` is none of {}, and no TARGET=LEVEL", LEVELS.join(", "));
        return Err(LogError::Filter(problem));
    }
    EnvFilter::builder().parse(filter).map_err(|error| LogError::Filter(error.to_string()))
}

/// Lets through all of tokend's own, and of other crates nothing below INFO: in detail they may write down headers, frames
/// and statements, which hold tokens and secrets. No filter of an operator's turns that on.
fn cap() -> FilterFn<impl Fn(&Metadata<'_>) -> bool> {
    filter_fn(|metadata| is_own(metadata.target()) || *metadata.level() <= Level::INFO)
}

/// Whether a target is a module of this crate.
fn is_own(target: &str) -> bool {
    target.strip_prefix("tokend").is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// Starts to write logs to stderr.
///
/// # Errors
/// When the filter cannot be read, or when it was done before.
pub fn init_logs(filter: &LogFilter, format: LogFormat) -> Result<(), LogError> {
    let terminal = stderr().is_terminal();
    let filter = parse(filter.as_str())?;
    let registry = tracing_subscriber::registry().with(filter).with(cap());
    let lines = fmt::layer().with_writer(|| Redacted(stderr()));
    let done = match format {
        LogFormat::Text => registry.with(lines.with_ansi(terminal)).try_init(),
        LogFormat::Auto if terminal => registry.with(lines.with_ansi(true)).try_init(),
        LogFormat::Auto | LogFormat::Json => {
            let lines = lines.json().flatten_event(true).with_current_span(true).with_span_list(false);
            registry.with(lines).try_init()
        }
    };
    done.map_err(|_| LogError::Twice)
}

/// Writes lines without the credentials in them: what other crates log of a connection or a statement, or an error quotes of
/// a request, is not in tokend's hands.
struct Redacted<W>(W);

impl<W: Write> Write for Redacted<W> {
    /// Takes a whole line, as the formatter writes it.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.write_all(redact(&String::from_utf8_lossy(line)).as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::{LogFilter, is_own};

    #[test]
    fn other_crates_are_not_taken_for_this_one() {
        assert!(is_own("tokend") && is_own("tokend::grpc::status"));
        assert!(!is_own("h2::codec") && !is_own("tokend_other") && !is_own("hyper::tokend") && !is_own(""));
    }

    #[test]
    fn a_word_that_is_no_level_does_not_silence_everything() {
        for good in ["warn", "INFO", "off", "tokend", "info,h2=debug", "tokend::grpc=trace, warn", ""] {
            assert!(good.parse::<LogFilter>().is_ok(), "{good}");
        }
        for bad in ["warning", "loud", "info,verbose", "h2"] {
            let problem = bad.parse::<LogFilter>().map(|_| ()).map_err(|error| error.to_string());
            assert!(problem.is_err_and(|text| text.contains("is none of off, error, warn")), "{bad}");
        }
    }
}
