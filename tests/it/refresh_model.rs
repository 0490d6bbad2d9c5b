//! The machine of sessions against a plain model: sessions are begun, refreshed with tokens of all kinds, revoked and left to
//! time, at two replicas that restart. After each step, what was answered and what is good must be what the model says.

use std::{sync::Arc, time::Duration};

use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, TestCaseError, TestRunner},
};
use tokend::store::Store;
use tokio::runtime::Handle;

use crate::{
    harness::{ManualClock, manual_clock},
    refresh_machine::{Machine, Model, Outcome},
    store_backends::{memory, postgres},
};

/// Something that happens. Numbers count around what there is.
#[derive(Debug, Clone)]
pub enum Step {
    /// A client begins a session: about `alice`, or by logging in `u-alice`.
    Begin { client: usize, login: bool },
    /// A client uses a refresh token.
    Use { session: usize, token: Token, by: Option<usize>, request: Option<Named>, replica: usize },
    /// Time passes.
    Pass { seconds: i64 },
    /// Something is revoked.
    Revoke { target: Revoked, replica: usize },
    /// The user is disabled, or enabled.
    Disable { disabled: bool },
    /// A replica is stopped, and another takes its place.
    Restart { replica: usize },
}

/// Which token of a session, from its last one back.
#[derive(Debug, Clone, Copy)]
pub enum Token {
    Back(usize),
    /// A forged token with the session's id.
    MadeUp,
}

/// A request that has a name, and asks for the scope `read` alone or for all that there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Named {
    pub number: u32,
    pub narrow: bool,
}

#[derive(Debug, Clone, Copy)]
pub enum Revoked {
    Session(usize),
    Subject(bool),
    Client(usize),
}

pub const WINDOW: i64 = 5;
pub const IDLE: i64 = 1_000;
pub const LONGEST: i64 = 2_500;

fn steps() -> impl Strategy<Value = Step> {
    let token = prop_oneof![
        8 => Just(Token::Back(0)),
        5 => Just(Token::Back(1)),
        2 => (2..5_usize).prop_map(Token::Back),
        1 => Just(Token::MadeUp),
    ];
    let by = prop_oneof![9 => Just(None), 1 => (0..2_usize).prop_map(Some)];
    let named = (0..3_u32, any::<bool>()).prop_map(|(number, narrow)| Named { number, narrow });
    let used = (0..8_usize, token, by, prop::option::of(named), 0..2_usize);
    let target = prop_oneof![
        3 => (0..8_usize).prop_map(Revoked::Session),
        1 => any::<bool>().prop_map(Revoked::Subject),
        1 => (0..2_usize).prop_map(Revoked::Client),
    ];
    let seconds = prop_oneof![
        4 => 1..4_i64,
        4 => prop::sample::select(vec![WINDOW, WINDOW + 1, 599, 600, 601]),
        1 => prop::sample::select(vec![IDLE - 1, IDLE]),
    ];
    prop_oneof![
        6 => (0..2_usize, any::<bool>()).prop_map(|(client, login)| Step::Begin { client, login }),
        24 => used.prop_map(|(session, token, by, request, replica)| {
            Step::Use { session, token, by, request, replica }
        }),
        8 => seconds.prop_map(|seconds| Step::Pass { seconds }),
        2 => (target, 0..2_usize).prop_map(|(target, replica)| Step::Revoke { target, replica }),
        1 => any::<bool>().prop_map(|disabled| Step::Disable { disabled }),
        1 => (0..2_usize).prop_map(|replica| Step::Restart { replica }),
    ]
}

/// How often the machine is driven, unless `TOKEND_SESSION_CASES` says otherwise.
fn cases(usual: u32) -> u32 {
    std::env::var("TOKEND_SESSION_CASES").map_or(usual, |text| text.parse().unwrap())
}

async fn check(store: &Arc<Store>, clock: &Arc<ManualClock>, steps: &[Step]) -> Result<(), TestCaseError> {
    let mut machine = Machine::start(store, clock).await;
    let mut model = Model::default();
    for (number, step) in steps.iter().enumerate() {
        let (did, should) = (machine.take(step).await, model.take(step));
        prop_assert_eq!(&did, &should, "{:?}", step);
        let (listed, should_be) = (machine.listed().await, model.listed());
        prop_assert_eq!(listed, should_be, "sessions after {:?}", step);
        // Where something was revoked, and at the end.
        let revoked = matches!(step, Step::Revoke { .. }) || matches!(did, Outcome::Refused(_));
        if revoked || number + 1 == steps.len() {
            let (good, should_be) = (machine.good_tokens().await, model.good_tokens());
            prop_assert_eq!(good, should_be, "access tokens after {:?}", step);
        }
    }
    Ok(())
}

fn drive(store: &Arc<Store>, usual: u32) {
    let clock = manual_clock();
    let config = Config { cases: cases(usual), failure_persistence: None, ..Config::default() };
    tokio::task::block_in_place(|| {
        let runs = vec(steps(), 1..60);
        let result = TestRunner::new(config)
            .run(&runs, |steps| Handle::current().block_on(check(store, &clock, &steps)));
        if let Err(failure) = result {
            panic!("{failure}");
        }
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_do_what_the_model_does() {
    let backend = memory().await.unwrap();
    drive(&backend.store, 60);
    backend.store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_do_what_the_model_does_on_postgres() {
    let Some(backend) = postgres().await else { return };
    drive(&backend.store, 20);
    backend.store.close().await;
}

/// The windows as the server has them.
pub const fn window() -> Duration {
    Duration::from_secs(WINDOW.unsigned_abs())
}
