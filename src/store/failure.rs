//! From the database driver's errors to the store's.

use super::{StoreError, error::StoreFailure};
use crate::database;

impl From<sqlx::Error> for StoreError {
    /// A violated uniqueness is an answer. Everything else (no connection, a timeout, a server on its way down, a full
    /// disk) means that the store does not do its work; the text is the driver's, which holds no values.
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(error) if error.is_unique_violation() => Self::AlreadyExists,
            sqlx::Error::ColumnDecode { index, source } => {
                Self::Unavailable(format!("column {index} of an answer has the wrong type: {source}").into())
            }
            error if database::is_lost(&error) => Self::Unavailable(StoreFailure::lost(error.to_string())),
            error => Self::Unavailable(error.to_string().into()),
        }
    }
}
