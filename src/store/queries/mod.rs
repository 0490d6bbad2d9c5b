//! The actions of [`Store`], by aggregate: each file has the SQL of its tables, and reads their rows.
//!
//! Invariant: guards stand in the `WHERE` of the statement that writes. A transaction that counts a change counts it first, and so
//! takes the lock on the change sequence: changes wait for each other in one order, and commit in the order of their numbers.

mod assertions;
mod changes;
mod clients;
mod clock;
mod keys;
mod replicas;
mod revocations;
mod sealing_keys;
mod sessions;
mod sweep;
mod users;

use super::{
    Action, Store, StoreError,
    sql::{Row, Sql, Transaction, Value, locking, values},
};
