//! Words to people and data to programs.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
    sync::mpsc,
    thread,
    time::Duration,
};

use clap::{Args, ValueEnum};
use serde_json::Value;

use super::failure::Failure;
use crate::telemetry::flush_logs;

/// How data is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people, and for `$(…)`
    Text,
    /// One JSON document
    Json,
}

#[derive(Args)]
pub(super) struct Output {
    /// How the answer is printed
    #[arg(short = 'o', long = "output", value_enum, value_name = "FORMAT", default_value_t = Format::Text)]
    format: Format,
}

impl Output {
    pub(super) fn is_json(&self) -> bool {
        self.format == Format::Json
    }
}

/// Prints a text and a line end to stdout.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")?;
    Ok(out.flush()?)
}

/// Prints a JSON document to stdout.
pub(super) fn print_json(document: &Value) -> Result<(), Failure> {
    // The alternate form of a JSON value is indented.
    print(&format!("{document:#}"))
}

/// Says a line on stderr. When nobody listens there, nobody is to be told.
pub(super) fn talk(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// How long a server waits at its end for the reader of stderr.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Says the last line of a command on stderr, after its log. A command that served ends even if stderr's reader is stalled.
pub(super) fn last_words(text: &str) {
    if !flush_logs() {
        return talk(text);
    }
    let (said, done) = mpsc::channel();
    let text = text.to_owned();
    let talking = thread::Builder::new().spawn(move || {
        talk(&text);
        // The process may have ended.
        let _ = said.send(());
    });
    if talking.is_ok() {
        let _ = done.recv_timeout(LAST_WORDS);
    }
}

/// A text that came from elsewhere, fit for a terminal: control characters are written out.
pub(super) fn plain(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut plain, character| {
        let _ = if character.is_control() {
            write!(plain, "{}", character.escape_default())
        } else {
            plain.write_char(character)
        };
        plain
    })
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn terminals_are_sent_no_controls() {
        assert_eq!(plain("häuser \u{1b}[31m\n\u{9b}x"), "häuser \\u{1b}[31m\\n\\u{9b}x");
    }
}
