//! Where a token comes from.

use std::{
    fs::File,
    io::{self, IsTerminal as _, Read as _},
    path::Path,
};

use clap::Args;
use zeroize::Zeroizing;

use super::{
    failure::Failure,
    output::{plain, talk},
};

/// Far more than any server takes.
const LONGEST: u64 = 1024 * 1024;

#[derive(Args)]
pub(super) struct TokenInput {
    /// The token. `-`, or nothing, reads it from stdin: better, for all users of a machine see the arguments of its
    /// processes
    #[arg(value_name = "TOKEN")]
    token: Option<String>,
}

impl TokenInput {
    /// The token, without white space around it and without a `Bearer` before it.
    pub(super) fn read(self) -> Result<Zeroizing<String>, Failure> {
        let text = match self.token {
            Some(token) if token != "-" => Zeroizing::new(token),
            _ => from_stdin()?,
        };
        bare(&text).ok_or_else(|| Failure::usage("no token: give one as argument or on stdin"))
    }
}

/// The token in the file that `flag` names, in the same way. `-` is stdin.
pub(super) fn from_file(flag: &str, path: &Path) -> Result<Zeroizing<String>, Failure> {
    let shown = plain(&path.display().to_string());
    let text = if path == Path::new("-") {
        from_stdin()?
    } else {
        let mut text = Zeroizing::new(String::new());
        File::open(path)
            .and_then(|file| file.take(LONGEST).read_to_string(&mut text))
            .map_err(|error| Failure::usage(format!("{flag}: {shown} cannot be read: {error}")))?;
        text
    };
    bare(&text).ok_or_else(|| Failure::usage(format!("{flag}: there is no token in {shown}")))
}

fn bare(text: &str) -> Option<Zeroizing<String>> {
    let token = text.trim();
    let token = token.strip_prefix("Bearer ").map_or(token, str::trim_start);
    (!token.is_empty()).then(|| Zeroizing::new(token.to_owned()))
}

fn from_stdin() -> Result<Zeroizing<String>, Failure> {
    let stdin = io::stdin();
    if stdin.is_terminal() {
        talk("Paste the token, then Enter and Ctrl-D:");
    }
    let mut text = Zeroizing::new(String::new());
    stdin
        .lock()
        .take(LONGEST)
        .read_to_string(&mut text)
        .map_err(|error| Failure::usage(format!("the token on stdin cannot be read: {error}")))?;
    Ok(text)
}
