//! `tokend.v1.TrustBundleService`: the one service that asks for no credential.

mod feed;
mod line;
mod service;
mod watch;

pub(super) use service::TrustApi;
pub use service::WatchLimits;
