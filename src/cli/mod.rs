//! The command line: a folder for each noun, and what they share.
//!
//! May import everything. Invariant: data goes to stdout and messages to stderr; the exit status is 0 for success, 1 for a
//! rejection or failure, 2 for wrong usage. Arguments have no `Debug`, because some are tokens and secrets.

mod client;
mod connection;
mod error;
mod json_text;
mod key;
mod output;
mod policy;
mod private_file;
mod server;
mod session;
mod status;
mod time_text;
mod token;
mod user;

use std::{ffi::OsString, process::ExitCode, time::Instant};

use clap::{Args, CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;
use serde_json::json;

use self::{
    client::ClientCommand,
    error::CliError,
    key::KeyCommand,
    output::{Output, final_message, print, print_json},
    policy::PolicyCommand,
    server::{Backup, ConfigCommand, Dev, Doctor, Healthcheck, Init, Restore, RevokeCommand, Serve},
    session::SessionCommand,
    status::Status,
    token::TokenCommand,
    user::UserCommand,
};

pub use policy::explained;

/// A standalone token service: issues and verifies JSON Web Tokens over gRPC.
#[derive(Parser)]
#[command(name = "tokend", version, arg_required_else_help = true, max_term_width = 100)]
#[command(after_help = "Exit status: 0 success, 1 rejected or failed, 2 wrong usage or settings. \
                        Data goes to stdout, messages go to stderr.")]
struct Tokend {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a development server on this machine
    Dev(Dev),
    /// Run a production server
    Serve(Serve),
    /// Create a sealing key, a configuration and the client `admin`
    Init(Init),
    /// Issue, verify and inspect tokens
    #[command(subcommand)]
    Token(TokenCommand),
    /// List and change the signing keys
    #[command(subcommand)]
    Key(KeyCommand),
    /// Register the services that may call tokend
    #[command(subcommand)]
    Client(ClientCommand),
    /// Register the users who log in with name and password
    #[command(subcommand)]
    User(UserCommand),
    /// List and end sessions
    #[command(subcommand)]
    Session(SessionCommand),
    /// Revoke tokens in the store itself, for example after restoring a backup
    #[command(subcommand)]
    Revoke(RevokeCommand),
    /// Copy the store to a file, also while the server runs
    Backup(Backup),
    /// Put a backup in place of the store
    Restore(Restore),
    /// Explain what a client's policy allows
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Check and show the settings of `tokend serve`
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Check everything that `tokend serve` needs, and say how to cure it
    Doctor(Doctor),
    /// Check whether a running tokend is ready
    Healthcheck(Healthcheck),
    /// Show the state of a running server, and what is wrong with it
    Status(Status),
    /// Print the version
    Version(Version),
    /// Print a completion script for a shell
    Completions(Completions),
}

impl Command {
    fn run(self, started: Instant) -> Result<(), CliError> {
        match self {
            Self::Dev(command) => command.run(started),
            Self::Serve(command) => command.run(),
            Self::Init(command) => command.run(),
            Self::Token(command) => command.run(),
            Self::Key(command) => command.run(),
            Self::Client(command) => command.run(),
            Self::User(command) => command.run(),
            Self::Session(command) => command.run(),
            Self::Revoke(command) => command.run(),
            Self::Backup(command) => command.run(),
            Self::Restore(command) => command.run(),
            Self::Policy(command) => command.run(),
            Self::Config(command) => command.run(),
            Self::Doctor(command) => command.run(),
            Self::Healthcheck(command) => command.run(),
            Self::Status(command) => command.run(),
            Self::Version(command) => command.run(),
            Self::Completions(command) => command.run(),
        }
    }
}

#[derive(Args)]
struct Version {
    #[command(flatten)]
    output: Output,
}

impl Version {
    fn run(self) -> Result<(), CliError> {
        let version = env!("CARGO_PKG_VERSION");
        if self.output.is_json() {
            return print_json(&json!({ "name": "tokend", "version": version, "api": "tokend.v1" }));
        }
        print(&format!("tokend {version}"))
    }
}

#[derive(Args)]
#[command(after_help = "Examples:
  tokend completions bash > /etc/bash_completion.d/tokend
  tokend completions zsh > ~/.zfunc/_tokend
  tokend completions fish > ~/.config/fish/completions/tokend.fish")]
struct Completions {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

impl Completions {
    fn run(self) -> Result<(), CliError> {
        // Into memory first: the generator panics when its writer fails.
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Tokend::command(), "tokend", &mut script);
        print(String::from_utf8_lossy(&script).trim_end())
    }
}

/// Runs the command in `arguments`, which begin with the program's name. Returns the exit status.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let started = Instant::now();
    match Tokend::try_parse_from(arguments) {
        Ok(tokend) => match tokend.command.run(started) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                if let Some(message) = error.message() {
                    final_message(&format!("error: {message}"));
                }
                error.exit_code()
            }
        },
        Err(error) => {
            // Help that cannot be printed is no failure.
            let _ = error.print();
            ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
        }
    }
}

/// Whether a file with clients is valid.
#[cfg(fuzzing)]
pub(crate) fn reads_client_file(path: &std::path::Path) -> bool {
    client::read_file(path).is_ok()
}
