//! The times that the store knows.

use super::{Action, Sql, Store, StoreError, values};
use crate::model::{StoreClock, UnixTime};

impl Store {
    /// The times that the store knows.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]
    pub async fn clock(&self) -> Result<StoreClock, StoreError> {
        macro_rules! times {
            ($now:literal) => {
                concat!(
                    "SELECT (SELECT mark FROM clock_mark) AS mark, (SELECT accepted FROM clock_mark) AS accepted, ",
                    $now,
                    " AS now"
                )
            };
        }
        self.action(Action::Clock, async {
            // SQLite has no clock of its own.
            let sql = Sql {
                sqlite: times!("NULL"),
                postgres: times!("EXTRACT(EPOCH FROM clock_timestamp())::bigint"),
            };
            let mut connection = self.backend.reader().await?;
            let times = connection.fetch_optional(sql, vec![], |row| {
                Ok(StoreClock {
                    mark: row.optional_time("mark")?,
                    accepted: row.optional_time("accepted")?,
                    now: row.optional_time("now")?,
                })
            });
            Ok(times.await?.unwrap_or_default())
        })
        .await
    }

    /// The tables that this role of PostgreSQL may not read and write. SQLite has no roles.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]
    pub async fn tables_without_rights(&self) -> Result<Vec<String>, StoreError> {
        let sql = Sql {
            sqlite: "SELECT '' AS name WHERE 0",
            postgres: "SELECT name FROM unnest(string_to_array('change_sequence signing_keys clients client_secrets replicas sealing_keys \
                       users used_assertions sessions revocations clock_mark', ' ')) AS name \
                       WHERE NOT (has_table_privilege(name, 'SELECT') AND has_table_privilege(name, 'INSERT') \
                       AND has_table_privilege(name, 'UPDATE') AND has_table_privilege(name, 'DELETE'))",
        };
        self.action(Action::Clock, async {
            self.backend.reader().await?.fetch_all(sql, vec![], |row| row.get("name")).await
        })
        .await
    }

    /// Keeps `now` as the latest time that the store has seen, unless the store has seen a later one. With `accepted`, an operator
    /// confirms the time, and it is kept even if it is earlier.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]
    pub async fn mark_clock(&self, now: UnixTime, accepted: bool) -> Result<(), StoreError> {
        self.action(Action::MarkClock, async {
            let sql = "INSERT INTO clock_mark (only_row, mark, accepted) VALUES (1, $1, CASE WHEN $2 THEN $1 END) \
                 ON CONFLICT (only_row) DO UPDATE \
                 SET mark = CASE WHEN $2 OR excluded.mark > clock_mark.mark THEN excluded.mark ELSE clock_mark.mark END, \
                     accepted = COALESCE(excluded.accepted, clock_mark.accepted)";
            self.backend.writer().await?.execute(sql, values![now, accepted]).await?;
            Ok(())
        })
        .await
    }
}
