//! The table of settings, a file a group.

mod callers;
mod people;
mod service;
mod sessions;
mod setting;
mod trace;
mod transport;

pub use setting::{Kind, Setting};

const GROUPS: [&[Setting]; 6] = [
    service::SETTINGS,
    transport::SETTINGS,
    callers::SETTINGS,
    people::SETTINGS,
    sessions::SETTINGS,
    trace::SETTINGS,
];

/// Every setting of `tokend serve`, in the order in which help and documentation list them.
///
/// Two names are taken: Kubernetes gives each pod `X_SERVICE_…` and `X_PORT…` variables for a Service named x,
/// so that no setting may be called `port…` or `service_…`.
pub fn settings() -> impl Iterator<Item = &'static Setting> + Clone {
    GROUPS.into_iter().flatten()
}
