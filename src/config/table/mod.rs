//! The table of settings, a file a group.

mod callers;
mod people;
mod service;
mod sessions;
mod setting;
mod trace;
mod transport;

pub use setting::{Kind, Setting};

/// The groups, each with its heading in docs/configuration.md.
pub(super) const GROUPS: [(&str, &[Setting]); 9] = [
    ("Issuer and store", service::SETTINGS),
    ("Sealing of private keys", service::SEALING),
    ("Signing keys and token lifetime", service::KEYS),
    ("Addresses, verification, shutdown and logs", service::SERVING),
    ("TLS and connections", transport::SETTINGS),
    ("Caller authentication", callers::SETTINGS),
    ("Passwords and login", people::SETTINGS),
    ("Sessions and revocation", sessions::SETTINGS),
    ("Audit log, limits and traces", trace::SETTINGS),
];

/// Every setting of `tokend serve`, in the order in which help and documentation list them.
///
/// Two names are taken: Kubernetes gives each pod `X_SERVICE_…` and `X_PORT…` variables for a Service named x,
/// so that no setting may be called `port…` or `service_…`.
pub fn settings() -> impl Iterator<Item = &'static Setting> + Clone {
    GROUPS.into_iter().flat_map(|(_, settings)| settings)
}
