//! Logs on stderr, and traces for a collector.
//!
//! May import: `model`, `random`, `spans`, `metrics`. Invariants: neither logs nor traces hold a token or a
//! secret, whatever the settings, and neither blocks a call.

mod exporter;
mod log_queue;
mod logs;
mod traces;

pub use logs::{
    LogError, LogFilter, LogFormat, Logs, UnknownLogFormat, flush_logs, init_logs, register_log_metrics,
};
pub use traces::{TraceError, TraceSettings, Traces};
