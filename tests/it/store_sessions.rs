//! What the store does with sessions, on each backend.

use std::sync::Arc;

use tokend::{
    model::{
        ClientVersion, ExtraClaims, FamilyKey, RefreshDigest, ReplacedToken, RequestDigest, Session,
        SessionFilter, SessionId, SessionRecord, SessionRotation, SessionScope, Ttl, UnixTime, UserId,
    },
    store::{Store, StoreError},
};

use crate::store_backends::{at, client, id, on_every_store};

on_every_store!(
    a_session_comes_back_as_it_was,
    ids_of_sessions_are_unique,
    a_session_ends_by_time,
    a_rotation_replaces_the_token_that_is_good,
    pages_hold_what_is_asked_for_in_the_order_of_ids,
    what_has_ended_by_time_goes_in_batches,
    a_deleted_client_leaves_no_session,
    sessions_are_no_part_of_what_replicas_hold_in_memory,
    sessions_of_a_closed_store_are_unavailable,
);

/// The session of that number: it ends at 1000 if it is not used, else at 5000.
pub fn session(number: u8, client_id: &str, subject: &str) -> SessionRecord {
    let session = Session {
        session_id: session_id(number),
        client_id: id(client_id),
        subject: subject.to_owned(),
        user_id: None,
        scope: SessionScope::default(),
        create_time: at(100),
        refresh_time: at(100),
        idle_expire_time: at(1000),
        expire_time: at(5000),
    };
    let family = FamilyKey::from_bytes([number; 32]);
    SessionRecord { session, family, current: token(0), replaced: None }
}

/// An id whose order is that of the numbers.
pub fn session_id(number: u8) -> SessionId {
    SessionId::parse(format!("{number:03}{}", "A".repeat(19))).unwrap()
}

/// The digest of a session's refresh token after so many uses.
pub const fn token(uses: u8) -> RefreshDigest {
    RefreshDigest::from_bytes([uses; 32])
}

/// The use of the token after `uses` others, at that time.
pub fn rotation(number: u8, uses: u8, time: i64) -> SessionRotation {
    SessionRotation {
        session_id: session_id(number),
        current: token(uses + 1),
        replaced: ReplacedToken {
            digest: token(uses),
            replace_time: at(time),
            request: None,
            successor: vec![uses, 0, 255],
        },
        idle_expire_time: at(time + 900),
    }
}

fn refused<T>(result: Result<T, StoreError>, expected: &StoreError) {
    let Err(error) = result else { panic!("must be refused: {expected}") };
    assert_eq!(error.to_string(), expected.to_string());
}

async fn ids(store: &Store, filter: &SessionFilter, now: i64) -> Vec<SessionId> {
    let page = store.sessions_page(filter, at(now), None, 100).await.unwrap();
    page.into_iter().map(|session| session.session_id).collect()
}

