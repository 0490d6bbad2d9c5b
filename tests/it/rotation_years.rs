//! Years of rotation: several replicas with clocks that differ by up to a minute, that lag, restart, and are told to
//! rotate, to make and to revoke keys at any time. Whatever happens, no good token is refused, none outlives its key's
//! revocation, and every key that signs had been published for long enough.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, TestCaseError, TestRunner},
};
use serde_json::Value;
use tokend::{
    model::{Algorithm, KeyState},
    proto::v1,
    store::{self, Location, Store},
};
use tokio::runtime::Handle;

use crate::{
    counting_store::CountingStore,
    harness::{ManualClock, START, TestServer, accepted, clock_at, for_alice, reason, seconds, settings},
};

const DAY: i64 = 86_400;
/// How far behind a replica may be, as the documentation states it: `refresh_interval` at the most.
const BOUND: i64 = 60;
const PUBLISH_AHEAD: i64 = DAY;
const MAX_TTL: i64 = DAY;
/// How long the tokens of a key may live after it was to retire: the longest life, the largest leeway, and an hour.
const WINDOW: i64 = DAY + 60 + 3600;

/// Something that happens. `replica` counts around.
#[derive(Debug, Clone)]
enum Event {
    /// Time passes, and then the replicas in `follow` make their rounds, in this order.
    Pass {
        seconds: i64,
        follow: Vec<usize>,
    },
    /// Time passes to the very second at which, by this replica's clock, the pending key may sign, or a retired one may
    /// go; it makes its round at once, and issues.
    Until {
        replica: usize,
        gone: bool,
    },
    Issue {
        replica: usize,
        ttl: i64,
    },
    Verify {
        replica: usize,
    },
    Rotate {
        replica: usize,
    },
    Create {
        replica: usize,
    },
    Revoke {
        replica: usize,
        which: usize,
    },
    Restart {
        replica: usize,
    },
}

fn events() -> impl Strategy<Value = Event> {
    let replica = || 0..6_usize;
    let passing = prop_oneof![1..120_i64, 60..7200_i64, 3600..2 * DAY, 3600..2 * DAY];
    prop_oneof![
        30 => (passing, vec(replica(), 0..6)).prop_map(|(seconds, follow)| Event::Pass { seconds, follow }),
        30 => (replica(), prop_oneof![1..600_i64, 1..=MAX_TTL, Just(MAX_TTL)])
            .prop_map(|(replica, ttl)| Event::Issue { replica, ttl }),
        4 => (replica(), any::<bool>()).prop_map(|(replica, gone)| Event::Until { replica, gone }),
        24 => replica().prop_map(|replica| Event::Verify { replica }),
        3 => replica().prop_map(|replica| Event::Rotate { replica }),
        1 => replica().prop_map(|replica| Event::Create { replica }),
        1 => (replica(), any::<usize>()).prop_map(|(replica, which)| Event::Revoke { replica, which }),
        3 => replica().prop_map(|replica| Event::Restart { replica }),
    ]
}

struct Replica {
    server: TestServer,
    clock: Arc<ManualClock>,
    /// When it last looked at the store, in true time.
    followed: i64,
    cache: Cache,
}

/// A verifier that fetches a replica's JWK set, and keeps it for as long as it may.
struct Cache {
    kids: BTreeSet<String>,
    until: i64,
    /// When the replica had last looked at the store.
    followed: i64,
}

struct Token {
    text: String,
    key_id: String,
    expires: i64,
}

/// The world, with what is true in it.
struct World {
    store: Arc<Store>,
    replicas: Vec<Replica>,
    now: i64,
    tokens: Vec<Token>,
    /// When each key was first in the store.
    published: BTreeMap<String, i64>,
    /// Keys that may sign without having been published: the first of all, and heirs of revoked ones.
    excused: BTreeSet<String>,
    revoked: BTreeMap<String, i64>,
}

impl World {
    async fn new(skews: &[i64]) -> Self {
        let store = CountingStore::quiet(&store::open(&Location::Memory).await.unwrap());
        let mut world = Self {
            store,
            replicas: Vec::new(),
            now: START,
            tokens: Vec::new(),
            published: BTreeMap::new(),
            excused: BTreeSet::new(),
            revoked: BTreeMap::new(),
        };
        for skew in skews {
            let clock = clock_at(START + skew);
            let server = TestServer::on(Arc::clone(&world.store), settings(), clock.clone()).await;
            world.replicas.push(Replica {
                server,
                clock,
                followed: START,
                cache: Cache { kids: BTreeSet::new(), until: i64::MIN, followed: START },
            });
        }
        world.look().await;
        let first = world.store.keys().await.unwrap().active(Algorithm::Es256).unwrap().key_id.to_string();
        world.excused.insert(first);
        world
    }

