//! Sessions: refresh tokens that are good once.

mod keeper;
mod policy;

pub use keeper::Sessions;
pub use policy::SessionPolicy;
