//! Listeners and connections: the accept loop, TLS, HTTP/2 and HTTP/1.1, and the limits of what a client may open.
//!
//! May import: `model`, `random`, `clock`, `files`, `metrics`. Invariant: an unauthenticated client costs a bounded number of
//! connections, each with bounded time and memory, and takes none of that from other clients.

mod accept;
mod activity;
mod connection_limits;
mod descriptors;
mod executor;
mod grpc;
mod http;
mod instrument;
mod listener;
mod memory;
mod metrics;
mod resets;
mod stream;
mod tls;
mod unix_socket;

pub use accept::{Acceptor, Protocol};
pub use connection_limits::ConnectionLimits;
pub use descriptors::{Connections, divide_descriptors};
pub use grpc::{Grpc, GrpcLimits, Lifetime};
pub use http::Http;
pub use listener::Listener;
pub use memory::{CallMemory, CallMemoryLimits, Reservation, SourceMemory};
pub use metrics::ListenMetrics;
pub use tls::{ClientAuth, PortTls, TlsError, TlsFiles, TlsReloader};
pub use unix_socket::{MAX_SOCKET_PATH, UnixSocket, UnixSocketError, UnixSocketSettings, is_socket_path};
