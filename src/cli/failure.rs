//! How a command fails.

use std::{io, process::ExitCode};

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub(super) enum Failure {
    /// The question is wrong: arguments or settings.
    Usage(String),
    /// It was refused, or something failed.
    Refused(String),
    /// There was no answer: why, as the transport says it.
    Unanswered(String),
    /// Nobody reads the answer any more (`tokend … | head -1`).
    ClosedPipe,
}

impl Failure {
    pub(super) fn usage(message: impl Into<String>) -> Self {
        Self::Usage(message.into())
    }

    pub(super) fn refused(message: impl Into<String>) -> Self {
        Self::Refused(message.into())
    }

    /// Why, for the one who called; nobody is there to be told of a closed pipe.
    pub(super) fn message(&self) -> Option<&str> {
        match self {
            Self::Usage(message) | Self::Refused(message) | Self::Unanswered(message) => Some(message),
            Self::ClosedPipe => None,
        }
    }

    /// How the process shall end.
    pub(super) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Usage(_) => ExitCode::from(2),
            Self::Refused(_) | Self::Unanswered(_) => ExitCode::from(1),
            Self::ClosedPipe => ExitCode::SUCCESS,
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::ClosedPipe,
            _ => Self::Refused(error.to_string()),
        }
    }
}
