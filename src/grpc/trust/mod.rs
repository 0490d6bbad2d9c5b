//! `tokend.v1.TrustBundleService`: the one service that needs no credential, unless the settings say so.

mod line;
mod service;
mod watch;

pub(super) use service::TrustApi;
pub use service::{TrustPrivacy, WatchLimits};
