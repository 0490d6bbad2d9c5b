//! The context of a call: method, caller, trace, log span, and the notes for its audit event.
//!
//! Each step takes the context by reference. Work that continues after the caller has disconnected owns it.

mod context;
mod event;
mod notes;
mod record;

pub(super) use context::{CallContext, OpenCall};
pub(super) use record::Notes;
