//! Settings: one table, four sources, one typed result.
//!
//! [`settings()`] names each setting once; its flag, its variable and its key in the file follow from the name.
//! [`Inputs::resolve`] finds the value of each and where it came from, [`Resolved::config`] turns them into a
//! [`Config`] and says everything that is wrong with them at once.
//!
//! May import everything; is imported by `cli` alone. Invariant: the value of a secret is in no text made here.

mod callers;
mod file;
mod inputs;
mod issuer;
mod markdown;
mod nearest;
mod origin;
mod people;
mod problems;
mod reader;
mod resolved;
mod rotation;
mod sealing;
mod secret;
mod sessions;
mod settings;
mod table;
mod trace;
mod transport;
mod trusted_issuers;
mod typed;
mod variables;

pub use inputs::Inputs;
pub use markdown::markdown_table;
pub(crate) use nearest::nearest;
pub use origin::Origin;
pub use problems::Problems;
pub use resolved::{Resolved, Shown};
pub(crate) use rotation::audience_rules;
pub use secret::{Secret, SharedSecret};
pub use table::{Kind, Setting, settings};
pub use trace::TraceConfig;
pub use transport::{ConnectionSettings, Transport};
pub use typed::{Config, Metrics};
