//! What PostgreSQL knows of the time.

use sqlx::{Executor, Postgres};

use crate::{
    model::{StoreClock, UnixTime},
    store::StoreError,
};

/// Everything it knows.
pub(super) async fn read<'c>(
    executor: impl Executor<'c, Database = Postgres>,
) -> Result<StoreClock, StoreError> {
    let row: (Option<i64>, Option<i64>, Option<i64>) = sqlx::query_as(
        "SELECT (SELECT mark FROM clock_mark), (SELECT accepted FROM clock_mark), EXTRACT(EPOCH FROM clock_timestamp())::bigint",
    )
    .fetch_one(executor)
    .await?;
    let [mark, accepted, now] = [row.0, row.1, row.2].map(|time| time.map(UnixTime::from_seconds));
    Ok(StoreClock { mark, accepted, now })
}

/// Keeps the time; an accepted one whatever was there.
pub(super) async fn mark<'c>(
    executor: impl Executor<'c, Database = Postgres>,
    now: UnixTime,
    accepted: bool,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO clock_mark (only_row, mark, accepted) VALUES (1, $1, CASE WHEN $2 THEN $1 END) \
         ON CONFLICT (only_row) DO UPDATE \
         SET mark = CASE WHEN $2 OR excluded.mark > clock_mark.mark THEN excluded.mark ELSE clock_mark.mark END, \
             accepted = COALESCE(excluded.accepted, clock_mark.accepted)",
    )
    .bind(now.seconds())
    .bind(accepted)
    .execute(executor)
    .await?;
    Ok(())
}
