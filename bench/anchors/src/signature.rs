//! Measures the bare ES256 signature and verification.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, ParsedPublicKey},
};

/// The length of the signing input of a typical token.
const MESSAGE: [u8; 400] = [7; 400];

/// Prints the microseconds of one signature and one verification, with parsed keys.
pub fn print(time: Duration) -> crate::Result<()> {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?;
    let random = SystemRandom::new();
    let public = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, pair.public_key().as_ref())?;
    let signature = pair.sign(&random, &MESSAGE)?;
    let sign = measure(time, || pair.sign(&random, black_box(&MESSAGE)).is_ok());
    let verify = measure(time, || public.verify_sig(black_box(&MESSAGE), signature.as_ref()).is_ok());
    println!("{sign:.2} {verify:.2}");
    Ok(())
}

/// Returns the median of many short runs, in microseconds per call.
fn measure(time: Duration, mut call: impl FnMut() -> bool) -> f64 {
    const CALLS: u32 = 100;
    let (began, mut runs) = (Instant::now(), Vec::new());
    while began.elapsed() < time / 2 {
        let run = Instant::now();
        assert!((0..CALLS).all(|_| call()), "the signature is good");
        runs.push(run.elapsed().as_secs_f64() * 1e6 / f64::from(CALLS));
    }
    runs.sort_by(f64::total_cmp);
    runs[runs.len() / 2]
}
