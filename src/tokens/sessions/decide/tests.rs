#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use super::*;
use crate::model::{FamilyKey, RefreshDigest, Session, SessionId, SessionScope};

const WINDOW: Duration = Duration::from_secs(5);
const USED_AT: i64 = 1_000;

/// A session whose first token was used at `USED_AT`, in a request that had a name.
struct Story {
    record: SessionRecord,
    used: RefreshToken,
    good: RefreshToken,
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

fn story() -> Story {
    let (family, session_id) = (FamilyKey::generate().unwrap(), SessionId::generate().unwrap());
    let token = || RefreshToken::generate(&session_id, &family).unwrap();
    let (used, good) = (token(), token());
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
    let record = SessionRecord { session, family, current: good.digest(), replaced: Some(replaced) };
    Story { record, used, good }
}

impl Story {
    fn decide(&self, token: &RefreshToken, request: Option<RequestDigest>, now: i64) -> Decision<'_> {
        let client_id = client("web");
        decide(&self.record, &Presented { token, client_id: &client_id, request }, at(now), WINDOW)
    }

    fn again(&self) -> Decision<'_> {
        Decision::Again(self.record.replaced.as_ref().unwrap())
    }
}

#[test]
fn the_good_token_is_good_whatever_its_request_is_called() {
    let story = story();
    for request in [None, request("second", "read")] {
        assert_eq!(story.decide(&story.good, request, 4_999), Decision::Good);
    }
}

#[test]
fn a_lost_answer_is_given_again_within_the_window() {
    let story = story();
    for request in [None, request("second", "write")] {
        assert_eq!(story.decide(&story.used, request, USED_AT), story.again());
        assert_eq!(story.decide(&story.used, request, USED_AT + 5), story.again());
        assert_eq!(story.decide(&story.used, request, USED_AT + 6), Decision::Reused);
    }
    // A replica whose clock is behind sees it used in the future.
    assert_eq!(story.decide(&story.used, None, USED_AT - 60), story.again());
}

#[test]
fn the_same_request_is_answered_again_for_ten_minutes() {
    let story = story();
    for (now, expected) in [(6, story.again()), (600, story.again()), (601, Decision::Reused)] {
        assert_eq!(story.decide(&story.used, request("first", "read"), USED_AT + now), expected, "{now}");
    }
}

#[test]
fn another_request_of_the_same_name_is_refused_and_changes_nothing() {
    let story = story();
    for now in [0, 5, 600] {
        let other = story.decide(&story.used, request("first", "write"), USED_AT + now);
        assert_eq!(other, Decision::RequestIdReused, "{now}");
        let next = story.decide(&story.good, request("first", "read"), USED_AT + now);
        assert_eq!(next, Decision::RequestIdReused, "{now}");
    }
    assert_eq!(story.decide(&story.good, request("first", "read"), USED_AT + 601), Decision::Good);
}

#[test]
fn without_a_window_only_the_same_request_is_answered_again() {
    let story = story();
    let client_id = client("web");
    for (request, expected) in [
        (None, Decision::Reused),
        (request("second", "read"), Decision::Reused),
        (request("first", "read"), story.again()),
    ] {
        let presented = Presented { token: &story.used, client_id: &client_id, request };
        assert_eq!(decide(&story.record, &presented, at(USED_AT), Duration::ZERO), expected);
    }
}

#[test]
fn a_token_before_the_last_used_one_is_a_reuse_at_once() {
    let story = story();
    let older = RefreshToken::generate(&story.record.session.session_id, &story.record.family).unwrap();
    assert_eq!(story.decide(&older, request("first", "read"), USED_AT), Decision::Reused);
}

#[test]
fn nobody_but_its_client_does_anything_with_a_token() {
    let story = story();
    let other = client("other");
    for token in [&story.good, &story.used] {
        let presented = Presented { token, client_id: &other, request: None };
        let decision = decide(&story.record, &presented, at(USED_AT + 60), WINDOW);
        assert!(matches!(decision, Decision::Invalid(_)), "{decision:?}");
    }
}

#[test]
fn a_token_without_the_mark_is_none_of_the_session() {
    let story = story();
    let family = FamilyKey::generate().unwrap();
    let made_up = RefreshToken::generate(&story.record.session.session_id, &family).unwrap();
    assert!(matches!(story.decide(&made_up, None, USED_AT + 60), Decision::Invalid(_)));
}

#[test]
fn an_expired_session_is_over_for_every_token() {
    let mut story = story();
    for (idle, end) in [(2_000, 9_000), (9_000, 2_000)] {
        story.record.session.idle_expire_time = at(idle);
        story.record.session.expire_time = at(end);
        assert_eq!(story.decide(&story.good, None, 1_999), Decision::Good);
        for token in [&story.good, &story.used] {
            assert!(matches!(story.decide(token, None, 2_000), Decision::Invalid(_)));
        }
    }
    // The digest is what counts, not the text: a record of another token knows neither.
    story.record.current = RefreshDigest::of(b"other");
    assert_eq!(story.decide(&story.good, None, 1_000), Decision::Reused);
}
