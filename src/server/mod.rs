//! The composition root: opens the store, loads the keys, builds the services, and runs them on given listeners until a
//! given shutdown.
//!
//! May import everything below. Invariant: nothing is served before everything that can be wrong has been checked.

mod compose;
mod follow;
mod gauges;
mod run;
mod settings;

pub use compose::{Rounds, Server, StartError};
pub use run::{Listeners, RunError};
pub use settings::{CallerSources, PeopleSettings, Serving, Settings};
