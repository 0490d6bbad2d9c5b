//! Statements, values, rows and connections of both databases, so that each query is written once.
//!
//! SQLite takes PostgreSQL's `$1` parameters; a statement whose text differs all the same has both texts in a [`Sql`].

use std::{borrow::Cow, ops::DerefMut};

use sqlx::{
    Database, Decode, Encode, PgConnection, Postgres, Row as _, Sqlite, SqliteConnection, Type,
    pool::PoolConnection, postgres::PgRow, query::Query, sqlite::SqliteRow,
};

use super::StoreError;
use crate::model::UnixTime;

/// The text of a statement for each database.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sql {
    pub(super) sqlite: &'static str,
    pub(super) postgres: &'static str,
}

impl From<&'static str> for Sql {
    fn from(text: &'static str) -> Self {
        Self { sqlite: text, postgres: text }
    }
}

/// A statement with a row lock, which PostgreSQL needs and SQLite, with its one writer, does not know:
/// `locking!("SELECT ...", " FOR UPDATE SKIP LOCKED", ")")`.
macro_rules! locking {
    ($start:literal, $lock:literal $(, $end:literal)?) => {
        $crate::store::sql::Sql {
            sqlite: concat!($start $(, $end)?),
            postgres: concat!($start, $lock $(, $end)?),
        }
    };
}
pub(super) use locking;

/// A parameter of a statement. It has no `Debug`: it may hold a sealed key or a hash.
pub(super) enum Value<'a> {
    Text(Option<Cow<'a, str>>),
    Integer(Option<i64>),
    Bytes(Option<&'a [u8]>),
    Boolean(bool),
}

/// The parameters of a statement, each converted to a [`Value`].
macro_rules! values {
    ($($value:expr),* $(,)?) => { vec![$($crate::store::sql::Value::from($value)),*] };
}
pub(super) use values;

macro_rules! value_from {
    ($($from:ty => |$value:ident| $into:expr;)*) => {$(
        impl<'a> From<$from> for Value<'a> {
            fn from($value: $from) -> Self {
                $into
            }
        }
    )*};
}

value_from! {
    &'a str => |text| Self::Text(Some(Cow::Borrowed(text)));
    &'a String => |text| Self::Text(Some(Cow::Borrowed(text)));
    String => |text| Self::Text(Some(Cow::Owned(text)));
    Option<&'a str> => |text| Self::Text(text.map(Cow::Borrowed));
    Option<String> => |text| Self::Text(text.map(Cow::Owned));
    i64 => |integer| Self::Integer(Some(integer));
    u32 => |integer| Self::Integer(Some(i64::from(integer)));
    Option<i64> => |integer| Self::Integer(integer);
    UnixTime => |time| Self::Integer(Some(time.seconds()));
    Option<UnixTime> => |time| Self::Integer(time.map(UnixTime::seconds));
    &'a [u8] => |bytes| Self::Bytes(Some(bytes));
    &'a [u8; 32] => |bytes| Self::Bytes(Some(bytes));
    Option<&'a [u8]> => |bytes| Self::Bytes(bytes);
    Option<&'a [u8; 32]> => |bytes| Self::Bytes(bytes.map(<[u8; 32]>::as_slice));
    bool => |boolean| Self::Boolean(boolean);
}

/// The statement with its parameters.
fn query<'q, D>(sql: &'static str, values: Vec<Value<'_>>) -> Query<'q, D, D::Arguments>
where
    D: Database,
    for<'t> Option<&'t str>: Encode<'t, D> + Type<D>,
    for<'t> Option<&'t [u8]>: Encode<'t, D> + Type<D>,
    for<'t> Option<i64>: Encode<'t, D> + Type<D>,
    for<'t> bool: Encode<'t, D> + Type<D>,
{
    values.into_iter().fold(sqlx::query(sql), |query, value| match value {
        Value::Text(text) => query.bind(text.as_deref()),
        Value::Integer(integer) => query.bind(integer),
        Value::Bytes(bytes) => query.bind(bytes),
        Value::Boolean(boolean) => query.bind(boolean),
    })
}

/// A row of a result.
pub(super) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

impl Row {
    /// The value of a column.
    pub(super) fn get<'r, T>(&'r self, column: &str) -> Result<T, StoreError>
    where
        T: Decode<'r, Sqlite> + Type<Sqlite> + Decode<'r, Postgres> + Type<Postgres>,
    {
        Ok(match self {
            Self::Sqlite(row) => row.try_get(column)?,
            Self::Postgres(row) => row.try_get(column)?,
        })
    }

    /// The time in a column.
    pub(super) fn time(&self, column: &str) -> Result<UnixTime, StoreError> {
        self.get(column).map(UnixTime::from_seconds)
    }

    /// The time in a column that may be NULL.
    pub(super) fn optional_time(&self, column: &str) -> Result<Option<UnixTime>, StoreError> {
        Ok(self.get::<Option<i64>>(column)?.map(UnixTime::from_seconds))
    }
}

