//! Admission: rate and concurrency limits of each client, and a concurrency limit of each class of calls.
//!
//! Imports the model and the clock. Invariant: a `Permit` is the only proof of admission, and dropping it frees all that it holds.

mod admit;
mod concurrency;
mod metrics;
mod rate;
mod traffic;

pub use admit::{Admission, AdmissionLimits};
pub(crate) use admit::{Overloaded, Permit};
pub(crate) use concurrency::CallClass;
pub(crate) use rate::{Rate, TokenBucket};
pub(crate) use traffic::{ClientTraffic, ResultClass};
