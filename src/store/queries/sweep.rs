//! Deletes the sessions that a revocation of a subject, a client or everything has ended. A revocation is swept until no session
//! of it is left and none can be created any more.

use std::time::Duration;

use super::{Sql, StoreError, Transaction, values};
use crate::model::UnixTime;

/// How long a revocation is swept after its `issued_before`, to find sessions that began before it and were written later: longer
/// than any action takes, with clocks that differ.
const SWEEP: Duration = Duration::from_secs(300);

/// How many revocations of a kind are settled by one statement, so that no statement takes long.
const SETTLED: i64 = 5_000;

/// The statements for one kind of revocation.
struct Kind {
    name: &'static str,
    /// Deletes sessions.
    delete: Sql,
    /// Marks the revocations that have no sessions left.
    settle: Sql,
}

/// Each statement begins with the revocations, of which few are to be swept, and finds their sessions by an index. Rows that another
/// replica is deleting are left to it, and still exist for `settle`. `settle` selects by the number of the revocation: one that is
/// extended meanwhile has another number.
macro_rules! kind {
    ($name:literal, $sessions:literal) => {
        Kind {
            name: $name,
            delete: Sql {
                // SQLite keeps the order of a CROSS JOIN, and uses the index only for the condition of its definition.
                sqlite: kind!(delete $name, "CROSS JOIN", $sessions, "r.sweep = 1", ""),
                postgres: kind!(delete $name, "JOIN", $sessions, "r.sweep", " FOR UPDATE OF s SKIP LOCKED"),
            },
            settle: Sql {
                sqlite: kind!(settle $name, $sessions, "r.sweep = 1", ""),
                postgres: kind!(settle $name, $sessions, "r.sweep", " FOR UPDATE OF r SKIP LOCKED"),
            },
        }
    };
    (delete $name:literal, $join:literal, $sessions:literal, $sweep:literal, $lock:literal) => {
        concat!(
            "DELETE FROM sessions WHERE session_id IN \
             (SELECT s.session_id FROM revocations AS r ", $join, " sessions AS s \
                 ON ", $sessions, " AND s.created_at < r.issued_before \
              WHERE r.kind = '", $name, "' AND ", $sweep, " LIMIT $1", $lock, ")"
        )
    };
    (settle $name:literal, $sessions:literal, $sweep:literal, $lock:literal) => {
        concat!(
            "UPDATE revocations SET sweep = FALSE WHERE sequence IN \
             (SELECT r.sequence FROM revocations AS r \
              WHERE r.kind = '", $name, "' AND ", $sweep, " AND r.issued_before <= $1 \
                  AND NOT EXISTS (SELECT 1 FROM sessions AS s \
                      WHERE ", $sessions, " AND s.created_at < r.issued_before) \
              LIMIT $2", $lock, ")"
        )
    };
}

const KINDS: [Kind; 3] = [
    kind!("subject", "s.subject = r.target"),
    kind!("client", "s.client_id = r.target"),
    kind!("everything", "TRUE"),
];

/// Deletes up to `limit` sessions that revocations have ended. Returns how many.
pub(super) async fn sweep(
    transaction: &mut Transaction,
    now: UnixTime,
    limit: u64,
) -> Result<u64, StoreError> {
    let unswept = Sql {
        sqlite: "SELECT DISTINCT kind FROM revocations WHERE sweep = 1",
        postgres: "SELECT DISTINCT kind FROM revocations WHERE sweep",
    };
    let unswept: Vec<String> = transaction.fetch_all(unswept, vec![], |row| row.get("kind")).await?;
    let mut swept = 0;
    for kind in KINDS.iter().filter(|kind| unswept.iter().any(|unswept| unswept == kind.name)) {
        let left = limit.saturating_sub(swept);
        let deleted = transaction.execute(kind.delete, values![left.cast_signed()]).await?;
        swept += deleted;
        if deleted < left {
            transaction.execute(kind.settle, values![now.minus(SWEEP), SETTLED]).await?;
        }
    }
    Ok(swept)
}
