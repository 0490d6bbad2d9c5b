//! From listeners to connections: the accept loop, TLS, and the bounds on what a stranger can open.
//!
//! May import: `model`, `random`, `clock`, `files`. Invariant: a stranger can cost a bounded number of connections, each a bounded time and
//! memory, and none of that is taken from other callers.

mod accept;
mod activity;
mod admission;
mod calls;
mod counted;
mod descriptors;
mod grpc;
mod http;
mod memory;
mod metrics;
mod stop;
mod stream;
mod tls;

pub use accept::{Acceptor, Connections, Protocol};
pub use admission::ConnectionCaps;
pub use descriptors::share as share_descriptors;
pub use grpc::{Grpc, GrpcLimits, Lifetime};
pub use http::Http;
pub use memory::{CallMemory, CallMemoryCaps};
pub use metrics::ListenMetrics;
pub use tls::{ClientAuth, TlsError, TlsFiles, TlsKeeper, TlsUse};
