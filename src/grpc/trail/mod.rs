//! What a call leaves behind: each step notes in one line what it did, and the edge makes of it the call's event in the audit
//! log and its counts. A call that notes nothing still leaves its caller, its method and its outcome.
//!
//! The trail goes with the call's own task: outside of a call (in a task of its own, such as a watch) notes go nowhere.

mod aside;
mod event;
mod notes;
mod rules;
mod scope;

pub(super) use aside::{Aside, Notes};
pub(super) use notes::{
    admit, allowed, asked, asked_to_exchange, asked_to_revoke, cause, change_lane, client, ended_sessions,
    item_refused, key, knows_its_caller, leave_lane, noted, refused, repeated, revoked, session, subject,
    token, user,
};
pub(super) use scope::Call;
