//! What the process tells of itself: logs on stderr, and traces for a collector.
//!
//! May import: `model`, `random`, `spans`. Invariants: no token and no secret leaves by either, whatever the settings say, and neither
//! holds anything up.

mod exporter;
mod log_queue;
mod logs;
mod traces;

pub use logs::{
    LogError, LogFilter, LogFormat, Logs, UnknownLogFormat, flush_logs, init_logs, register_log_metrics,
};
pub use traces::{TraceError, TraceSettings, Traces};
