//! Logs: to stderr, as text on a terminal and as JSON elsewhere.
//!
//! Invariants: no token and no secret is logged, whatever the filter says; and logging never waits, whatever becomes of stderr.

use std::{
    env,
    ffi::OsStr,
    fs::File,
    io::{self, IsTerminal as _, stderr},
    os::fd::AsFd as _,
    panic,
    str::FromStr,
    sync::OnceLock,
    time::Duration,
};

use tracing::{Level, Metadata};
use tracing_subscriber::{
    filter::{FilterFn, ParseError, Targets, filter_fn},
    fmt,
    prelude::*,
};

use super::log_queue::LogQueue;
use crate::metrics::MetricsRegistry;

/// The queue before stderr: one, as there is one stderr and one subscriber in a process.
static QUEUE: OnceLock<LogQueue> = OnceLock::new();

/// How long the last lines have to be written at the end of the process.
const LAST_LINES: Duration = Duration::from_secs(1);

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
    /// There is no thread or file descriptor for the log.
    #[error("the log cannot be started: {0}")]
    Start(#[from] io::Error),
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

fn parse(filter: &str) -> Result<Targets, LogError> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    // A word alone that is no level would be taken for a target, and all others would be silent.
    // `[` would filter by spans and fields, which `Targets` does not.
    let is_known = |word: &str| {
        LEVELS.iter().any(|level| level.eq_ignore_ascii_case(word))
            || word.contains(['=', ':']) && !word.contains('[')
            || word == "tokend"
    };
    let words: Vec<&str> = filter.split(',').map(str::trim).filter(|word| !word.is_empty()).collect();
    if let Some(word) = words.iter().find(|word| !is_known(word)) {
        let problem = format!("`{word}` is none of {}, and no TARGET=LEVEL", LEVELS.join(", "));
        return Err(LogError::Filter(problem));
    }
    words.join(",").parse().map_err(|error: ParseError| LogError::Filter(error.to_string()))
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

/// Writes the last lines when it is dropped: at the end of the command, and when it panics.
#[derive(Debug)]
#[must_use = "the last lines are written when it is dropped"]
pub struct Logs(());

impl Drop for Logs {
    fn drop(&mut self) {
        flush_logs();
    }
}

/// Waits until the lines that were logged before are written, for a second at most. Returns whether logs were started.
pub fn flush_logs() -> bool {
    QUEUE.get().map(|queue| queue.flush(LAST_LINES)).is_some()
}

/// Whether the variable `NO_COLOR` asks for text without colours (no-color.org): an empty one does not.
fn refuses_color(variable: Option<&OsStr>) -> bool {
    variable.is_some_and(|value| !value.is_empty())
}

/// Starts to write logs to stderr, panics among them.
///
/// # Errors
/// When the filter cannot be read, when the log cannot be started, or when it was done before.
pub fn init_logs(filter: &LogFilter, format: LogFormat) -> Result<Logs, LogError> {
    let terminal = stderr().is_terminal();
    let color = terminal && !refuses_color(env::var_os("NO_COLOR").as_deref());
    let filter = parse(filter.as_str())?;
    // A descriptor of its own: the thread that waits for stderr's reader must not hold the lock of the standard library's stderr.
    let queue = LogQueue::start(File::from(stderr().as_fd().try_clone_to_owned()?))?;
    let registry = tracing_subscriber::registry().with(filter).with(cap());
    // The layer's own errors would go to stderr directly.
    let lines = fmt::layer().log_internal_errors(false).with_writer(queue.clone());
    let done = match format {
        LogFormat::Text => registry.with(lines.with_ansi(color)).try_init(),
        LogFormat::Auto if terminal => registry.with(lines.with_ansi(color)).try_init(),
        LogFormat::Auto | LogFormat::Json => {
            let lines = lines.json().flatten_event(true).with_current_span(true).with_span_list(false);
            registry.with(lines).try_init()
        }
    };
    done.map_err(|_| LogError::Twice)?;
    QUEUE.set(queue).map_err(|_| LogError::Twice)?;
    // The standard library's hook writes to stderr directly, and would wait for its reader.
    panic::set_hook(Box::new(|info| {
        let location = info.location().map(ToString::to_string).unwrap_or_default();
        let message = info.payload_as_str().unwrap_or_default();
        tracing::error!(location, message, "panic");
    }));
    Ok(Logs(()))
}

/// Registers the count of dropped log lines.
pub fn register_log_metrics(metrics: &mut MetricsRegistry) {
    metrics.on_scrape(|scrape| {
        let help = "Log lines that were dropped because stderr was not read fast enough, or failed";
        scrape.counter("tokend_log_lines_dropped", help, QUEUE.get().map_or(0, LogQueue::dropped))
    });
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::{LogFilter, is_own, parse, refuses_color};

    #[test]
    fn any_value_of_no_color_refuses_colors_and_an_empty_one_does_not() {
        assert!(refuses_color(Some("1".as_ref())) && refuses_color(Some("false".as_ref())));
        assert!(!refuses_color(Some("".as_ref())) && !refuses_color(None));
    }

    #[test]
    fn other_crates_are_not_taken_for_this_one() {
        assert!(is_own("tokend") && is_own("tokend::grpc::status"));
        assert!(!is_own("h2::codec") && !is_own("tokend_other") && !is_own("hyper::tokend") && !is_own(""));
    }

    #[test]
    fn a_directive_holds_for_its_target_alone() {
        let enables = |filter: &str, target, level| {
            parse(filter).is_ok_and(|parsed| parsed.would_enable(target, &level))
        };
        assert!(enables("info, h2=debug", "h2::codec", Level::DEBUG));
        assert!(
            !enables("info, h2=debug", "tokend", Level::DEBUG)
                && enables("info, h2=debug", "tokend", Level::INFO)
        );
        assert!(enables("tokend::grpc=trace", "tokend::grpc::edge", Level::TRACE));
        assert!(!enables("tokend::grpc=trace", "tokend::keys", Level::ERROR));
        assert!(enables("tokend", "tokend::keys", Level::TRACE) && !enables("tokend", "hyper", Level::ERROR));
        for nothing in ["", " ", ","] {
            assert!(enables(nothing, "hyper", Level::ERROR) && !enables(nothing, "tokend", Level::WARN));
        }
    }

    #[test]
    fn a_word_that_is_no_level_does_not_silence_everything() {
        for good in ["warn", "INFO", "off", "tokend", "info,h2=debug", "tokend::grpc=trace, warn", ""] {
            assert!(good.parse::<LogFilter>().is_ok(), "{good}");
        }
        for bad in ["warning", "loud", "info,verbose", "h2", "tokend[call]=debug", "info,[{caller}]=trace"] {
            let problem = bad.parse::<LogFilter>().map(|_| ()).map_err(|error| error.to_string());
            assert!(problem.is_err_and(|text| text.contains("is none of off, error, warn")), "{bad}");
        }
    }
}
