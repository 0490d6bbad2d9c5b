//! Where a refresh token comes from, and where the next one goes: stdin and stdout, or a file. Never an argument: all users of a
//! machine see those of its processes, and shells keep them.

use std::{
    fs,
    io::{self, IsTerminal as _, Read as _},
    path::PathBuf,
};

use clap::Args;
use serde_json::Value;
use zeroize::Zeroizing;

use super::{failure::Failure, output::talk, private_file};

/// Far more than any server takes.
const LONGEST: u64 = 64 * 1024;

#[derive(Args)]
pub(super) struct RefreshInput {
    /// Read the refresh token from this file instead of stdin, and put the next one there in its place
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

impl RefreshInput {
    /// The refresh token.
    pub(super) fn read(&self) -> Result<Zeroizing<String>, Failure> {
        let text = match &self.file {
            Some(path) => fs::read_to_string(path)
                .map_err(|error| Failure::usage(format!("--file: {}: {error}", path.display())))?,
            None => from_stdin()?,
        };
        refresh_token(&Zeroizing::new(text)).ok_or_else(|| {
            Failure::usage("no refresh token: give one on stdin or in a file, alone or as -o json printed it")
        })
    }

    /// Keeps the next refresh token, if the one before came from a file. Whether it did.
    pub(super) fn keep(&self, next: &str) -> Result<bool, Failure> {
        let Some(path) = &self.file else { return Ok(false) };
        private_file::replace(path, &format!("{next}\n")).map_err(|error| {
            let path = path.display();
            Failure::refused(format!(
                "{path} cannot be written: {error}; the refresh token was used, and the same one is answered with the next \
                 one for a few seconds yet"
            ))
        })?;
        Ok(true)
    }
}

/// The refresh token in a text: the last line of it, for `tokend token issue --refresh` prints the token before it; or the member
/// `refresh_token` of the JSON that it prints.
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

fn from_stdin() -> Result<String, Failure> {
    let stdin = io::stdin();
    if stdin.is_terminal() {
        talk("Paste the refresh token, then Enter and Ctrl-D:");
    }
    let mut text = String::new();
    stdin
        .lock()
        .take(LONGEST)
        .read_to_string(&mut text)
        .map_err(|error| Failure::usage(format!("the refresh token on stdin cannot be read: {error}")))?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::refresh_token;

    #[test]
    fn a_refresh_token_is_found_in_all_that_is_printed() {
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
