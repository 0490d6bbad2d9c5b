//! Spans of traced calls, within the caller's trace.
//!
//! May import: `model`. Invariant: sampling is decided before any span is made; a call that is not traced costs one look-up in its
//! headers and one atomic operation.

mod call;
mod sampling;
mod trace_context;

pub use call::{CallSpan, Spans, StepSpan, inject, step};
pub use sampling::Sampling;
