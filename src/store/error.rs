//! What can go wrong with the store, in words of the domain.

/// A failed store action. Its text is for the log: it may name tables, files and hosts.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The store cannot be reached or did not answer; nothing was changed, or nobody knows.
    #[error("the store is unavailable: {0}")]
    Unavailable(StoreFailure),
    /// There is nothing of that name.
    #[error("not found")]
    NotFound,
    /// There is something of that name already.
    #[error("already exists")]
    AlreadyExists,
    /// A row makes no sense.
    #[error("{table}.{column} of row `{row}` makes no sense: {problem}")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// The row's key.
        row: String,
        /// What is wrong with it.
        problem: String,
    },
}

/// Why a store is unavailable.
#[derive(Debug, thiserror::Error)]
#[error("{problem}")]
pub struct StoreFailure {
    problem: String,
    /// Whether the connection must not be used again.
    pub(super) is_lost: bool,
}

impl StoreFailure {
    /// A failure that says that its connection is of no further use.
    pub(super) fn lost(problem: impl Into<String>) -> Self {
        Self { problem: problem.into(), is_lost: true }
    }
}

impl<T: Into<String>> From<T> for StoreFailure {
    fn from(problem: T) -> Self {
        Self { problem: problem.into(), is_lost: false }
    }
}

/// Why a store cannot be opened. Its text is for the operator at start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The location is of no known form.
    #[error("{0}")]
    Location(String),
    /// The database was written by a newer tokend.
    #[error("the database has schema version {found}, this tokend knows up to {known}: run a newer tokend")]
    Newer {
        /// The schema version of the database.
        found: i64,
        /// The newest schema version of this binary.
        known: i64,
    },
    /// The file is no database, or a damaged one.
    #[error("{path} is not a sound SQLite database and was left as it is: {problem}")]
    Damaged {
        /// The file.
        path: String,
        /// What SQLite says.
        problem: String,
    },
    /// The file or its folder cannot be written.
    #[error("{path} cannot be written: {problem}")]
    ReadOnly {
        /// The file or folder.
        path: String,
        /// What the system says.
        problem: String,
    },
    /// A migration failed; it was rolled back.
    #[error("the database could not be brought to schema version {version}: {problem}")]
    Migration {
        /// The migration's version.
        version: i64,
        /// What the database says.
        problem: String,
    },
    /// It cannot be reached.
    #[error("the store at {location} cannot be reached: {problem}")]
    Unreachable {
        /// Where, without a password.
        location: String,
        /// What the system says.
        problem: String,
    },
}
