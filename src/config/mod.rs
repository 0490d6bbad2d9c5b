//! Settings: one table, four sources, one typed result.
//!
//! [`settings()`] names each setting once; its flag, its variable and its key in the file follow from the name.
//! [`Inputs::resolve`] finds the value of each setting and its source, [`Resolved::config`] turns the values into a [`Config`] and
//! reports all problems at once.
//!
//! May import everything; is imported by `cli` alone. Invariant: no text made here contains a secret.

mod file;
mod inputs;
mod keys;
mod problems;
mod reader;
mod resolved;
mod secret;
mod services;
mod setting;
mod table;
mod trusted_issuers;
mod typed;
mod urls;

pub use inputs::Inputs;
pub(crate) use keys::audience_rules;
pub use problems::Problems;
pub(crate) use problems::nearest;
pub use resolved::{Origin, Resolved, Shown};
pub use secret::Secret;
pub use setting::{Kind, Setting};
pub use table::{markdown_table, settings};
pub use typed::{Config, Metrics};
