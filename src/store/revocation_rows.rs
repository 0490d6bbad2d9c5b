//! From the columns of `revocations` to revocations and back, for both backends.

use std::time::Duration;

use super::StoreError;
use crate::model::{
    ChangeSequence, ClientId, Revocation, RevocationPage, RevocationRecord, RevocationTarget, SessionId,
    UnixTime,
};

/// The columns of `revocations` that [`RevocationColumns`] holds, in its order.
macro_rules! revocation_columns {
    () => {
        "kind, target, issued_before, revoked_at, expires_at, sequence"
    };
}
pub(super) use revocation_columns;

/// What `revocation_columns!` selects.
pub(super) type RevocationColumns = (String, String, Option<i64>, i64, Option<i64>, i64);

/// How long a revocation stays one to sweep for after the instant that it reaches to, so that a session that was begun before and
/// is kept only now is found too: longer than any action takes, with clocks that differ.
pub(super) const SWEEP: Duration = Duration::from_secs(300);

/// How many revocations of a kind are settled at a time, so that no statement takes long.
pub(super) const SETTLED: i64 = 5_000;

/// The key of a target's row, and the instant before which it is revoked.
pub(super) fn key(target: &RevocationTarget) -> (&'static str, &str, Option<UnixTime>) {
    match target {
        RevocationTarget::Token(jwt_id) => ("token", jwt_id, None),
        RevocationTarget::Session(session_id) => ("session", session_id.as_str(), None),
        RevocationTarget::Subject(subject, before) => ("subject", subject, Some(*before)),
        RevocationTarget::Client(client_id, before) => ("client", client_id.as_str(), Some(*before)),
        RevocationTarget::Everything(before) => ("everything", "", Some(*before)),
    }
}

/// One revocation.
pub(super) fn revocation(columns: RevocationColumns) -> Result<RevocationRecord, StoreError> {
    let (kind, target, issued_before, revoked_at, expires_at, sequence) = columns;
    let bad = |column, problem: &str| StoreError::Corrupt {
        table: "revocations",
        column,
        row: format!("{kind} {target}"),
        problem: problem.to_owned(),
    };
    let before = issued_before.map(UnixTime::from_seconds);
    let target = match (kind.as_str(), before) {
        ("token", None) => RevocationTarget::Token(target.clone()),
        ("session", None) => RevocationTarget::Session(
            SessionId::parse(target.as_str()).map_err(|_| bad("target", "not a session's id"))?,
        ),
        ("subject", Some(before)) => RevocationTarget::Subject(target.clone(), before),
        ("client", Some(before)) => RevocationTarget::Client(
            ClientId::parse(target.as_str()).map_err(|_| bad("target", "not a client's id"))?,
            before,
        ),
        ("everything", Some(before)) => RevocationTarget::Everything(before),
        ("token" | "session" | "subject" | "client" | "everything", _) => {
            return Err(bad("issued_before", "an instant where none belongs, or none where one does"));
        }
        _ => return Err(bad("kind", "not a kind that tokend knows")),
    };
    let revocation = Revocation {
        target,
        revoke_time: UnixTime::from_seconds(revoked_at),
        expire_time: expires_at.map(UnixTime::from_seconds),
    };
    Ok(RevocationRecord { sequence: ChangeSequence(sequence), revocation })
}

/// What holds when `new` is made where `held` is there; none if that is what holds already.
pub(super) fn merged(held: &Revocation, new: &Revocation) -> Option<Revocation> {
    let merged = held.clone().widened_by(new);
    (merged != *held).then_some(merged)
}

/// A page of up to `limit` after `after`, read from the state of the database in which `last` was the last change of all.
pub(super) fn page(
    rows: Vec<RevocationColumns>,
    after: ChangeSequence,
    limit: u32,
    last: ChangeSequence,
) -> Result<RevocationPage, StoreError> {
    let full = u32::try_from(rows.len()).is_ok_and(|rows| rows >= limit);
    let records = rows.into_iter().map(revocation).collect::<Result<Vec<_>, _>>()?;
    let complete = if full { records.last().map_or(after, |record| record.sequence) } else { last };
    Ok(RevocationPage { records, complete })
}
