//! TLS: versions 1.3 and 1.2, X25519MLKEM768 preferred; certificate, key and client authority replaced while serving.

mod configs;
mod files;
mod keeper;
mod peer;
mod validity;

pub use files::{ClientAuth, TlsError, TlsFiles};
pub use keeper::{TlsKeeper, TlsUse};
pub(super) use peer::peer_certificate;
