//! Logs: to stderr, as text on a terminal and as JSON elsewhere.
//!
//! Invariants: no token and no secret is logged, whatever the filter; and logging never blocks, whatever happens to stderr.

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

/// How long the process waits for the last lines to be written.
const LAST_LINES: Duration = Duration::from_secs(1);

/// The format of log lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    #[default]
    Auto,
    /// Human-readable lines.
    Text,
    /// One JSON object a line.
    Json,
}

/// Unknown log format.
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

/// A level, or directives such as `info,tokend=debug`. It is validated when settings are read, before anything is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFilter(String);

/// Logs cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter is invalid.
    #[error("`log` must be a level or a list such as info,tokend=debug: {0}")]
    Filter(String),
    /// The process already has a subscriber.
    #[error("logs were already started")]
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
    // `Targets` would read a misspelt level as a target and silence all others. It does not support filters by span and field (`[`).
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

/// Admits tokend's own lines, and those of other crates from INFO up: their details hold headers, frames and statements, and so tokens
/// and secrets. No setting of the operator enables them.
fn cap() -> FilterFn<impl Fn(&Metadata<'_>) -> bool> {
    filter_fn(|metadata| is_own(metadata.target()) || *metadata.level() <= Level::INFO)
}

fn is_own(target: &str) -> bool {
    target.strip_prefix("tokend").is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// Writes the last lines when dropped: at the end of the command, or when it panics.
#[derive(Debug)]
#[must_use = "dropping it writes the last lines"]
pub struct Logs(());

impl Drop for Logs {
    fn drop(&mut self) {
        flush_logs();
    }
}

/// Waits until all earlier lines are written, for a second at most. Returns whether logs were started.
pub fn flush_logs() -> bool {
    QUEUE.get().map(|queue| queue.flush(LAST_LINES)).is_some()
}

/// Whether `NO_COLOR` disables colors (no-color.org): any value but an empty one does.
fn refuses_color(variable: Option<&OsStr>) -> bool {
    variable.is_some_and(|value| !value.is_empty())
}

/// Starts to write logs and panics to stderr.
///
/// # Errors
/// When the filter is invalid, the log cannot be started, or was already started.
pub fn init_logs(filter: &LogFilter, format: LogFormat) -> Result<Logs, LogError> {
    let terminal = stderr().is_terminal();
    let color = terminal && !refuses_color(env::var_os("NO_COLOR").as_deref());
    let filter = parse(filter.as_str())?;
    // A file descriptor of its own: the writing thread must not hold the standard library's lock of stderr while it waits for the reader.
    let queue = LogQueue::start(File::from(stderr().as_fd().try_clone_to_owned()?))?;
    let registry = tracing_subscriber::registry().with(filter).with(cap());
    // The layer would write its own errors to stderr directly.
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
    // The standard library's hook writes to stderr directly, and blocks.
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
