//! The server: opens the store, loads the state, builds the services, and runs them on bound ports until the shutdown.
//!
//! May import everything below. Invariant: everything that can be wrong is checked before anything is served.

mod error;
mod follow;
mod gauges;
mod open;
mod run;
mod settings;
mod state;
mod status;

pub use error::{RunError, StartError};
pub use open::{Rounds, Server};
pub use run::Listeners;
pub use settings::{CallerSources, PeopleSettings, Serving, Settings};
