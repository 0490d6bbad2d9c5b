//! The memory of calls is limited for every caller: endless messages, and unread responses.

use tokend::server::Settings;
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::{
    frames::{DATA, END_HEADERS, END_STREAM, Frames, HEADERS, RST_STREAM, call, frame},
    harness::{TestServer, accepted, assert_refused, for_alice, refused},
};

const ISSUE: &str = "/tokend.v1.TokenService/IssueToken";
const MEBI: usize = 1024 * 1024;

const fn little(settings: &mut Settings) {
    settings.serving.call_memory.total = 3 * MEBI;
    settings.serving.call_memory.per_source = MEBI;
}

/// Begins a message of 48 KiB on each of so many streams, and ends none.
async fn begin(stranger: &mut Frames, calls: u32) {
    for number in 0..calls {
        let stream = 2 * number + 1;
        stranger.send(&frame(HEADERS, END_HEADERS, stream, &call(ISSUE, "x"))).await;
        // Its length, and its first byte.
        stranger.send(&frame(DATA, 0, stream, &[0, 0, 0, 192, 0, 10])).await;
    }
}

/// What the exposition says of it.
async fn held(server: &TestServer) -> usize {
    let metrics = server.get("/metrics").await.2;
    let line = metrics.lines().find_map(|line| line.strip_prefix("tokend_call_memory_bytes "));
    line.unwrap_or_else(|| panic!("{metrics}")).parse().unwrap()
}

#[tokio::test]
async fn unfinished_messages_of_a_stranger_take_a_share_and_no_more() {
    let server = TestServer::with(little).await;
    let mut stranger = Frames::connect_from("127.0.0.2", server.grpc).await;
    // Twice what its source may hold: 96 KiB each, and what a call costs anyhow.
    begin(&mut stranger, 20).await;
    let mut refused = 0;
    while refused < 10 {
        let frame = stranger.next().await.unwrap();
        // Headers alone: a refusal.
        refused += u32::from((frame.kind, frame.flags & END_STREAM) == (HEADERS, END_STREAM));
    }
    assert!((MEBI / 2..=MEBI).contains(&held(&server).await), "{}", held(&server).await);
    // Others have their own.
    server.root.token().await;
    // It is given back with the connection.
    drop(stranger);
    while held(&server).await > 0 {}
    let metrics = server.get("/metrics").await.2;
    assert!(metrics.contains("tokend_call_memory_refused_total{bound=\"all\"} 0"), "{metrics}");
    assert!(!metrics.contains("tokend_call_memory_refused_total{bound=\"source\"} 0"), "{metrics}");
}

#[tokio::test]
async fn a_message_counts_from_its_first_bytes() {
    let server = TestServer::with(little).await;
    let mut stranger = Frames::connect_from("127.0.0.2", server.grpc).await;
    assert!(stranger.round_trip().await);
    // The prefix announces 400 KiB: the reader allocates all of it, twice at most.
    for stream in [1, 3] {
        stranger.send(&frame(HEADERS, END_HEADERS, stream, &call(ISSUE, "x"))).await;
        stranger.send(&frame(DATA, 0, stream, &[0, 0, 6, 64, 0, 10])).await;
    }
    let refused = loop {
        let frame = stranger.next().await.unwrap();
        if (frame.kind, frame.flags & END_STREAM) == (HEADERS, END_STREAM) {
            break frame.stream;
        }
    };
    assert_eq!(refused, 3);
    assert!(held(&server).await > 800 * 1024);
}

#[tokio::test]
async fn who_holds_little_is_served_while_others_hold_all_there_is() {
    let server = TestServer::with(little).await;
    let mut strangers = Vec::new();
    for host in 2..6 {
        let mut stranger = Frames::connect_from(&format!("127.0.0.{host}"), server.grpc).await;
        begin(&mut stranger, 20).await;
        strangers.push(stranger);
    }
    while held(&server).await < 3 * MEBI - 128 * 1024 {}
    for _ in 0..20 {
        server.root.token().await;
    }
    let metrics = server.get("/metrics").await.2;
    assert!(!metrics.contains("tokend_call_memory_refused_total{bound=\"all\"} 0"), "{metrics}");
}

#[tokio::test]
async fn a_caller_for_whom_there_is_no_room_hears_so_and_may_come_again() {
    let server = TestServer::with(little).await;
    let mut neighbour = Frames::connect_from("127.0.0.1", server.grpc).await;
    begin(&mut neighbour, 20).await;
    // Where there is no room for more of a message, there may be some for another call.
    for number in 20..40 {
        neighbour.send(&frame(HEADERS, END_HEADERS, 2 * number + 1, &call(ISSUE, "x"))).await;
    }
    let status = loop {
        if let Err(status) = server.root.issue(for_alice()).await {
            break status;
        }
    };
    let retry = status.get_error_details().retry_info().and_then(|info| info.retry_delay);
    assert!(retry.is_some_and(|delay| !delay.is_zero()), "{status:?}");
    assert_refused::<()>(Err(status), Code::ResourceExhausted, "MEMORY_EXHAUSTED");
    drop(neighbour);
    while held(&server).await > 0 {}
    accepted(server.root.issue(for_alice()).await);
}

#[tokio::test]
async fn a_message_larger_than_what_is_left_is_refused_when_it_begins() {
    let server = TestServer::with(little).await;
    let mut neighbour = Frames::connect_from("127.0.0.1", server.grpc).await;
    assert!(neighbour.round_trip().await);
    neighbour.send(&frame(HEADERS, END_HEADERS, 1, &call(ISSUE, "x"))).await;
    neighbour.send(&frame(DATA, 0, 1, &[0, 0, 6, 64, 0, 10])).await;
    while held(&server).await < 800 * 1024 {}
    let mut large = for_alice();
    large.subject = "a".repeat(200 * 1024);
    let status = refused(server.root.issue(large).await);
    assert_refused::<()>(Err(status), Code::ResourceExhausted, "MEMORY_EXHAUSTED");
    server.root.token().await;
}

#[tokio::test]
async fn unread_responses_count_until_they_are_written() {
    let server = TestServer::with(|settings| {
        little(settings);
        settings.serving.call_memory.per_source = 256 * 1024;
    })
    .await;
    let secret = server.root.secret.as_ref().unwrap().reveal();
    let block = call(ISSUE, &format!("Bearer {secret}"));
    // SETTINGS_INITIAL_WINDOW_SIZE of one byte.
    let mut client = Frames::connect_from("127.0.0.2", server.grpc).await;
    client.settings(&[0, 4, 0, 0, 0, 1]).await;
    // audiences: all
    let message = [&[0, 0, 0, 0, 5, 18, 3][..], b"all"].concat();
    let (mut answered, mut refused) = (0_u32, 0);
    while refused == 0 {
        assert!(answered < 250, "{} bytes held", held(&server).await);
        let stream = 2 * answered + 1;
        client.send(&frame(HEADERS, END_HEADERS, stream, &block)).await;
        client.send(&frame(DATA, END_STREAM, stream, &message)).await;
        loop {
            let frame = client.next().await.unwrap();
            match (frame.kind, frame.flags & END_STREAM) {
                (DATA, _) => break,
                (HEADERS, END_STREAM) | (RST_STREAM, _) => {
                    refused += 1;
                    break;
                }
                _ => {}
            }
        }
        answered += 1;
    }
    assert!(answered > 20 && held(&server).await > 128 * 1024, "{answered} answers");
    server.root.token().await;
    drop(client);
    while held(&server).await > 0 {}
}
