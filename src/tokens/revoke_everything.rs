//! Revoking all that there is, on the store itself: for the one who runs the servers.

use crate::{
    keys::RotationSchedule,
    model::{Revocation, RevocationRecord, RevocationTarget, UnixTime},
    store::{Store, StoreError},
};

/// Makes durable that each token of this issuer and each session is refused that was issued before the instant. Servers that
/// follow the store, with keys on this schedule, see to it from their next look on. Answers what holds: an earlier one of these
/// may have reached further.
///
/// # Errors
/// When the store fails.
pub async fn revoke_everything(
    store: &dyn Store,
    schedule: &RotationSchedule,
    before: UnixTime,
    now: UnixTime,
) -> Result<RevocationRecord, StoreError> {
    let keys = store.keys().await?;
    // What is issued until then lives on from then.
    let expire_time = schedule.all_tokens_end(&keys, now.max(before));
    let target = RevocationTarget::Everything(before);
    store.revoke(&Revocation { target, revoke_time: now, expire_time }).await
}