    /// Notes what is new in the store, where of each algorithm there must be one active and one pending key.
    async fn look(&mut self) {
        let set = self.store.keys().await.unwrap();
        let count = |state| set.of(Algorithm::Es256, state).count();
        assert_eq!((count(KeyState::Active), count(KeyState::Pending)), (1, 1), "{set:?}");
        for key in &set.keys {
            self.published.entry(key.key_id.to_string()).or_insert(self.now);
            let ended = matches!(key.state, KeyState::Retired | KeyState::Revoked);
            assert!(!ended || key.sealed.is_none(), "the private half is erased: {key:?}");
        }
    }

    async fn happen(&mut self, event: &Event) -> Result<(), TestCaseError> {
        let count = self.replicas.len();
        match event {
            Event::Pass { seconds, follow } => self.pass(*seconds, follow).await,
            Event::Until { replica, gone } => {
                let replica = replica % count;
                let wait = self.due(*gone).await - self.replicas[replica].clock.seconds();
                if (1..40 * DAY).contains(&wait) {
                    self.pass(wait, &[replica]).await;
                    self.issue(replica, MAX_TTL).await?;
                }
            }
            Event::Issue { replica, ttl } => self.issue(replica % count, *ttl).await?,
            Event::Verify { replica } => self.verify(replica % count).await?,
            Event::Rotate { replica } => {
                let root = &self.replicas[replica % count].server.root;
                let request = root.request(v1::RotateKeysRequest::default());
                // Too many at once is refused, and is no matter here: but then nothing was followed either.
                if root.keys().rotate_keys(request).await.is_ok() {
                    self.replicas[replica % count].followed = self.now;
                }
            }
            Event::Create { replica } => {
                let root = &self.replicas[replica % count].server.root;
                accepted(root.keys().create_key(root.request(v1::CreateKeyRequest::default())).await);
                self.replicas[replica % count].followed = self.now;
            }
            Event::Revoke { replica, which } => self.revoke(replica % count, *which).await,
            Event::Restart { replica } => {
                let replica = &mut self.replicas[replica % count];
                replica.server.begin_stop();
                replica.server.stopped().await;
                let (store, clock) = (Arc::clone(&self.store), replica.clock.clone());
                replica.server = TestServer::on(store, settings(), clock).await;
                replica.followed = self.now;
            }
        }
        self.look().await;
        Ok(())
    }

    /// Time passes, and then these replicas make their rounds.
    async fn pass(&mut self, seconds: i64, follow: &[usize]) {
        self.now += seconds;
        self.replicas.iter().for_each(|replica| replica.clock.advance(seconds));
        for index in follow {
            let count = self.replicas.len();
            let replica = &mut self.replicas[index % count];
            replica.server.rounds.make().await.unwrap();
            replica.followed = self.now;
        }
        self.tokens.retain(|token| token.expires + 7200 > self.now);
    }

    /// When the pending key may sign, or the next retired one may go.
    async fn due(&self, gone: bool) -> i64 {
        let set = self.store.keys().await.unwrap();
        if gone {
            let ends = set.of(Algorithm::Es256, KeyState::Retired).filter_map(|key| key.expire_time);
            return ends.min().map_or(0, |end| end.seconds() + 60 + 120);
        }
        set.pending(Algorithm::Es256).and_then(|key| key.activate_time).unwrap().seconds()
    }

    async fn issue(&mut self, index: usize, ttl: i64) -> Result<(), TestCaseError> {
        self.fetch(index).await;
        let replica = &self.replicas[index];
        let request = v1::IssueTokenRequest { ttl: seconds(ttl), ..for_alice() };
        let issued = match replica.server.root.issue(request).await {
            Ok(issued) => issued,
            // A replica that does not follow has no key that it may use, when its last one's tokens may live no longer.
            Err(status) => {
                prop_assert_eq!(reason(&status), "NO_ACTIVE_KEY");
                prop_assert!(self.now - replica.followed >= WINDOW, "followed {}", replica.followed);
                return Ok(());
            }
        };
        let (key_id, expires) = (issued.key_id, issued.expire_time.unwrap().seconds);
        let lag = self.now - replica.followed;
        if lag <= BOUND && !self.revoked.contains_key(&key_id) {
            prop_assert_eq!(issued.expires_in, seconds(ttl), "a life was cut");
        }
        if !self.excused.contains(&key_id) {
            let age = self.now - self.published[&key_id];
            prop_assert!(age >= PUBLISH_AHEAD, "{} signs {} s after it was published", key_id, age);
            for other in 0..self.replicas.len() {
                self.fetch(other).await;
                let cache = &self.replicas[other].cache;
                let cannot_know = cache.followed <= self.published[&key_id];
                prop_assert!(
                    cannot_know || cache.kids.contains(&key_id) || self.revoked.contains_key(&key_id),
                    "{} is not in the JWK set that a verifier keeps",
                    key_id
                );
            }
        }
        self.tokens.push(Token { text: issued.access_token, key_id, expires });
        Ok(())
    }

