//! Spans of the calls that are traced, and where they stand in somebody else's trace.
//!
//! Imports nothing of the house. Invariant: whether a call is traced is decided before any span is made, and a call that is
//! not costs a look at its headers and one atomic.

mod call;
mod parent;
mod sampling;

pub use call::{CallSpan, Spans, Step, inject, step};
pub use sampling::Sampling;
