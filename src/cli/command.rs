//! The words after `tokend`.

use std::{ffi::OsString, process::ExitCode, time::Instant};

use clap::{CommandFactory as _, Parser, Subcommand};

use super::{
    client::ClientCommand, completions::Completions, config::ConfigCommand, dev::Dev, failure::Failure,
    healthcheck::Healthcheck, init::Init, key::KeyCommand, output::last_words, policy::PolicyCommand,
    revoke::RevokeCommand, serve::Serve, session::SessionCommand, token::TokenCommand, user::UserCommand,
    version::Version,
};

/// A standalone token service: issues and verifies JSON Web Tokens over gRPC.
#[derive(Parser)]
#[command(name = "tokend", version, arg_required_else_help = true, max_term_width = 100)]
#[command(after_help = "Exit status: 0 done, 1 refused or failed, 2 wrong usage or settings. \
                        Data goes to stdout, everything else to stderr.")]
struct Tokend {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Try tokend out: everything on this machine, ready in a moment
    Dev(Dev),
    /// Serve in production
    Serve(Serve),
    /// Make a sealing key, a configuration and the client `admin`
    Init(Init),
    /// Issue, verify and inspect tokens
    #[command(subcommand)]
    Token(TokenCommand),
    /// See and change the keys that sign and verify
    #[command(subcommand)]
    Key(KeyCommand),
    /// Register the services that may call tokend
    #[command(subcommand)]
    Client(ClientCommand),
    /// Register the people who log in with a name and a password
    #[command(subcommand)]
    User(UserCommand),
    /// See the sessions that live
    #[command(subcommand)]
    Session(SessionCommand),
    /// Revoke on the store itself, as after a backup was restored
    #[command(subcommand)]
    Revoke(RevokeCommand),
    /// See what a client may do, and by which line of its policy
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Check and show the settings of `tokend serve`
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Ask a running tokend whether it is ready
    Healthcheck(Healthcheck),
    /// Print the version
    Version(Version),
    /// Print a completion script for a shell
    Completions(Completions),
}

impl Command {
    fn run(self, started: Instant) -> Result<(), Failure> {
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
            Self::Policy(command) => command.run(),
            Self::Config(command) => command.run(),
            Self::Healthcheck(command) => command.run(),
            Self::Version(command) => command.run(),
            Self::Completions(command) => command.run(Tokend::command()),
        }
    }
}

/// Does what the arguments (the program's name first) ask for, and answers how the process shall end.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let started = Instant::now();
    match Tokend::try_parse_from(arguments) {
        Ok(tokend) => match tokend.command.run(started) {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => {
                if let Some(message) = failure.message() {
                    last_words(&format!("error: {message}"));
                }
                failure.exit_code()
            }
        },
        Err(error) => {
            // Help for a reader who is gone is no failure.
            let _ = error.print();
            ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
        }
    }
}