    /// Lets the verifier of a replica's JWK set fetch it, if it may not keep its own any longer.
    async fn fetch(&mut self, index: usize) {
        let now = self.now;
        let replica = &mut self.replicas[index];
        if now < replica.cache.until {
            return;
        }
        let (_, headers, body) = replica.server.get("/.well-known/jwks.json").await;
        let age = headers.split("max-age=").nth(1).unwrap().split("\r\n").next().unwrap();
        let set: Value = serde_json::from_str(&body).unwrap();
        let kids = set["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned());
        let until = now + age.parse::<i64>().unwrap();
        replica.cache = Cache { kids: kids.collect(), until, followed: replica.followed };
    }

    /// Every token that may still live, at one replica.
    async fn verify(&mut self, index: usize) -> Result<(), TestCaseError> {
        let replica = &self.replicas[index];
        let clock = replica.clock.seconds();
        for token in self.tokens.iter().rev().take(12) {
            let answer = replica
                .server
                .root
                .verify(v1::VerifyTokenRequest {
                    token: token.text.clone(),
                    audiences: vec!["orders".to_owned()],
                    leeway: seconds(60),
                    ..Default::default()
                })
                .await;
            let refused = answer.as_ref().err().map(reason);
            let refused = refused.as_deref();
            match self.revoked.get(&token.key_id) {
                // Revoked here, or elsewhere before this replica last looked.
                Some(revoked) if *revoked < replica.followed => {
                    prop_assert_eq!(refused, Some("TOKEN_REVOKED"));
                }
                Some(_) => {}
                None if clock < token.expires => {
                    let fresh = self.published[&token.key_id] >= replica.followed;
                    prop_assert!(refused.is_none() || fresh, "{:?} for a good token", refused);
                }
                None if clock >= token.expires + 60 => {
                    let gone = matches!(refused, Some("TOKEN_EXPIRED" | "TOKEN_KEY_UNKNOWN"));
                    prop_assert!(gone, "{:?} for an expired token", refused);
                }
                None => prop_assert!(refused.is_none(), "{:?} within the leeway", refused),
            }
        }
        Ok(())
    }

    async fn revoke(&mut self, index: usize, which: usize) {
        let live: Vec<String> = {
            let set = self.store.keys().await.unwrap();
            let live = set.keys.iter().filter(|key| key.state != KeyState::Revoked);
            live.map(|key| key.key_id.to_string()).collect()
        };
        let key_id = live[which % live.len()].clone();
        let root = &self.replicas[index].server.root;
        let request =
            v1::RevokeKeyRequest { key_id: key_id.clone(), reason: "drill".to_owned(), ..Default::default() };
        accepted(root.keys().revoke_key(root.request(request)).await);
        self.replicas[index].followed = self.now;
        self.revoked.insert(key_id, self.now);
        let heir = self.store.keys().await.unwrap().active(Algorithm::Es256).unwrap().key_id.to_string();
        self.excused.insert(heir);
    }
}

async fn live(skews: &[i64], events: &[Event]) -> Result<(), TestCaseError> {
    let mut world = World::new(skews).await;
    for event in events {
        world.happen(event).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_good_token_is_refused_through_years_of_rotation() {
    tokio::task::block_in_place(|| {
        let cases =
            std::env::var("TOKEND_YEARS_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(6);
        let config = Config { cases, max_shrink_iters: 16, failure_persistence: None, ..Config::default() };
        let result = TestRunner::new(config)
            .run(&(vec(-30..=30_i64, 2..5), vec(events(), 900..1000)), |(skews, events)| {
                Handle::current().block_on(live(&skews, &events))
            });
        if let Err(failure) = result {
            panic!("{failure}");
        }
    });
}
