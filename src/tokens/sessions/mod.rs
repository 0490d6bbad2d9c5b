//! Sessions: refresh tokens that are good once.
//!
//! A session is one row. `token.rs` is what a refresh token is; `decide.rs` what becomes of one, as a function without
//! effects; `begin.rs` and `refresh.rs` do it.

mod begin;
mod decide;
mod error;
mod keeper;
mod policy;
mod refresh;
mod successor;
mod token;

pub(crate) use begin::{BegunSession, FreshRefreshToken};
pub(crate) use error::SessionError;
pub use keeper::Sessions;
pub use policy::SessionPolicy;
pub(crate) use refresh::{RefreshedSession, Step};
pub(super) use token::RefreshToken;
