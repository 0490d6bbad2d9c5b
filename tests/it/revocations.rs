//! Stories of what is revoked: where it is refused, from when on, and until when.

use std::sync::Arc;

use tokend::{
    model::{Algorithm, ClientId, Revocation, RevocationTarget, UnixTime},
    proto::v1::{self, batch_verify_tokens_result::Result as Item, revoke_token_request::Target},
    store::{self, Location, Store},
};
use tonic::{Code, Status};

use crate::{
    counting_store::CountingStore,
    forge::{Forge, payload},
    harness::{ManualClock, START, TestServer, accepted, assert_refused, manual_clock, settings},
    import::{foreign, payload_of},
    key_calls::import,
    made_keys::{secret_request, token, verify_only},
    revoke_calls::{begin, revoke, subject},
};

/// Two replicas of one store that is told of nothing by itself: each makes its rounds when it is told to.
async fn replicas() -> (TestServer, TestServer, Arc<ManualClock>) {
    let store: Arc<Store> = CountingStore::quiet(&store::open(&Location::Memory).await.unwrap());
    let clock = manual_clock();
    let one = TestServer::on(Arc::clone(&store), settings(), Arc::clone(&clock)).await;
    let other = TestServer::on(store, settings(), Arc::clone(&clock)).await;
    (one, other, clock)
}

const fn at(seconds: i64) -> UnixTime {
    UnixTime::from_seconds(START + seconds)
}

fn assert_revoked<T>(answer: Result<T, Status>) {
    let status = assert_refused(answer, Code::InvalidArgument, "TOKEN_REVOKED");
    assert_eq!(status.message(), "the token was revoked");
}

#[tokio::test]
async fn whatever_is_revoked_is_refused_here_at_once_and_elsewhere_after_a_round() {
    let (here, elsewhere, clock) = replicas().await;
    for case in ["token", "jwt_id", "refresh token", "session", "subject", "client", "everything"] {
        let (begun, other) = (begin(&here.root).await, begin(&here.root).await);
        accepted(elsewhere.root.check(&begun.access_token).await);
        let target = match case {
            "token" => Target::Token(begun.access_token.clone()),
            "jwt_id" => Target::JwtId(begun.jwt_id.clone()),
            "refresh token" => Target::Token(begun.refresh_token.clone()),
            "session" => Target::SessionId(begun.session_id.clone()),
            "subject" => subject("alice", None),
            "client" => Target::ClientId("root".to_owned()),
            _ => Target::JwtId("something else".to_owned()),
        };
        if case == "everything" {
            // What the command line does, at another server or at none.
            let target = RevocationTarget::Everything(UnixTime::from_seconds(clock.seconds() + 1));
            make(&here, target, None).await;
            here.rounds.make().await.unwrap();
        } else {
            accepted(revoke(&here.root, target).await);
        }
        assert_revoked(here.root.check(&begun.access_token).await);
        accepted(elsewhere.root.check(&begun.access_token).await);
        elsewhere.rounds.make().await.unwrap();
        assert_revoked(elsewhere.root.check(&begun.access_token).await);
        let all = ["subject", "client", "everything"].contains(&case);
        assert_eq!(elsewhere.root.check(&other.access_token).await.is_err(), all, "{case}");
        // What is issued later is not revoked.
        clock.advance(2);
        accepted(elsewhere.root.check(&here.root.token().await).await);
    }
}

/// Makes a revocation in the server's store, as another replica would.
async fn make(server: &TestServer, target: RevocationTarget, expire_time: Option<UnixTime>) {
    let revoke_time = UnixTime::from_seconds(server.clock.seconds());
    server.store.revoke(&Revocation { target, revoke_time, expire_time }).await.unwrap();
}

#[tokio::test]
async fn an_instant_parts_what_was_issued_before_it() {
    let (server, _elsewhere, clock) = replicas().await;
    let before = server.root.token().await;
    clock.advance(1);
    let then = server.root.token().await;
    for target in [
        RevocationTarget::Subject("alice".to_owned(), at(1)),
        RevocationTarget::Client(ClientId::parse("root").unwrap(), at(1)),
        RevocationTarget::Everything(at(1)),
    ] {
        let expires = clock.seconds() + 5;
        make(&server, target, Some(UnixTime::from_seconds(expires))).await;
        server.rounds.make().await.unwrap();
        assert_revoked(server.root.check(&before).await);
        accepted(server.root.check(&then).await);
        // Each for itself: it is in force up to its end.
        clock.advance(4);
        assert_revoked(server.root.check(&before).await);
        clock.advance(1);
        accepted(server.root.check(&before).await);
    }
}

