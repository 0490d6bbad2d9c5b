//! The rate limit of a client, in every order in which calls can come.

#![cfg(loom)]

#[path = "../../src/admission/rate.rs"]
#[allow(dead_code, reason = "the file of the server, of which the models use a part")]
mod rate;

#[cfg(test)]
mod tests {
    use std::{num::NonZeroU32, time::Duration};

    use loom::{sync::Arc, thread};

    use super::rate::{Rate, TokenBucket};

    /// Three concurrent calls at a limit of two a second: in every order two pass, and the third gets the retry delay after which it
    /// passes.
    #[test]
    fn of_calls_at_once_no_more_pass_than_are_allowed() {
        loom::model(|| {
            let (bucket, two) =
                (Arc::new(TokenBucket::default()), Rate::per_second(NonZeroU32::new(2).unwrap()));
            let now = Duration::from_secs(5);
            let call = move |bucket: &TokenBucket| bucket.take(now, two);
            let others: Vec<_> = (0..2)
                .map(|_| {
                    let bucket = Arc::clone(&bucket);
                    thread::spawn(move || call(&bucket))
                })
                .collect();
            let mut answers = vec![call(&bucket)];
            answers.extend(others.into_iter().map(|call| call.join().unwrap()));
            let waits: Vec<Duration> = answers.iter().filter_map(|answer| answer.err()).collect();
            assert_eq!(waits, [Duration::from_millis(500)], "two pass, and one waits");
            assert!(bucket.take(now + waits[0], two).is_ok(), "what is promised is kept");
        });
    }
}
