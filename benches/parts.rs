//! The steps of IssueToken and VerifyToken, one by one: `cargo bench`, or `cargo bench -- NAME` for one of them.

#![expect(clippy::expect_used, reason = "a benchmark without its parts cannot run")]

use std::sync::LazyLock;

use bytes::Bytes;
use divan::Bencher;
use tokend::{
    benching::{self, Failure, Scene},
    model::Algorithm,
};

static SCENE: LazyLock<Scene> = LazyLock::new(|| Scene::new().expect("the parts of a server"));

fn main() {
    LazyLock::force(&SCENE);
    divan::main();
}

#[divan::bench(args = Algorithm::ALL)]
fn sign(bencher: Bencher<'_, '_>, algorithm: Algorithm) {
    bencher.bench(benching::signing(algorithm).expect("a key"));
}

#[divan::bench(args = Algorithm::ALL)]
fn verify_signature(bencher: Bencher<'_, '_>, algorithm: Algorithm) {
    bencher.bench(benching::verifying(algorithm).expect("a key"));
}

#[divan::bench]
fn parse() -> bool {
    SCENE.parse()
}

#[divan::bench]
fn decide_issue() -> bool {
    SCENE.decide_issue()
}

#[divan::bench]
fn decide_verify() -> bool {
    SCENE.decide_verify()
}

#[divan::bench]
fn issue() -> Result<String, Failure> {
    SCENE.issue()
}

#[divan::bench]
fn verify_cold() -> bool {
    SCENE.verify_cold()
}

#[divan::bench]
fn verify_warm() -> bool {
    SCENE.verify_warm()
}

#[divan::bench]
fn answer_warm() -> Result<Bytes, Failure> {
    SCENE.answer_warm()
}
