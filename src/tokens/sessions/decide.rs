//! Decides about a presented refresh token, without side effects.

use std::time::Duration;

use super::token::RefreshToken;
use crate::model::{ClientId, ReplacedToken, RequestDigest, SessionRecord, UnixTime};

/// How long the same request still gets the successor of a used token.
const REQUEST_WINDOW: Duration = Duration::from_secs(10 * 60);

/// A presented refresh token.
pub(super) struct Presented<'a> {
    pub(super) token: &'a RefreshToken,
    pub(super) client_id: &'a ClientId,
    /// The digest of the request, if it has a `request_id`.
    pub(super) request: Option<RequestDigest>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decision<'a> {
    /// The token is the current one: it is replaced.
    Rotate,
    /// The token was used, and the response may be lost: its successor is returned again.
    Repeat(&'a ReplacedToken),
    /// Refresh token reuse: the session is revoked.
    Reused,
    /// A recent different request had the same `request_id`.
    RequestIdReused,
    /// The token is invalid, for this reason.
    Invalid(&'static str),
}

/// Decides about `presented` by the session that the token names. A used token returns its successor for `reuse_window`; with a window
/// of zero, only for the same request.
pub(super) fn decide<'a>(
    record: &'a SessionRecord,
    presented: &Presented<'_>,
    now: UnixTime,
    reuse_window: Duration,
) -> Decision<'a> {
    let session = &record.session;
    // Checked first: knowledge of a session id must not suffice to revoke the session.
    if !presented.token.has_mark_of(&record.family) {
        return Decision::Invalid("not a token of its session");
    }
    if *presented.client_id != session.client_id {
        return Decision::Invalid("issued to another client");
    }
    if now >= session.idle_expire_time || now >= session.expire_time {
        return Decision::Invalid("the session has expired");
    }
    let digest = presented.token.digest();
    let replaced = record.replaced.as_ref();
    let is_same_id = replaced.is_some_and(|replaced| has_same_id(replaced, presented, now));
    if digest == record.current {
        return if is_same_id { Decision::RequestIdReused } else { Decision::Rotate };
    }
    match replaced.filter(|replaced| replaced.digest == digest) {
        Some(replaced) if is_same_id && replaced.request == presented.request => Decision::Repeat(replaced),
        Some(_) if is_same_id => Decision::RequestIdReused,
        Some(replaced) if is_within(now, replaced, reuse_window) => Decision::Repeat(replaced),
        // The successor was used, or too much time has passed: two parties have the token.
        _ => Decision::Reused,
    }
}

/// Whether the recent request that used the token had the same `request_id`.
fn has_same_id(replaced: &ReplacedToken, presented: &Presented<'_>, now: UnixTime) -> bool {
    let same = match (&replaced.request, &presented.request) {
        (Some(before), Some(this)) => before.has_same_id(this),
        _ => false,
    };
    same && is_within(now, replaced, REQUEST_WINDOW)
}

/// Instants are whole seconds: up to a second more than `window` may have passed, and never less.
const fn is_within(now: UnixTime, replaced: &ReplacedToken, window: Duration) -> bool {
    !window.is_zero() && now.since(replaced.replace_time).as_secs() <= window.as_secs()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::*;
    use crate::model::{FamilyKey, Session, SessionId, SessionScope};

    const WINDOW: Duration = Duration::from_secs(5);
    const USED_AT: i64 = 1_000;

    /// A session whose first token was used at `USED_AT`, in a request with a `request_id`.
    struct Fixture {
        record: SessionRecord,
        used: RefreshToken,
    }

    fn client(id: &str) -> ClientId {
        ClientId::parse(id).unwrap()
    }

    fn at(seconds: i64) -> UnixTime {
        UnixTime::from_seconds(seconds)
    }

    fn request(name: &str, scope: &str) -> Option<RequestDigest> {
        Some(RequestDigest::of(name, &[], &[scope.to_owned()]))
    }

    fn fixture() -> Fixture {
        let (family, session_id) = (FamilyKey::generate().unwrap(), SessionId::generate().unwrap());
        let token = || RefreshToken::generate(&session_id, &family).unwrap();
        let (used, current) = (token(), token());
        let session = Session {
            session_id: session_id.clone(),
            client_id: client("web"),
            subject: "alice".into(),
            user_id: None,
            scope: SessionScope::default(),
            create_time: at(900),
            refresh_time: at(USED_AT),
            idle_expire_time: at(5_000),
            expire_time: at(9_000),
        };
        let replaced = ReplacedToken {
            digest: used.digest(),
            replace_time: at(USED_AT),
            request: request("first", "read"),
            successor: vec![1],
        };
        let record = SessionRecord { session, family, current: current.digest(), replaced: Some(replaced) };
        Fixture { record, used }
    }

    impl Fixture {
        fn decide(&self, token: &RefreshToken, request: Option<RequestDigest>, now: i64) -> Decision<'_> {
            let client_id = client("web");
            decide(&self.record, &Presented { token, client_id: &client_id, request }, at(now), WINDOW)
        }

        fn repeat(&self) -> Decision<'_> {
            Decision::Repeat(self.record.replaced.as_ref().unwrap())
        }
    }

    #[test]
    fn a_lost_response_is_repeated_within_the_window() {
        let fixture = fixture();
        for request in [None, request("second", "write")] {
            assert_eq!(fixture.decide(&fixture.used, request, USED_AT), fixture.repeat());
            assert_eq!(fixture.decide(&fixture.used, request, USED_AT + 5), fixture.repeat());
            assert_eq!(fixture.decide(&fixture.used, request, USED_AT + 6), Decision::Reused);
        }
        // A replica with a slow clock sees a use in the future.
        assert_eq!(fixture.decide(&fixture.used, None, USED_AT - 60), fixture.repeat());
    }

    #[test]
    fn without_a_window_only_the_same_request_is_repeated() {
        let fixture = fixture();
        let client_id = client("web");
        for (request, expected) in [
            (None, Decision::Reused),
            (request("second", "read"), Decision::Reused),
            (request("first", "read"), fixture.repeat()),
        ] {
            let presented = Presented { token: &fixture.used, client_id: &client_id, request };
            assert_eq!(decide(&fixture.record, &presented, at(USED_AT), Duration::ZERO), expected);
        }
    }
}
