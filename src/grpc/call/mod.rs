//! One call: who calls which method, and what it leaves in the audit log, the log and the metrics.
//!
//! The context is passed by reference to each step. Work that continues after the caller has disconnected owns it.

mod context;
mod event;
mod notes;
mod record;

pub(super) use context::{CallContext, OpenCall};
pub(super) use record::Notes;
