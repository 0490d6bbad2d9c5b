//! How a command fails.

use std::{fmt, io, process::ExitCode};

/// Why a command failed.
#[derive(Debug)]
pub(super) enum CliError {
    /// The arguments or the settings are wrong.
    Usage(String),
    /// The server rejected the call, or something failed.
    Failed(String),
    /// The server did not respond, with the message of the transport.
    NoResponse(String),
    /// The reader of stdout has closed it (`tokend … | head -1`).
    ClosedPipe,
}

impl CliError {
    pub(super) fn usage(message: impl Into<String>) -> Self {
        Self::Usage(message.into())
    }

    pub(super) fn failed(message: impl fmt::Display) -> Self {
        Self::Failed(message.to_string())
    }

    /// The message, unless there is nothing to report.
    pub(super) fn message(&self) -> Option<&str> {
        match self {
            Self::Usage(message) | Self::Failed(message) | Self::NoResponse(message) => Some(message),
            Self::ClosedPipe => None,
        }
    }

    pub(super) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Usage(_) => ExitCode::from(2),
            Self::Failed(_) | Self::NoResponse(_) => ExitCode::from(1),
            Self::ClosedPipe => ExitCode::SUCCESS,
        }
    }
}

impl From<io::Error> for CliError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::ClosedPipe,
            _ => Self::Failed(error.to_string()),
        }
    }
}
