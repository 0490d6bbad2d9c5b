//! How much is taken on at once: of each client, and of each kind of call.

mod lanes;
mod limits;
mod metrics;
mod rate;
mod traffic;

pub(super) use lanes::{LaneName, Place};
pub use limits::{Admission, AdmissionLimits};
pub(super) use limits::{Admitted, Busy};
pub use metrics::AdmissionMetrics;
pub(super) use traffic::{ClientTraffic, ResultClass};
