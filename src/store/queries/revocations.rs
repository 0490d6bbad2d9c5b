//! Revocations.

use super::{Action, Row, Store, StoreError, Transaction, changes, locking, values};
use crate::model::{
    ChangeSequence, ClientId, Revocation, RevocationPage, RevocationRecord, RevocationTarget, SessionId,
    UnixTime,
};

/// The columns that [`read`] reads.
macro_rules! columns {
    () => {
        "kind, target, issued_before, revoked_at, expires_at, sequence"
    };
}

impl Store {
    /// Revokes, and deletes the session if the target is one. If there is a revocation of the same target, it keeps its time of
    /// revocation, and its other two times become the later of both. Returns the revocation that is now in force.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]
    pub async fn revoke(&self, revocation: &Revocation) -> Result<RevocationRecord, StoreError> {
        self.action(Action::Revoke, async {
            let mut transaction = self.backend.begin().await?;
            changes::lock(&mut transaction).await?;
            if let RevocationTarget::Session(session_id) = &revocation.target {
                let sql = "DELETE FROM sessions WHERE session_id = $1";
                transaction.execute(sql, values![session_id.as_str()]).await?;
            }
            let (kind, target, _) = key(&revocation.target);
            let sql = concat!("SELECT ", columns!(), " FROM revocations WHERE kind = $1 AND target = $2");
            let existing = transaction.fetch_optional(sql, values![kind, target], read).await?;
            let extended = match &existing {
                Some(existing) => existing.revocation.clone().widened_by(revocation),
                None => revocation.clone(),
            };
            if let Some(existing) = existing.filter(|existing| existing.revocation == extended) {
                transaction.end(true).await?;
                return Ok(existing);
            }
            let sequence = changes::count_revocation(&mut transaction).await?;
            put(&mut transaction, &extended, sequence).await?;
            self.backend.commit_change(transaction).await?;
            Ok(RevocationRecord { sequence, revocation: extended })
        })
        .await
    }

    /// Up to `limit` revocations that were made or extended after the change `after`, in that order, and the change up to which the
    /// page is complete. Expired revocations may be among them.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Corrupt`]
    pub async fn revocations(&self, after: ChangeSequence, limit: u32) -> Result<RevocationPage, StoreError> {
        self.action(Action::Revocations, async move {
            let mut snapshot = self.backend.snapshot().await?;
            let last = changes::fetch(&mut snapshot, "SELECT value AS sequence FROM change_sequence").await?;
            let sql = concat!(
                "SELECT ",
                columns!(),
                " FROM revocations WHERE sequence > $1 ORDER BY sequence LIMIT $2"
            );
            let records = snapshot.fetch_all(sql, values![after.0, limit], read).await?;
            snapshot.end(false).await?;
            let is_full = u32::try_from(records.len()).is_ok_and(|count| count >= limit);
            let complete =
                if is_full { records.last().map_or(after, |record| record.sequence) } else { last };
            Ok(RevocationPage { records, complete })
        })
        .await
    }

    /// Deletes up to `limit` revocations that have expired at `now`. Returns how many. A revocation stays while there may be sessions
    /// that it has ended: until [`Self::forget_sessions`] has found none left, and none can be created any more.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]
    pub async fn forget_revocations(&self, now: UnixTime, limit: u32) -> Result<u64, StoreError> {
        self.action(Action::ForgetRevocations, async move {
            let sql = locking!(
                "DELETE FROM revocations WHERE sequence IN \
                 (SELECT sequence FROM revocations WHERE expires_at <= $1 AND sweep = FALSE \
                  ORDER BY expires_at LIMIT $2",
                " FOR UPDATE SKIP LOCKED",
                ")"
            );
            self.backend.writer().await?.execute(sql, values![now, limit]).await
        })
        .await
    }
}

async fn put(
    transaction: &mut Transaction,
    revocation: &Revocation,
    sequence: ChangeSequence,
) -> Result<(), StoreError> {
    let (kind, target, issued_before) = key(&revocation.target);
    let sql = concat!(
        "INSERT INTO revocations (",
        columns!(),
        ", sweep) VALUES ($1, $2, $3, $4, $5, $6, $7) \
         ON CONFLICT (kind, target) DO UPDATE \
         SET issued_before = excluded.issued_before, revoked_at = excluded.revoked_at, \
             expires_at = excluded.expires_at, sequence = excluded.sequence, sweep = excluded.sweep"
    );
    let values = values![
        kind,
        target,
        issued_before,
        revocation.revoke_time,
        revocation.expire_time,
        sequence.0,
        issued_before.is_some(),
    ];
    transaction.execute(sql, values).await?;
    Ok(())
}

/// The key of a target's row, and the time before which its tokens were issued.
fn key(target: &RevocationTarget) -> (&'static str, &str, Option<UnixTime>) {
    let before = target.issued_before();
    match target {
        RevocationTarget::Token(jwt_id) => ("token", jwt_id, before),
        RevocationTarget::Session(session_id) => ("session", session_id.as_str(), before),
        RevocationTarget::Subject(subject, _) => ("subject", subject, before),
        RevocationTarget::Client(client_id, _) => ("client", client_id.as_str(), before),
        RevocationTarget::Everything(_) => ("everything", "", before),
    }
}

fn read(row: &Row) -> Result<RevocationRecord, StoreError> {
    let (kind, target): (&str, &str) = (row.get("kind")?, row.get("target")?);
    let invalid =
        |column, problem| StoreError::corrupt("revocations", column, &format!("{kind} {target}"), problem);
    let target = match (kind, row.optional_time("issued_before")?) {
        ("token", None) => RevocationTarget::Token(target.to_owned()),
        ("session", None) => RevocationTarget::Session(
            SessionId::parse(target).map_err(|_| invalid("target", "not a session's id"))?,
        ),
        ("subject", Some(before)) => RevocationTarget::Subject(target.to_owned(), before),
        ("client", Some(before)) => RevocationTarget::Client(
            ClientId::parse(target).map_err(|_| invalid("target", "not a client's id"))?,
            before,
        ),
        ("everything", Some(before)) => RevocationTarget::Everything(before),
        ("token" | "session" | "subject" | "client" | "everything", _) => {
            return Err(invalid("issued_before", "a time is missing, or must not be there"));
        }
        _ => return Err(invalid("kind", "unknown kind")),
    };
    let revocation = Revocation {
        target,
        revoke_time: row.time("revoked_at")?,
        expire_time: row.optional_time("expires_at")?,
    };
    Ok(RevocationRecord { sequence: ChangeSequence(row.get("sequence")?), revocation })
}
