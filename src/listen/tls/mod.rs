//! TLS 1.3 and 1.2, with X25519MLKEM768 preferred. Certificate, key and client CA are reloaded together while serving.

mod certificate;
mod config;
mod files;
mod reload;

pub(super) use certificate::peer_certificate;
pub use files::{ClientAuth, TlsError, TlsFiles};
pub use reload::{PortTls, TlsReloader};