async fn a_session_comes_back_as_it_was(store: Arc<Store>) {
    let mut full = session(1, "web", "renée ☃ '; --");
    // Members in their order, a number that no double holds, what PostgreSQL's own JSON would not take, and nesting as deep as
    // claims may be.
    let deep = format!("{}{}", "[".repeat(31), "]".repeat(31));
    let members =
        [("z", "1"), ("a", "[12345678901234567890,1.50]"), ("nul", r#""\u0000""#), ("", r#"{"b":null}"#)];
    let members = members.into_iter().chain([("deep", deep.as_str())]);
    full.session.scope = SessionScope {
        audiences: vec!["https://api.example".to_owned(), String::new(), "\u{0}\"".to_owned()],
        scopes: vec!["b".to_owned(), "a".to_owned()],
        claims: ExtraClaims::from_members(
            members.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        ),
        ttl: Ttl::from_seconds(u64::MAX),
    };
    full.session.user_id = Some(UserId::parse("https://idp.example/users/42").unwrap());
    full.session.create_time = at(i64::MIN);
    full.session.refresh_time = UnixTime::MAX;
    full.session.idle_expire_time = at(i64::MAX - 1);
    full.session.expire_time = at(i64::MAX);
    full.replaced = Some(ReplacedToken {
        digest: token(7),
        replace_time: at(-1),
        request: Some(RequestDigest::of("a request", &[], &[])),
        successor: vec![0, 1, 255],
    });
    store.create_session(&full).await.unwrap();
    assert_eq!(store.session(&session_id(1), at(1)).await.unwrap(), full);
    let listed = store.sessions_page(&SessionFilter::default(), at(1), None, 1).await.unwrap();
    assert_eq!(listed, [full.session]);

    let plain = session(2, "web", "alice");
    store.create_session(&plain).await.unwrap();
    assert_eq!(store.session(&session_id(2), at(1)).await.unwrap(), plain);
    refused(store.session(&session_id(3), at(1)).await, &StoreError::NotFound);
}

async fn ids_of_sessions_are_unique(store: Arc<Store>) {
    store.create_session(&session(1, "web", "alice")).await.unwrap();
    refused(store.create_session(&session(1, "app", "bob")).await, &StoreError::AlreadyExists);
    assert_eq!(store.session(&session_id(1), at(1)).await.unwrap(), session(1, "web", "alice"));
}

async fn a_session_ends_by_time(store: Arc<Store>) {
    store.create_session(&session(1, "web", "alice")).await.unwrap();
    store.session(&session_id(1), at(999)).await.unwrap();
    refused(store.session(&session_id(1), at(1000)).await, &StoreError::NotFound);
    assert_eq!(ids(&store, &SessionFilter::default(), 999).await, [session_id(1)]);
    assert_eq!(ids(&store, &SessionFilter::default(), 1000).await, []);
    assert!(!store.rotate_session(&rotation(1, 0, 1000)).await.unwrap());
    assert!(store.rotate_session(&rotation(1, 0, 999)).await.unwrap());
    store.session(&session_id(1), at(1898)).await.unwrap();
    refused(store.session(&session_id(1), at(1899)).await, &StoreError::NotFound);
}

async fn a_rotation_replaces_the_token_that_is_good(store: Arc<Store>) {
    store.create_session(&session(1, "web", "alice")).await.unwrap();
    store.create_session(&session(2, "web", "alice")).await.unwrap();
    let mut first = rotation(1, 0, 200);
    first.replaced.request = Some(RequestDigest::of("a request", &[], &[]));
    assert!(store.rotate_session(&first).await.unwrap());
    let mut expected = session(1, "web", "alice");
    expected.session.refresh_time = at(200);
    expected.session.idle_expire_time = at(1100);
    expected.current = token(1);
    expected.replaced = Some(first.replaced.clone());
    assert_eq!(store.session(&session_id(1), at(300)).await.unwrap(), expected);

    assert!(!store.rotate_session(&first).await.unwrap(), "that token was used");
    assert!(!store.rotate_session(&rotation(1, 7, 300)).await.unwrap(), "that one never was one");
    assert!(!store.rotate_session(&rotation(3, 0, 300)).await.unwrap(), "there is no such session");
    assert_eq!(store.session(&session_id(1), at(300)).await.unwrap(), expected, "nothing was done");

    // A request without a name leaves none behind of the one before.
    assert!(store.rotate_session(&rotation(1, 1, 300)).await.unwrap());
    let twice = store.session(&session_id(1), at(300)).await.unwrap();
    assert_eq!((twice.current, twice.replaced), (token(2), Some(rotation(1, 1, 300).replaced)));
    assert_eq!(store.session(&session_id(2), at(300)).await.unwrap(), session(2, "web", "alice"));
}

async fn pages_hold_what_is_asked_for_in_the_order_of_ids(store: Arc<Store>) {
    for (number, client_id, subject) in
        [(5, "web", "alice"), (1, "app", "bob"), (4, "app", "alice"), (3, "web", "bob"), (2, "web", "alice")]
    {
        store.create_session(&session(number, client_id, subject)).await.unwrap();
    }
    let filter = |subject: Option<&str>, client_id: Option<&str>| SessionFilter {
        subject: subject.map(str::to_owned),
        client_id: client_id.map(id),
    };
    for (filter, expected) in [
        (filter(None, None), vec![1, 2, 3, 4, 5]),
        (filter(Some("alice"), None), vec![2, 4, 5]),
        (filter(None, Some("web")), vec![2, 3, 5]),
        (filter(Some("alice"), Some("web")), vec![2, 5]),
        (filter(Some("alic"), None), vec![]),
        (filter(Some("bob"), Some("other")), vec![]),
    ] {
        let expected: Vec<SessionId> = expected.into_iter().map(session_id).collect();
        assert_eq!(ids(&store, &filter, 1).await, expected, "{filter:?}");
        // Page by page it is the same.
        let (mut paged, mut after) = (Vec::new(), None);
        loop {
            let page = store.sessions_page(&filter, at(1), after.as_ref(), 2).await.unwrap();
            let Some(last) = page.last() else { break };
            assert!(page.len() <= 2);
            after = Some(last.session_id.clone());
            paged.extend(page.into_iter().map(|session| session.session_id));
        }
        assert_eq!(paged, expected, "{filter:?}");
    }
}

async fn what_has_ended_by_time_goes_in_batches(store: Arc<Store>) {
    for number in 0..7 {
        let mut record = session(number, "web", "alice");
        record.session.idle_expire_time = at(1000 + i64::from(number));
        store.create_session(&record).await.unwrap();
    }
    // Those that ended at 0 to 4 have ended at 4.
    assert_eq!(store.forget_sessions(at(1004), 3).await.unwrap(), 3);
    assert_eq!(store.forget_sessions(at(1004), 3).await.unwrap(), 2);
    assert_eq!(store.forget_sessions(at(1004), 3).await.unwrap(), 0);
    assert_eq!(ids(&store, &SessionFilter::default(), 1).await, [session_id(5), session_id(6)]);
}

async fn sessions_are_no_part_of_what_replicas_hold_in_memory(store: Arc<Store>) {
    store.create_session(&session(1, "web", "alice")).await.unwrap();
    store.rotate_session(&rotation(1, 0, 200)).await.unwrap();
    store.forget_sessions(at(9000), 10).await.unwrap();
    assert_eq!(store.change_sequence().await.unwrap().0, 0, "no replica has to load anything");
}

async fn sessions_of_a_closed_store_are_unavailable(store: Arc<Store>) {
    store.create_session(&session(1, "web", "alice")).await.unwrap();
    store.close().await;
    let unavailable = |failed| assert!(matches!(failed, Some(StoreError::Unavailable(_))));
    unavailable(store.session(&session_id(1), at(1)).await.err());
    unavailable(store.create_session(&session(2, "web", "alice")).await.err());
    unavailable(store.rotate_session(&rotation(1, 0, 200)).await.err());
    unavailable(store.sessions_page(&SessionFilter::default(), at(1), None, 1).await.err());
    unavailable(store.forget_sessions(at(1), 1).await.err());
}

async fn a_deleted_client_leaves_no_session(store: Arc<Store>) {
    for (first, client_id) in [(1, "web"), (3, "batch")] {
        store.create_client(&client(client_id, Vec::new())).await.unwrap();
        for number in [first, first + 1] {
            store.create_session(&session(number, client_id, "alice")).await.unwrap();
        }
    }
    store.create_session(&session(5, "web-2", "web")).await.unwrap();
    let all = SessionFilter::default();
    // Nobody is deleted who is at another version, or not there.
    let version = client("web", Vec::new()).client.version();
    let other = ClientVersion { revision: version.revision + 1, ..version };
    assert!(!store.delete_client_version(&id("web"), other).await.unwrap());
    refused(store.delete_client(&id("web-2")).await, &StoreError::NotFound);
    assert_eq!(ids(&store, &all, 100).await, [1, 2, 3, 4, 5].map(session_id));
    assert!(store.delete_client_version(&id("web"), version).await.unwrap());
    assert_eq!(ids(&store, &all, 100).await, [3, 4, 5].map(session_id));
    store.delete_client(&id("batch")).await.unwrap();
    assert_eq!(ids(&store, &all, 100).await, [5].map(session_id));
}
