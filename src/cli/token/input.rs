//! Where tokens come from: stdin, a file, or an argument for an access token. Never an argument for a refresh token, because
//! all users of a machine can see the arguments of its processes, and shells store them.

use std::{
    fs::File,
    io::{self, IsTerminal as _, Read},
    path::{Path, PathBuf},
};

use clap::Args;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::cli::{
    error::CliError,
    output::{escaped, message},
    private_file,
};

/// Longer than any server accepts.
const LONGEST: u64 = 1024 * 1024;

#[derive(Args)]
pub(super) struct TokenInput {
    /// The token. `-`, or no argument, reads the token from stdin, which is safer: all users of a machine can see the arguments
    /// of its processes
    #[arg(value_name = "TOKEN")]
    token: Option<String>,
}

impl TokenInput {
    /// The token, without white space around it and without a `Bearer` prefix.
    pub(super) fn read(self) -> Result<Zeroizing<String>, CliError> {
        let text = match self.token {
            Some(token) if token != "-" => Zeroizing::new(token),
            _ => from_stdin("token")?,
        };
        trimmed(&text).ok_or_else(|| CliError::usage("no token: give one as argument or on stdin"))
    }
}

/// Reads the token in the file of `flag`. `-` is stdin.
pub(super) fn from_file(flag: &str, path: &Path) -> Result<Zeroizing<String>, CliError> {
    let text = if path == Path::new("-") { from_stdin("token")? } else { read_file(flag, path)? };
    trimmed(&text).ok_or_else(|| {
        CliError::usage(format!("{flag}: there is no token in {}", escaped(&path.display().to_string())))
    })
}

fn trimmed(text: &str) -> Option<Zeroizing<String>> {
    let token = text.trim();
    let token = token.strip_prefix("Bearer ").map_or(token, str::trim_start);
    (!token.is_empty()).then(|| Zeroizing::new(token.to_owned()))
}

#[derive(Args)]
pub(in crate::cli) struct RefreshTokenInput {
    /// Read the refresh token from this file instead of stdin, and replace it there with the next one
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

impl RefreshTokenInput {
    pub(super) fn read(&self) -> Result<Zeroizing<String>, CliError> {
        let text = match &self.file {
            Some(path) => read_file("--file", path)?,
            None => from_stdin("refresh token")?,
        };
        refresh_token(&text).ok_or_else(|| {
            CliError::usage(
                "no refresh token: give one on stdin or in a file, alone or as printed by -o json",
            )
        })
    }

    /// Writes the next refresh token to the file, if there is one. Returns whether there is.
    pub(super) fn replace(&self, next: &str) -> Result<bool, CliError> {
        let Some(path) = &self.file else { return Ok(false) };
        private_file::replace(path, &format!("{next}\n")).map_err(|error| {
            let path = path.display();
            CliError::failed(format!(
                "{path} cannot be written: {error}; the refresh token was used, and for a few more seconds the server returns \
                 the same next one for it"
            ))
        })?;
        Ok(true)
    }
}

/// The refresh token in a text: its last line, because `tokend token issue --refresh` prints the token first; or the member
/// `refresh_token` of JSON.
fn refresh_token(text: &str) -> Option<Zeroizing<String>> {
    if let Ok(Value::Object(mut members)) = serde_json::from_str(text) {
        return match members.remove("refresh_token") {
            Some(Value::String(token)) => Some(Zeroizing::new(token)),
            _ => None,
        };
    }
    let token = text.lines().map(str::trim).rfind(|line| !line.is_empty())?;
    Some(Zeroizing::new(token.to_owned()))
}

fn read_file(flag: &str, path: &Path) -> Result<Zeroizing<String>, CliError> {
    File::open(path).and_then(read_all).map_err(|error| {
        let path = escaped(&path.display().to_string());
        CliError::usage(format!("{flag}: {path} cannot be read: {error}"))
    })
}

fn from_stdin(what: &str) -> Result<Zeroizing<String>, CliError> {
    let stdin = io::stdin();
    if stdin.is_terminal() {
        message(&format!("Paste the {what}, then press Enter and Ctrl-D:"));
    }
    read_all(stdin.lock())
        .map_err(|error| CliError::usage(format!("the {what} on stdin cannot be read: {error}")))
}

fn read_all(from: impl Read) -> io::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::new());
    from.take(LONGEST).read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::refresh_token;

    #[test]
    fn a_refresh_token_is_found_in_every_output() {
        let found = |text: &str| refresh_token(text).map(|token| token.to_string());
        for text in
            ["tkr_a", "tkr_a\n", "header.payload.signature\ntkr_a\r\n\n", "{\"refresh_token\": \"tkr_a\"}"]
        {
            assert_eq!(found(text).as_deref(), Some("tkr_a"), "{text}");
        }
        for text in ["", "\n \n", "{}", "{\"access_token\": \"a.b.c\"}", "{\"refresh_token\": 1}"] {
            assert_eq!(found(text), None, "{text}");
        }
    }
}