#[tokio::test]
async fn a_revocation_is_forgotten_in_memory_and_in_the_store_when_it_has_expired() {
    let (server, _elsewhere, clock) = replicas().await;
    let live = || async {
        let (_, _, metrics) = server.get("/metrics").await;
        let line = metrics.lines().find(|line| line.starts_with("tokend_revocations{target=\"token\"}"));
        line.unwrap().rsplit(' ').next().unwrap().parse::<usize>().unwrap()
    };
    for number in 0..40 {
        make(&server, RevocationTarget::Token(format!("foreign {number}")), Some(at(60))).await;
    }
    make(&server, RevocationTarget::Token("longer".to_owned()), Some(at(7200))).await;
    server.rounds.make().await.unwrap();
    assert_eq!(live().await, 41);
    clock.advance(60);
    // Some parts on each round.
    for _ in 0..32 {
        server.rounds.make().await.unwrap();
    }
    assert_eq!(live().await, 1);
    let left = server.store.revocations(tokend::model::ChangeSequence(0), 100).await.unwrap().records;
    assert_eq!(left.len(), 1, "{left:?}");
}

#[tokio::test]
async fn a_token_that_does_not_say_when_it_was_issued_may_have_been_before() {
    let (server, _elsewhere, _clock) = replicas().await;
    let forge = Forge::of(&server.store).await;
    let mut claims = payload();
    claims.as_object_mut().unwrap().remove("iat");
    let header = forge.header(Algorithm::Es256);
    let timeless = forge.sign(Algorithm::Es256, header, claims.to_string());
    accepted(server.root.check(&timeless).await);
    make(&server, RevocationTarget::Subject("alice".to_owned(), at(-1000)), None).await;
    server.rounds.make().await.unwrap();
    assert_revoked(server.root.check(&timeless).await);
    accepted(server.root.check(&server.root.token().await).await);
}

#[tokio::test]
async fn one_that_was_revoked_spoils_no_other_in_a_batch() {
    let (server, _elsewhere, _clock) = replicas().await;
    let (good, bad) = (server.root.token().await, begin(&server.root).await);
    accepted(revoke(&server.root, Target::JwtId(bad.jwt_id)).await);
    let request = |token: &String| v1::VerifyTokenRequest {
        token: token.clone(),
        audiences: vec!["orders".to_owned()],
        ..Default::default()
    };
    let requests = [&good, &bad.access_token, &good].map(request).to_vec();
    let request = server.root.request(v1::BatchVerifyTokensRequest { requests });
    let results = accepted(server.root.tokens().batch_verify_tokens(request).await).into_inner().results;
    let told: Vec<String> = results
        .into_iter()
        .map(|result| match result.result.unwrap() {
            Item::Verified(verified) => verified.token_claims.unwrap().subject,
            Item::Error(error) => error.message,
        })
        .collect();
    assert_eq!(told, ["alice", "the token was revoked", "alice"]);
}

#[tokio::test]
async fn a_token_of_another_issuer_is_revoked_by_its_id_alone() {
    let (server, _elsewhere, _clock) = replicas().await;
    let key = b"a secret of another issuer, long enough";
    let request = foreign(verify_only(secret_request(key, "HS256")));
    let kid = accepted(import(&server, request).await).key_id;
    let token = |jti: &str| {
        let mut claims = payload_of("https://other.example");
        (claims["jti"], claims["client_id"]) = (jti.into(), "root".into());
        token(Algorithm::Hs256, key, &kid, &claims)
    };
    let (one, other) = (token("order #1 of ü"), token("order #2 of ü"));
    accepted(server.root.check(&one).await);
    // Its subject and client are nobody here.
    for target in [
        RevocationTarget::Subject("alice".to_owned(), at(100)),
        RevocationTarget::Client(ClientId::parse("root").unwrap(), at(100)),
        RevocationTarget::Everything(at(100)),
    ] {
        make(&server, target, None).await;
    }
    accepted(revoke(&server.root, Target::JwtId("order #1 of ü".to_owned())).await);
    server.rounds.make().await.unwrap();
    assert_revoked(server.root.check(&one).await);
    accepted(server.root.check(&other).await);
    assert_revoked(server.root.check(&server.root.token().await).await);
}
