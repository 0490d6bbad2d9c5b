//! An unknown client and a wrong credential take the same time: measured in turn, compared by their medians.

use std::time::{Duration, Instant};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use tokend::model::{Algorithm, AuthenticationMethod};

use crate::{
    caller_door::{Door, peer},
    caller_tokens::{by, by_assertion, claims, public, signed},
    made_keys::{made, make, with},
};

/// How many of each are measured, in turn, so that whatever else the machine does falls on all alike.
const SAMPLES: usize = 300;
/// By how much medians may differ. Less than a signature check, by far: without one, the ratio is below a half.
const TOLERANCE: f64 = 0.2;
/// A noisy machine spoils a measurement, and makes none that is equal by mistake: the best of some counts.
const ATTEMPTS: usize = 8;

/// The median times that it takes to refuse each.
async fn medians(door: &Door, credentials: &[String]) -> Vec<Duration> {
    let peer = peer("10.0.0.1");
    let mut times = vec![Vec::with_capacity(SAMPLES); credentials.len()];
    for _ in 0..SAMPLES {
        for (credential, times) in credentials.iter().zip(&mut times) {
            let start = Instant::now();
            let answer = door.ask(&peer, Some(credential)).await;
            times.push(start.elapsed());
            assert!(answer.is_err(), "taken");
        }
    }
    times
        .into_iter()
        .map(|mut times| {
            times.sort_unstable();
            times[SAMPLES / 2]
        })
        .collect()
}

/// By how much the slowest differs from the fastest, in the best of some measurements.
async fn difference(door: &Door, credentials: &[String]) -> f64 {
    let mut best = f64::MAX;
    for _ in 0..ATTEMPTS {
        let medians = medians(door, credentials).await;
        let (least, most) = (medians.iter().min().unwrap(), medians.iter().max().unwrap());
        best = best.min(most.as_secs_f64() / least.as_secs_f64() - 1.0);
        if best < TOLERANCE {
            break;
        }
    }
    best
}

async fn door() -> Door {
    let door = Door::bearing(1_000_000).await;
    for algorithm in [Algorithm::Es256, Algorithm::Rs256, Algorithm::EdDsa] {
        let client_id = format!("by-{}", algorithm.name().to_lowercase());
        door.register(&client_id, by_assertion(&[public(made(algorithm), "k")])).await;
    }
    door.register("web", by(&[AuthenticationMethod::ClientSecret])).await;
    door
}

#[tokio::test]
async fn an_unknown_client_and_a_wrong_secret_take_the_same_time() {
    let door = door().await;
    let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
    let secret = "u5Nq0dMCRmKzQpY9rB3xWc7sVt1LhE6gJfA8oTyZiXk";
    for credentials in [
        [format!("Bearer tkd_web_{secret}"), format!("Bearer tkd_nob_{secret}")],
        [basic(&format!("web:tkd_web_{secret}")), basic(&format!("nob:tkd_nob_{secret}"))],
    ] {
        let difference = difference(&door, &credentials).await;
        assert!(difference < TOLERANCE, "they differ by {difference:.2}");
    }
}

#[tokio::test]
async fn an_unknown_client_and_a_wrong_signature_take_the_same_time() {
    let door = door().await;
    for algorithm in [Algorithm::Es256, Algorithm::Rs256, Algorithm::EdDsa] {
        let known = format!("by-{}", algorithm.name().to_lowercase());
        let unknown = known.replace("by-", "no-");
        let other = make(algorithm);
        let of = |client_id: &str, kid: &str| format!("Bearer {}", other.token(kid, &claims(client_id, "a")));
        let credentials = [of(&known, "k"), of(&unknown, "k"), of(&known, "x"), of("web", "k")];
        let difference = difference(&door, &credentials).await;
        assert!(difference < TOLERANCE, "{algorithm}: they differ by {difference:.2}");
    }
}

#[tokio::test]
async fn the_measure_tells_a_signature_check_from_none() {
    let door = door().await;
    let key = made(Algorithm::Es256);
    let checked = format!("Bearer {}", make(Algorithm::Es256).token("k", &claims("by-es256", "a")));
    let payload = with(&claims("by-es256", "a"), "x", "y").to_string();
    let cheap = signed(key, Algorithm::Es256, r#"{"alg":"HS256","kid":"k","typ":"JWT"}"#, &payload);
    // As long, and refused without a signature check: the cost of an unknown client without a dummy key.
    let difference = difference(&door, &[checked, format!("Bearer {cheap}")]).await;
    assert!(difference > 2.0 * TOLERANCE, "a signature check does not show: {difference:.2}");
}
