//! Requests that never become a call leave a trace, and metadata over the limit has an answer.

use tonic::Code;

use crate::{
    admission::metric,
    frames::{END_HEADERS, Frames, HEADERS, call, frame},
    harness::{TestServer, accepted, assert_refused, for_alice},
};

const RST_STREAM: u8 = 3;

async fn resets(server: &TestServer, reason: &str) -> Option<u64> {
    metric(server, &format!(r#"tokend_requests_reset_total{{reason="{reason}"}}"#)).await
}

#[tokio::test]
async fn malformed_requests_are_counted() {
    let server = TestServer::start().await;
    assert_eq!(resets(&server, "malformed").await, Some(0));
    let good = call("/tokend.v1.TokenService/IssueToken", "Bearer x");
    // The same header list, with an authority that is none, and with a path that is none.
    let replace = |from: &str, to: &str| {
        let text = good.windows(from.len()).position(|window| window == from.as_bytes()).unwrap();
        let mut block = good.clone();
        block[text..text + from.len()].copy_from_slice(to.as_bytes());
        block
    };
    for (number, block) in
        [replace("test", "t<>t"), replace("test", "a b/"), replace("/tokend.v1", "\"tokend v1")]
            .iter()
            .enumerate()
    {
        let mut client = Frames::connect(server.grpc, &[]).await;
        client.send(&frame(HEADERS, END_HEADERS, 1, block)).await;
        let reset = loop {
            let frame = client.next().await.expect("a reset");
            if frame.kind == RST_STREAM {
                break frame;
            }
        };
        assert_eq!((reset.stream, reset.payload.as_slice()), (1, &[0, 0, 0, 1][..]), "{number}");
        assert_eq!(resets(&server, "malformed").await, u64::try_from(number + 1).ok());
    }
    assert_eq!(resets(&server, "too_many_streams").await, Some(0));
    // A call that is well-formed counts nothing.
    accepted(server.root.issue(for_alice()).await);
    assert_eq!(resets(&server, "malformed").await, Some(3));
}

#[tokio::test]
async fn metadata_over_the_limit_is_answered_with_a_reason() {
    let server = TestServer::start().await;
    // The limit is 16 KiB: some headers of the client and of the credential come on top.
    for (length, is_refused) in [(15_000, false), (17_000, true), (30_000, true)] {
        let mut request = server.root.request(for_alice());
        request.metadata_mut().insert("x-long", "x".repeat(length).parse().unwrap());
        let answer = server.root.tokens().issue_token(request).await;
        if is_refused {
            let text = answer.as_ref().err().unwrap().message().to_owned();
            assert!(text.contains("max_header_bytes, which is 16384"), "{text}");
            assert_refused(answer, Code::ResourceExhausted, "REQUEST_TOO_LARGE");
        } else {
            accepted(answer);
        }
    }
}
