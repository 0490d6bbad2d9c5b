//! The audit log: one record for each audited call and each rotation of a key.
//!
//! May import: `database`, `model`, `clock`, `random`, `spans`. Invariant: every text of a caller passes through [`Text`], so that no
//! record contains a credential, and each is bounded.

mod event;
mod file;
mod log;
mod postgres;
mod record;
mod settings;
mod sink;
mod text;
mod writer;

pub use event::{Event, Items, Outcome, PlannedChange, Policy, Target};
pub use log::{AuditLog, AuditUnavailable};
pub use settings::{AuditMode, AuditSettings, SinkSettings, UnknownAuditMode};
pub use sink::AuditOpenError;
pub use text::Text;
