//! Deleting, in PostgreSQL, the sessions that a revocation of a subject, a client or everything has ended. Such a revocation is
//! there to be swept for until no session of it is left and none can come any more.

use sqlx::PgConnection;

use crate::{
    model::UnixTime,
    store::{
        StoreError,
        revocation_rows::{SETTLED, SWEEP},
    },
};

/// How to find the sessions of a kind of revocation, and the revocations that have none left.
struct Kind {
    name: &'static str,
    delete: &'static str,
    settle: &'static str,
}

/// From the revocations, of which few are to be swept for, to the sessions of each by an index. Rows that another replica is
/// deleting are left to it; they are seen as there still when a revocation is to be settled. That goes by the number of the
/// revocation: of one that is made to reach further meanwhile it is another.
macro_rules! kind {
    ($name:literal, $of_it:literal) => {
        Kind {
            name: $name,
            delete: concat!(
                "DELETE FROM sessions WHERE session_id IN \
                 (SELECT s.session_id FROM revocations AS r JOIN sessions AS s ON ",
                $of_it,
                " AND s.created_at < r.issued_before WHERE r.kind = '",
                $name,
                "' AND r.sweep LIMIT $1 FOR UPDATE OF s SKIP LOCKED)"
            ),
            settle: concat!(
                "UPDATE revocations SET sweep = FALSE WHERE sequence IN \
                 (SELECT r.sequence FROM revocations AS r WHERE r.kind = '",
                $name,
                "' AND r.sweep AND r.issued_before <= $1 \
                 AND NOT EXISTS (SELECT 1 FROM sessions AS s WHERE ",
                $of_it,
                " AND s.created_at < r.issued_before) LIMIT $2 FOR UPDATE OF r SKIP LOCKED)"
            ),
        }
    };
}

const KINDS: [Kind; 3] = [
    kind!("subject", "s.subject = r.target"),
    kind!("client", "s.client_id = r.target"),
    kind!("everything", "TRUE"),
];

/// Deletes up to `limit` sessions that revocations have ended. Answers how many.
pub(super) async fn sweep(write: &mut PgConnection, now: UnixTime, limit: u64) -> Result<u64, StoreError> {
    let unswept: Vec<String> = sqlx::query_scalar("SELECT DISTINCT kind FROM revocations WHERE sweep")
        .fetch_all(&mut *write)
        .await?;
    let mut swept = 0;
    for kind in KINDS.iter().filter(|kind| unswept.iter().any(|unswept| unswept == kind.name)) {
        let left = limit.saturating_sub(swept);
        let deleted =
            sqlx::query(kind.delete).bind(left.cast_signed()).execute(&mut *write).await?.rows_affected();
        swept += deleted;
        if deleted < left {
            sqlx::query(kind.settle)
                .bind(now.minus(SWEEP).seconds())
                .bind(SETTLED)
                .execute(&mut *write)
                .await?;
        }
    }
    Ok(swept)
}