/// A connection to either database: one of the pool's, or a transaction.
#[derive(Debug)]
pub(super) enum Either<S, P> {
    Sqlite(S),
    Postgres(P),
}

/// A connection on which each statement is a transaction.
pub(super) type Connection = Either<PoolConnection<Sqlite>, PoolConnection<Postgres>>;

/// A transaction. Dropped without a commit, on an error or with the caller's future, it is rolled back.
pub(super) type Transaction =
    Either<sqlx::Transaction<'static, Sqlite>, sqlx::Transaction<'static, Postgres>>;

impl<S, P> Either<S, P>
where
    S: DerefMut<Target = SqliteConnection> + Send,
    P: DerefMut<Target = PgConnection> + Send,
{
    /// Executes a statement. Returns how many rows it changed.
    pub(super) async fn execute(
        &mut self,
        sql: impl Into<Sql> + Send,
        values: Vec<Value<'_>>,
    ) -> Result<u64, StoreError> {
        let sql = sql.into();
        Ok(match self {
            Self::Sqlite(connection) => {
                query::<Sqlite>(sql.sqlite, values).execute(&mut **connection).await?.rows_affected()
            }
            Self::Postgres(connection) => {
                query::<Postgres>(sql.postgres, values).execute(&mut **connection).await?.rows_affected()
            }
        })
    }

    /// Executes a query, and reads each row of the result with `read`.
    pub(super) async fn fetch_all<T: Send + Unpin>(
        &mut self,
        sql: impl Into<Sql> + Send,
        values: Vec<Value<'_>>,
        mut read: impl FnMut(&Row) -> Result<T, StoreError> + Send,
    ) -> Result<Vec<T>, StoreError> {
        let sql = sql.into();
        let rows = match self {
            Self::Sqlite(connection) => {
                let query = query::<Sqlite>(sql.sqlite, values);
                query.map(|row| read(&Row::Sqlite(row))).fetch_all(&mut **connection).await?
            }
            Self::Postgres(connection) => {
                let query = query::<Postgres>(sql.postgres, values);
                query.map(|row| read(&Row::Postgres(row))).fetch_all(&mut **connection).await?
            }
        };
        rows.into_iter().collect()
    }

    /// Executes a query whose result has one row, or none.
    pub(super) async fn fetch_optional<T: Send + Unpin>(
        &mut self,
        sql: impl Into<Sql> + Send,
        values: Vec<Value<'_>>,
        read: impl FnMut(&Row) -> Result<T, StoreError> + Send,
    ) -> Result<Option<T>, StoreError> {
        Ok(self.fetch_all(sql, values, read).await?.pop())
    }
}

impl Transaction {
    /// Ends the transaction: commits what was made, or rolls back.
    pub(super) async fn end(self, made: bool) -> Result<(), StoreError> {
        let ended = match (self, made) {
            (Self::Sqlite(transaction), true) => transaction.commit().await,
            (Self::Sqlite(transaction), false) => transaction.rollback().await,
            (Self::Postgres(transaction), true) => transaction.commit().await,
            (Self::Postgres(transaction), false) => transaction.rollback().await,
        };
        Ok(ended?)
    }
}
