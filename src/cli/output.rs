//! Data to stdout, messages to stderr, and the question before a destructive command.

use std::{
    fmt::Write as _,
    io::{self, BufRead as _, IsTerminal as _, Write as _},
    sync::mpsc,
    thread,
    time::Duration,
};

use clap::{Args, ValueEnum};
use serde::Serialize;
use serde_json::value::RawValue;

use super::{error::CliError, json_text::indented};
use crate::telemetry::flush_logs;

/// How many items of a list one call requests.
pub(super) const PAGE_SIZE: i32 = 500;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Text for people and for `$(…)`
    Text,
    /// One JSON document
    Json,
}

#[derive(Args)]
pub(super) struct Output {
    /// Set the output format
    #[arg(short = 'o', long = "output", value_enum, value_name = "FORMAT", default_value_t = Format::Text)]
    format: Format,
}

impl Output {
    pub(super) fn is_json(&self) -> bool {
        self.format == Format::Json
    }
}

/// Prints a text and a line end to stdout.
pub(super) fn print(text: &str) -> Result<(), CliError> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")?;
    Ok(out.flush()?)
}

/// Prints a JSON document to stdout, with the members in alphabetical order.
pub(super) fn print_json(document: &impl Serialize) -> Result<(), CliError> {
    let document = serde_json::to_value(document).map_err(CliError::failed)?;
    // The alternate form of a JSON value is indented.
    print(&format!("{document:#}"))
}

/// Prints JSON of which a part is text from the server, exactly as it is: a parsed value might change its numbers.
pub(super) fn print_exact_json(document: &impl Serialize) -> Result<(), CliError> {
    let json = serde_json::to_string(document).map_err(CliError::failed)?;
    print(&indented(&json).map_err(CliError::failed)?)
}

/// JSON text as part of a document.
pub(super) fn raw_json(json: String) -> Result<Box<RawValue>, CliError> {
    RawValue::from_string(json).map_err(CliError::failed)
}

/// Writes a line to stderr. A closed stderr is no error.
pub(super) fn message(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Writes the last line of a command to stderr, after its log. If the reader of stderr is stalled, a server exits nevertheless.
pub(super) fn final_message(text: &str) {
    const PATIENCE: Duration = Duration::from_secs(1);
    if !flush_logs() {
        return message(text);
    }
    let (written, done) = mpsc::channel();
    let text = text.to_owned();
    let writing = thread::Builder::new().spawn(move || {
        message(&text);
        // The receiver is gone after the timeout.
        let _ = written.send(());
    });
    if writing.is_ok() {
        let _ = done.recv_timeout(PATIENCE);
    }
}

/// Asks on a terminal whether to continue; without a terminal, `--yes` is required. The question must be escaped.
pub(super) fn confirm(question: &str) -> Result<(), CliError> {
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        return Err(CliError::usage("stdin is no terminal to ask for confirmation: give --yes"));
    }
    let mut terminal = io::stderr();
    write!(terminal, "{question} [y/N] ")?;
    terminal.flush()?;
    let mut reply = String::new();
    stdin.lock().read_line(&mut reply)?;
    match reply.trim() {
        "y" | "Y" | "yes" => Ok(()),
        _ => Err(CliError::failed("nothing was changed")),
    }
}

/// A text from elsewhere for a terminal, with control characters escaped.
pub(super) fn escaped(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut escaped, character| {
        let _ = if character.is_control() {
            write!(escaped, "{}", character.escape_default())
        } else {
            escaped.write_char(character)
        };
        escaped
    })
}

/// The text, escaped, or `-` for an empty one.
pub(super) fn or_dash(text: &str) -> String {
    if text.is_empty() { "-".to_owned() } else { escaped(text) }
}

/// The texts with spaces between them, escaped, or `-` for an empty list.
pub(super) fn joined(texts: &[String]) -> String {
    or_dash(&texts.join(" "))
}

/// Rows with aligned columns, two spaces between them.
pub(super) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or_default()).collect();
    let line = |row: &Vec<String>| {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        cells.join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// A row of a table.
pub(super) fn row<T: Into<String>, const N: usize>(cells: [T; N]) -> Vec<String> {
    cells.into_iter().map(Into::into).collect()
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(escaped("häuser \u{1b}[31m\n\u{9b}x"), "häuser \\u{1b}[31m\\n\\u{9b}x");
    }
}
