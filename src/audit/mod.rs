//! The audit log: who asked for what, and what they were told.
//!
//! May import: `model`, `clock`, `random`, `spans`. Invariant: every text of a caller's passes through [`Text`], so that no line holds
//! a token or a secret, and none is longer than its bounds.

mod event;
mod file;
mod line;
mod log;
mod metrics;
mod postgres;
mod settings;
mod sink;
mod stdout;
mod text;
mod writer;

pub use event::{Event, Items, Outcome, PlannedChange, Policy, Target};
pub use log::{AuditLog, AuditUnavailable};
pub use metrics::AuditMetrics;
pub use settings::{AuditMode, AuditSettings, SinkSettings, UnknownAuditMode};
pub use sink::AuditOpenError;
pub use text::Text;
