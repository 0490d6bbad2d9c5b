//! Clients that want to keep the server busy: each loses its connection or waits, and others are served meanwhile.

use std::time::Duration;

use tokend::{listen::Lifetime, server::Settings};

use crate::{
    frames::{
        CONTINUATION, DATA, END_HEADERS, END_STREAM, Frames, HEADERS, PING, RST_STREAM, SETTINGS, call, frame,
    },
    harness::TestServer,
};

const ISSUE: &str = "/tokend.v1.TokenService/IssueToken";
/// `ENHANCE_YOUR_CALM` (RFC 9113 section 7).
const CALM: u32 = 11;
/// `CANCEL`.
const CANCEL: [u8; 4] = [0, 0, 0, 8];

fn authorization(server: &TestServer) -> String {
    format!("Bearer {}", server.root.secret.as_ref().unwrap().reveal())
}

/// Sends until the connection ends; others must be served meanwhile. Answers how often it was sent.
async fn flood(
    server: &TestServer,
    client: &mut Frames,
    most: u32,
    mut bytes: impl FnMut(u32) -> Vec<u8>,
) -> u32 {
    for sent in 0..most {
        if !client.send(&bytes(sent)).await {
            return sent;
        }
        if sent % 1000 == 0 {
            server.root.token().await;
        }
    }
    most
}

/// Stream ids of a client are odd.
const fn id(number: u32) -> u32 {
    2 * number + 1
}

#[tokio::test]
async fn calls_that_are_taken_back_at_once_end_the_connection() {
    let server = TestServer::start().await;
    let block = call(ISSUE, &authorization(&server));
    let mut client = Frames::connect(server.grpc, &[]).await;
    let sent = flood(&server, &mut client, 100_000, |number| {
        let mut bytes = frame(HEADERS, END_HEADERS, id(number), &block);
        bytes.extend(frame(RST_STREAM, 0, id(number), &CANCEL));
        bytes
    })
    .await;
    assert!(sent < 100_000, "the connection went on");
    server.root.token().await;
}

#[tokio::test]
async fn calls_that_are_taken_back_once_they_are_served_end_the_connection_too() {
    let server = TestServer::start().await;
    let block = call(ISSUE, &authorization(&server));
    let mut client = Frames::connect(server.grpc, &[]).await;
    let mut rounds = 0;
    // Each time the server has begun to serve them, and waits for their messages.
    'rounds: for round in 0..100 {
        for number in round * 50..(round + 1) * 50 {
            if !client.send(&frame(HEADERS, END_HEADERS, id(number), &block)).await {
                break 'rounds;
            }
        }
        if !client.round_trip().await {
            break;
        }
        for number in round * 50..(round + 1) * 50 {
            let _ = client.send(&frame(RST_STREAM, 0, id(number), &CANCEL)).await;
        }
        rounds = round;
        server.root.token().await;
    }
    assert!((15..40).contains(&rounds), "it ended after {rounds} rounds of 50 calls");
}

#[tokio::test]
async fn headers_without_an_end_are_cut_off() {
    let server = TestServer::start().await;
    let mut client = Frames::connect(server.grpc, &[]).await;
    client.send(&frame(HEADERS, 0, 1, &call(ISSUE, "x"))).await;
    let mut field = vec![0, 1, b'x', 100];
    field.extend([b'y'; 100]);
    let flooded = flood(&server, &mut client, 100_000, |_| frame(CONTINUATION, 0, 1, &field)).await;
    assert!(flooded < 100_000, "the connection went on");
    server.root.token().await;
}

#[tokio::test]
async fn a_client_that_asks_and_does_not_listen_is_not_listened_to_either() {
    let server = TestServer::start().await;
    let settings = frame(SETTINGS, 0, 0, &[0, 4, 0, 1, 0, 0].repeat(8));
    let ping = frame(PING, 0, 0, &[1; 8]);
    for bytes in [settings, ping] {
        let bytes = bytes.repeat(100);
        let mut client = Frames::connect(server.grpc, &[]).await;
        let flooding = tokio::spawn(async move {
            // More than any buffer between the two holds: it waits, or the connection ends.
            for _ in 0..100_000 {
                if !client.send(&bytes).await {
                    break;
                }
            }
        });
        for _ in 0..500 {
            server.root.token().await;
        }
        flooding.abort();
    }
}

const fn impatient(settings: &mut Settings) {
    let soon = Duration::from_millis(200);
    settings.calls.request_timeout = soon;
    settings.serving.connections.lifetime =
        Lifetime { idle_timeout: soon, max_age: Duration::from_secs(3600), grace: soon };
}

#[tokio::test]
async fn unread_responses_are_dropped_with_their_connection() {
    let server = TestServer::with(impatient).await;
    let block = call(ISSUE, &authorization(&server));
    // SETTINGS_INITIAL_WINDOW_SIZE of zero: no byte of a response may be sent.
    let mut client = Frames::connect(server.grpc, &[0, 4, 0, 0, 0, 0]).await;
    // audiences: all
    let message = [&[0, 0, 0, 0, 5, 18, 3][..], b"all"].concat();
    for number in 0..100 {
        client.send(&frame(HEADERS, END_HEADERS, id(number), &block)).await;
        client.send(&frame(DATA, END_STREAM, id(number), &message)).await;
    }
    let mut answers = 0;
    while let Some(frame) = client.next().await {
        answers += u32::from(frame.kind == HEADERS);
        assert_ne!(frame.kind, DATA, "no room was made for it");
    }
    assert_eq!(answers, 100, "each call was served");
    server.root.token().await;
}

#[tokio::test]
async fn a_message_that_never_ends_meets_the_deadline() {
    let server = TestServer::with(impatient).await;
    let mut client = Frames::connect(server.grpc, &[]).await;
    client.send(&frame(HEADERS, END_HEADERS, 1, &call(ISSUE, &authorization(&server)))).await;
    // Five bytes of a message of a thousand.
    client.send(&frame(DATA, 0, 1, &[0, 0, 0, 3, 232, 18])).await;
    let answer = loop {
        let frame = client.next().await.unwrap();
        if frame.kind == HEADERS {
            break frame;
        }
    };
    assert_eq!((answer.stream, answer.flags & END_STREAM), (1, END_STREAM), "headers alone: a refusal");
    assert_eq!(client.end().await.iter().filter(|code| **code == CALM).count(), 0);
}
