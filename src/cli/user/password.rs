//! Where a password comes from: a prompt, or stdin. Never a flag, because all users of a machine can see the arguments of its
//! processes, and shells store them.

use std::{
    io::{self, IsTerminal as _, Read as _},
    process,
    sync::atomic::{AtomicBool, Ordering::SeqCst},
    thread,
};

use clap::Args;
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use tokio::signal::unix::{SignalKind, signal};
use zeroize::Zeroizing;

use crate::cli::error::CliError;

/// The exit status that shells use for a command that SIGINT ended.
const INTERRUPTED: i32 = 130;

/// Longer than any server accepts.
const LONGEST: u64 = 4096;

#[derive(Args)]
pub(in crate::cli) struct PasswordInput {
    /// Read the password from stdin, without its line end, instead of asking for it
    #[arg(long)]
    password_stdin: bool,
}

impl PasswordInput {
    /// An existing password, which the user types once.
    pub(in crate::cli) fn read(&self) -> Result<Zeroizing<String>, CliError> {
        if self.password_stdin { from_stdin("password") } else { prompt("Password: ") }
    }
}

#[derive(Args)]
pub(super) struct NewPasswordInput {
    #[command(flatten)]
    plain: PasswordInput,
    /// Read a password hash of another system from stdin: argon2id or argon2i in PHC form, or bcrypt
    #[arg(long, conflicts_with = "password_stdin")]
    password_hash_stdin: bool,
}

/// A new password, or its hash.
pub(super) struct NewPassword {
    pub(super) password: Zeroizing<String>,
    pub(super) password_hash: Zeroizing<String>,
}

impl NewPasswordInput {
    /// A new password, which the user types twice because it is not shown.
    pub(super) fn read(&self) -> Result<NewPassword, CliError> {
        let nothing = Zeroizing::default;
        if self.password_hash_stdin {
            let hash = Zeroizing::new(from_stdin("hash")?.trim().to_owned());
            return Ok(NewPassword { password: nothing(), password_hash: hash });
        }
        let password = self.plain.read()?;
        if !self.plain.password_stdin && *prompt("Repeat the password: ")? != *password {
            return Err(CliError::failed("the passwords differ; nothing was changed"));
        }
        Ok(NewPassword { password, password_hash: nothing() })
    }
}

fn prompt(question: &str) -> Result<Zeroizing<String>, CliError> {
    if !io::stdin().is_terminal() {
        return Err(CliError::usage("stdin is no terminal to ask for the password: give --password-stdin"));
    }
    let terminal = tcgetattr(io::stdin()).map_err(io::Error::from)?;
    let typed = {
        let _prompting = Prompting::begin()?;
        // Before the question, because the reply may come immediately.
        let mut hidden = terminal.clone();
        hidden.local_modes -= LocalModes::ECHO | LocalModes::ISIG;
        tcsetattr(io::stdin(), OptionalActions::Now, &hidden).map_err(io::Error::from)?;
        let typed = rpassword::prompt_password(question);
        tcsetattr(io::stdin(), OptionalActions::Now, &terminal).map_err(io::Error::from)?;
        typed
    };
    if typed.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::Interrupted) {
        process::exit(INTERRUPTED);
    }
    not_empty(Zeroizing::new(typed?), "password")
}

/// While this value exists, SIGINT interrupts the prompt and does not end the process, so that the terminal can be restored.
struct Prompting;

static PROMPTING: AtomicBool = AtomicBool::new(false);

impl Prompting {
    fn begin() -> io::Result<Self> {
        PROMPTING.store(true, SeqCst);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let mut interrupts = runtime.block_on(async { signal(SignalKind::interrupt()) })?;
        // Once a handler is installed, the signal never ends the process by itself.
        thread::Builder::new().name("interrupts".to_owned()).spawn(move || {
            while runtime.block_on(interrupts.recv()).is_some() {
                if !PROMPTING.load(SeqCst) {
                    process::exit(INTERRUPTED);
                }
            }
        })?;
        Ok(Self)
    }
}

impl Drop for Prompting {
    fn drop(&mut self) {
        PROMPTING.store(false, SeqCst);
    }
}

fn from_stdin(what: &str) -> Result<Zeroizing<String>, CliError> {
    let mut text = Zeroizing::new(String::with_capacity(usize::try_from(LONGEST).unwrap_or_default()));
    io::stdin()
        .lock()
        .take(LONGEST)
        .read_to_string(&mut text)
        .map_err(|error| CliError::usage(format!("the {what} on stdin cannot be read: {error}")))?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    not_empty(Zeroizing::new(line.to_owned()), what)
}

fn not_empty(text: Zeroizing<String>, what: &str) -> Result<Zeroizing<String>, CliError> {
    if text.is_empty() { Err(CliError::usage(format!("the {what} is empty"))) } else { Ok(text) }
}
