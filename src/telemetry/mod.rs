//! What the process tells of itself: logs on stderr, and traces for a collector.
//!
//! May import: `model`, `random`, `spans`. Invariant: no token and no secret leaves by either, whatever the settings say.

mod exporter;
mod logs;
mod traces;

pub use logs::{LogError, LogFilter, LogFormat, UnknownLogFormat, init_logs};
pub use traces::{TraceError, TraceSettings, Traces};
