//! Admission: how many calls each client may make, and how many calls of each class may run at once.
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
pub use metrics::AdmissionMetrics;
pub(crate) use traffic::{ClientTraffic, ResultClass};
