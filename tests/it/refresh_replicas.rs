//! Sessions over several replicas, restarts, and what operators see of them.

use tokend::{
    model::Method,
    proto::v1,
    store::{self, Location},
};
use tonic::Code;

use crate::{
    harness::{TestServer, accepted, assert_refused, fields, manual_clock, refused, settings},
    postgres::Database,
    sessions::{
        assert_invalid, assert_reused, begin, list, living, refresh, refreshed, session_for_alice, sid,
        using, using_in,
    },
    store_backends::open_postgres,
};

/// A lost answer is given again, and a second use found out, wherever it is asked for.
async fn goes_on(here: &TestServer, there: &TestServer) {
    let used = begin(&here.root).await;
    let lost = accepted(refresh(&here.root, using_in(&used, 1)).await);
    let again = accepted(refresh(&there.root, using(&used)).await);
    assert_eq!(again.refresh_token, lost.refresh_token, "within the window");
    there.clock.advance(60);
    let again = accepted(refresh(&there.root, using_in(&used, 1)).await);
    assert_eq!(again.refresh_token, lost.refresh_token, "the same request");
    let third = accepted(refresh(&there.root, using(&lost.refresh_token)).await);
    accepted(here.root.check(&third.access_token).await);
    assert_reused(&here.root, &used).await;
    assert_invalid(&there.root, &third.refresh_token).await;
    for replica in [here, there] {
        replica.rounds.make().await.unwrap();
        for token in [&third.access_token, &again.access_token] {
            let status = refused(replica.root.check(token).await);
            assert_refused(Err::<(), _>(status), Code::InvalidArgument, "TOKEN_REVOKED");
        }
    }
}

#[tokio::test]
async fn sessions_go_on_at_another_replica() {
    let store = store::open(&Location::Memory).await.unwrap();
    let clock = manual_clock();
    let here = TestServer::on(store.clone(), settings(), clock.clone()).await;
    let there = TestServer::on(store, settings(), clock).await;
    goes_on(&here, &there).await;
}

#[tokio::test]
async fn sessions_go_on_at_another_replica_on_postgres() {
    let Some(database) = Database::create().await else { return };
    let clock = manual_clock();
    let here = TestServer::on(open_postgres(&database).await, settings(), clock.clone()).await;
    let there = TestServer::on(open_postgres(&database).await, settings(), clock).await;
    goes_on(&here, &there).await;
}

#[tokio::test]
async fn sessions_outlive_the_server() {
    let folder = tempfile::TempDir::new().unwrap();
    let location = Location::Sqlite(folder.path().join("tokend.db"));
    let clock = manual_clock();
    let start =
        async || TestServer::on(store::open(&location).await.unwrap(), settings(), clock.clone()).await;
    let mut before = start().await;
    let used = begin(&before.root).await;
    let lost = accepted(refresh(&before.root, using_in(&used, 1)).await);
    let ended = begin(&before.root).await;
    refreshed(&before.root, &ended).await;
    before.clock.advance(60);
    assert_reused(&before.root, &ended).await;
    before.begin_stop();
    before.stopped().await;

    let after = start().await;
    assert_invalid(&after.root, &ended).await;
    let again = accepted(refresh(&after.root, using_in(&used, 1)).await);
    assert_eq!(again.refresh_token, lost.refresh_token);
    refreshed(&after.root, &lost.refresh_token).await;
}

#[tokio::test]
async fn operators_see_the_sessions_that_live() {
    let server = TestServer::start().await;
    let client = v1::Client { client_id: "web".to_owned(), ..Default::default() };
    let stranger = server.client(client).await;
    let denied = list(&stranger, v1::ListSessionsRequest::default()).await;
    assert_refused(denied, Code::PermissionDenied, "METHOD_NOT_ALLOWED");
    assert_eq!(Method::ListSessions.name(), "SessionService/ListSessions");

    let answer = accepted(server.root.issue(session_for_alice()).await);
    server.clock.advance(60);
    refreshed(&server.root, &answer.refresh_token).await;
    let own = v1::IssueTokenRequest { subject: String::new(), ..session_for_alice() };
    accepted(server.root.issue(own).await);
    let alice = v1::ListSessionsRequest { subject: "alice".to_owned(), ..Default::default() };
    let found = accepted(list(&server.root, alice.clone()).await).sessions;
    let [session] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(session.session_id, sid(&answer.access_token));
    let (subject, client_id) = (session.subject.as_str(), session.client_id.as_str());
    assert_eq!((subject, client_id, session.user_id.as_str()), ("alice", "root", ""));
    assert_eq!(
        (session.audiences.join(" "), session.scopes.join(" ")),
        ("orders billing".to_owned(), "read write".to_owned())
    );
    let at = |time: Option<prost_types::Timestamp>| time.unwrap().seconds;
    let begun = at(answer.issue_time);
    assert_eq!((at(session.create_time), at(session.refresh_time)), (begun, begun + 60));
    let day = 86_400;
    assert_eq!(at(session.idle_expire_time), begun + 60 + 7 * day);
    assert_eq!(at(session.expire_time), begun + 30 * day);

    let of_client = |client_id: &str| v1::ListSessionsRequest {
        client_id: client_id.to_owned(),
        ..v1::ListSessionsRequest::default()
    };
    assert_eq!(accepted(list(&server.root, of_client("root")).await).sessions.len(), 2);
    assert_eq!(accepted(list(&server.root, of_client("web")).await).sessions.len(), 0);
    let wrong = v1::ListSessionsRequest {
        subject: "\n".to_owned(),
        client_id: "NO".to_owned(),
        page_size: -1,
        page_token: "x".to_owned(),
    };
    let named = fields(&refused(list(&server.root, wrong).await));
    assert_eq!(named, ["page_size", "subject", "client_id", "page_token"]);
}

#[tokio::test]
async fn sessions_are_listed_in_pages() {
    let server = TestServer::start().await;
    for _ in 0..7 {
        begin(&server.root).await;
    }
    let all: Vec<String> = living(&server.root).await.into_iter().map(|session| session.session_id).collect();
    let (mut found, mut page_token, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let request = v1::ListSessionsRequest { page_size: 3, page_token, ..Default::default() };
        let page = accepted(list(&server.root, request).await);
        found.extend(page.sessions.into_iter().map(|session| session.session_id));
        (page_token, pages) = (page.next_page_token, pages + 1);
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!((found.len(), pages), (7, 3));
    assert_eq!(found, all);
}
