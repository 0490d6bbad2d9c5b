//! Where a password comes from: a prompt, or stdin. Never a flag: all users of a machine see the arguments of its processes, and
//! shells keep them.

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

use super::failure::Failure;

/// What shells make of a command that ended by SIGINT.
const INTERRUPTED: i32 = 130;

/// More than any server takes.
const LONGEST: u64 = 4096;

#[derive(Args)]
pub(super) struct PasswordInput {
    /// Read the password from stdin instead of asking for it; one line end after it is not part of it
    #[arg(long)]
    password_stdin: bool,
}

impl PasswordInput {
    /// A password that is there already: asked for once.
    pub(super) fn read(&self) -> Result<Zeroizing<String>, Failure> {
        if self.password_stdin { from_stdin("password") } else { prompt("Password: ") }
    }
}

#[derive(Args)]
pub(super) struct NewPasswordInput {
    #[command(flatten)]
    plain: PasswordInput,
    /// Read from stdin the hash of the password, from elsewhere: argon2id or argon2i in PHC form, or bcrypt
    #[arg(long, conflicts_with = "password_stdin")]
    password_hash_stdin: bool,
}

/// A password to set, or the hash of one.
pub(super) struct NewPassword {
    pub(super) password: Zeroizing<String>,
    pub(super) password_hash: Zeroizing<String>,
}

impl NewPasswordInput {
    /// A password to set: asked for twice, as nobody sees what is typed.
    pub(super) fn read(&self) -> Result<NewPassword, Failure> {
        let nothing = Zeroizing::default;
        if self.password_hash_stdin {
            let hash = Zeroizing::new(from_stdin("hash")?.trim().to_owned());
            return Ok(NewPassword { password: nothing(), password_hash: hash });
        }
        let password = self.plain.read()?;
        if !self.plain.password_stdin && *prompt("The same again: ")? != *password {
            return Err(Failure::refused("the two are not the same; nothing was changed"));
        }
        Ok(NewPassword { password, password_hash: nothing() })
    }
}

fn prompt(words: &str) -> Result<Zeroizing<String>, Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::usage("there is nobody to ask for the password: say --password-stdin"));
    }
    let terminal = tcgetattr(io::stdin()).map_err(io::Error::from)?;
    let typed = {
        let _prompting = Prompting::begin()?;
        // Before the question, which may be answered at once.
        let mut unseen = terminal.clone();
        unseen.local_modes -= LocalModes::ECHO | LocalModes::ISIG;
        tcsetattr(io::stdin(), OptionalActions::Now, &unseen).map_err(io::Error::from)?;
        let typed = rpassword::prompt_password(words);
        tcsetattr(io::stdin(), OptionalActions::Now, &terminal).map_err(io::Error::from)?;
        typed
    };
    if typed.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::Interrupted) {
        process::exit(INTERRUPTED);
    }
    filled(Zeroizing::new(typed?), "password")
}

/// While there is one, SIGINT does not end the process: the prompt hears of it, and the terminal is then made what it was.
struct Prompting;

static PROMPTING: AtomicBool = AtomicBool::new(false);

impl Prompting {
    fn begin() -> io::Result<Self> {
        PROMPTING.store(true, SeqCst);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let mut interrupts = runtime.block_on(async { signal(SignalKind::interrupt()) })?;
        // For who listens once, it never ends the process by itself again.
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

fn from_stdin(what: &str) -> Result<Zeroizing<String>, Failure> {
    let mut text = Zeroizing::new(String::with_capacity(usize::try_from(LONGEST).unwrap_or_default()));
    io::stdin()
        .lock()
        .take(LONGEST)
        .read_to_string(&mut text)
        .map_err(|error| Failure::usage(format!("the {what} on stdin cannot be read: {error}")))?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    filled(Zeroizing::new(line.to_owned()), what)
}

fn filled(text: Zeroizing<String>, what: &str) -> Result<Zeroizing<String>, Failure> {
    if text.is_empty() { Err(Failure::usage(format!("the {what} is empty"))) } else { Ok(text) }
}
