//! The response time of a failed login does not tell whether the user exists.

use std::time::{Duration, Instant};

use tokend::{access::HashCost, proto::v1};

use crate::{
    harness::{TestServer, accepted, refused},
    login::{PASSWORD, alice, log_in, with_alice},
    users::{create, update, user},
};

/// How many times each kind is tried. The kinds take turns, so that whatever else the machine does strikes all alike.
const ROUNDS: usize = 25;

/// The middle of the ratios of neighbours must be this close to 1. Without the work for a user that does not exist it is about
/// 0.05, and a noisy machine does not move the middle that far.
const CLOSE: std::ops::Range<f64> = 0.8..1.25;

/// The same where the work is done in two parts, one of which may fit in a processor's cache and the other not: where others fill
/// the caches meanwhile, that is up to a third. Without the other part the middles are at 0.6, 0.4 and 0.3.
const CLOSE_IN_PARTS: std::ops::Range<f64> = 0.55..1.8;

/// An argon2i hash of little work, by argon2-cffi.
const CHEAP: &str =
    "$argon2i$v=19$m=4096,t=3,p=1$U158oMrhD0hFP6Wkj9Zx+Q$MAw4oFRCO4F5oM6RrBtkmVyKaobZfwejKJ6qHlJ6zug";

/// A machine may be so busy that a whole series says nothing; a leak shows in each.
const SERIES: usize = 4;

async fn time(server: &TestServer, request: v1::LoginRequest) -> Duration {
    let start = Instant::now();
    let status = refused(log_in(&server.root, request).await);
    let taken = start.elapsed();
    assert_eq!(crate::harness::reason(&status), "LOGIN_FAILED");
    taken
}

fn middle(mut ratios: Vec<f64>) -> f64 {
    ratios.sort_by(f64::total_cmp);
    ratios[ratios.len() / 2]
}

/// A kind of refused login: what it is called, and the name and the password to try in a round.
type Kind<'a> = (&'a str, &'a dyn Fn(usize) -> (String, &'static str));

/// Checks that the refusals of these kinds take as long as those of the first.
async fn ratios<const N: usize>(server: &TestServer, close: std::ops::Range<f64>, kinds: [Kind<'_>; N]) {
    let mut seen = Vec::new();
    for _ in 0..SERIES {
        let mut taken = vec![Vec::new(); N];
        for round in 0..ROUNDS {
            let mut first = None;
            for ((_, kind), taken) in kinds.iter().zip(&mut taken) {
                let (username, password) = kind(round);
                let request = v1::LoginRequest { username, scopes: vec![], ..alice(password) };
                let time = time(server, request).await.as_secs_f64();
                taken.push(time / *first.get_or_insert(time));
            }
        }
        let middles: Vec<_> =
            kinds.iter().map(|(name, _)| *name).zip(taken.into_iter().map(middle)).collect();
        if middles.iter().all(|(_, ratio)| close.contains(ratio)) {
            return;
        }
        seen.push(middles);
    }
    panic!("times of refused logins, as multiples of the first: {seen:.3?}");
}

/// What hashing costs in production.
const COST: HashCost = HashCost { memory: 19 * 1024, passes: 2 };

const WRONG: &str = "wrong horse battery";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unknown_wrong_and_disabled_take_the_same_time() {
    let server = TestServer::with(|settings| settings.people.hashing.cost = COST).await;
    with_alice(&server).await;
    let gone = accepted(create(&server.root, user("gone"), PASSWORD).await);
    accepted(update(&server.root, v1::User { disabled: true, ..gone }, &["disabled"]).await);
    let kinds: [Kind<'_>; 3] = [
        ("wrong password", &|_| ("alice".to_owned(), WRONG)),
        ("unknown", &|round| (format!("mallory-{round}"), PASSWORD)),
        ("disabled", &|_| ("gone".to_owned(), PASSWORD)),
    ];
    ratios(&server, CLOSE, kinds).await;
}

/// Of users whose hash is a cheaper one, because the settings rose or because it is from elsewhere.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hash_that_is_to_be_made_anew_takes_the_same_time() {
    let store = tokend::store::open(&tokend::store::Location::Memory).await.unwrap();
    let at_cost = |cost| {
        let mut settings = crate::harness::settings();
        settings.people.hashing.cost = cost;
        TestServer::on(store.clone(), settings, crate::harness::manual_clock())
    };
    let before = at_cost(HashCost { passes: 1, ..COST }).await;
    with_alice(&before).await;
    let gone = accepted(create(&before.root, user("gone"), PASSWORD).await);
    accepted(update(&before.root, v1::User { disabled: true, ..gone }, &["disabled"]).await);
    let small = at_cost(HashCost { memory: 8 * 1024, ..COST }).await;
    accepted(create(&small.root, user("small"), PASSWORD).await);
    let imported = v1::CreateUserRequest {
        user: Some(user("imported")),
        password_hash: CHEAP.to_owned(),
        ..Default::default()
    };
    accepted(before.root.users().create_user(before.root.request(imported)).await);

    let server = at_cost(COST).await;
    let kinds: [Kind<'_>; 5] = [
        ("unknown", &|round| (format!("mallory-{round}"), PASSWORD)),
        ("fewer passes", &|_| ("alice".to_owned(), WRONG)),
        ("fewer passes, disabled", &|_| ("gone".to_owned(), PASSWORD)),
        ("less memory", &|_| ("small".to_owned(), WRONG)),
        ("imported", &|_| ("imported".to_owned(), WRONG)),
    ];
    ratios(&server, CLOSE_IN_PARTS, kinds).await;
}
