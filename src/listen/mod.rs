//! From listeners to connections: the accept loop, TLS, and the bounds on what a stranger can open.
//!
//! May import: nothing of ours. Invariant: a stranger can cost a bounded number of connections, each a bounded time until
//! it has proved that it speaks the protocol.

mod accept;
mod protocol;
mod stream;
mod tls;

pub use accept::{Acceptor, Connections};
pub use protocol::{Grpc, GrpcLimits, Http, Protocol};
pub use tls::{TlsError, acceptor as tls_acceptor};
