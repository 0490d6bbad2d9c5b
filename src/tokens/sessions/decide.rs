//! What is to become of a refresh token that somebody presents: a function of the session's record, the token, who presents
//! it in which request, and the time.

use std::time::Duration;

use super::token::RefreshToken;
use crate::model::{ClientId, ReplacedToken, RequestDigest, SessionRecord, UnixTime};

/// How long a used token is answered once more if the request is the same.
const REQUEST_WINDOW: Duration = Duration::from_secs(10 * 60);

/// A refresh token as it is presented.
pub(super) struct Presented<'a> {
    /// The token.
    pub(super) token: &'a RefreshToken,
    /// By whom.
    pub(super) client_id: &'a ClientId,
    /// In which request, if that has a name.
    pub(super) request: Option<RequestDigest>,
}

/// What is to become of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decision<'a> {
    /// It is the good one: it is used now, and another takes its place.
    Good,
    /// It was used, and the answer was lost: its successor is given again.
    Again(&'a ReplacedToken),
    /// It was used, and is used a second time: the session ends.
    Reused,
    /// Another request of the last minutes had the same name.
    RequestIdReused,
    /// It is good for nothing, and nothing comes of it.
    Invalid(&'static str),
}

/// Decides about `presented`, which says that it is of the session `record`, at `now`. A used token is answered once more for
/// `reuse_window`; not at all if that is nothing, unless the request is the same.
pub(super) fn decide<'a>(
    record: &'a SessionRecord,
    presented: &Presented<'_>,
    now: UnixTime,
    reuse_window: Duration,
) -> Decision<'a> {
    let session = &record.session;
    // First of all: who only knows the session's id must not be able to end it.
    if !presented.token.bears_mark_of(&record.family) {
        return Decision::Invalid("it is none of its session");
    }
    if *presented.client_id != session.client_id {
        return Decision::Invalid("it belongs to another client");
    }
    if now >= session.idle_expire_time || now >= session.expire_time {
        return Decision::Invalid("its session has expired");
    }
    let digest = presented.token.digest();
    let replaced = record.replaced.as_ref();
    let had_this_name = replaced.is_some_and(|replaced| has_name_of(replaced, presented, now));
    if digest == record.current {
        return if had_this_name { Decision::RequestIdReused } else { Decision::Good };
    }
    match replaced.filter(|replaced| replaced.digest == digest) {
        Some(replaced) if had_this_name && replaced.request == presented.request => Decision::Again(replaced),
        Some(_) if had_this_name => Decision::RequestIdReused,
        Some(replaced) if is_within(now, replaced, reuse_window) => Decision::Again(replaced),
        // Its successor was used itself, or too much time has passed: two have it.
        _ => Decision::Reused,
    }
}

/// Whether the request that used the token before had the same name, and that is not long ago.
fn has_name_of(replaced: &ReplacedToken, presented: &Presented<'_>, now: UnixTime) -> bool {
    let same = match (&replaced.request, &presented.request) {
        (Some(before), Some(this)) => before.has_name_of(this),
        _ => false,
    };
    same && is_within(now, replaced, REQUEST_WINDOW)
}

/// Instants are cut off to whole seconds: so much time may have passed and nearly a second more, and never less.
const fn is_within(now: UnixTime, replaced: &ReplacedToken, window: Duration) -> bool {
    !window.is_zero() && now.since(replaced.replace_time).as_secs() <= window.as_secs()
}

#[cfg(test)]
mod tests;
