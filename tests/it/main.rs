//! The integration tests: one binary, one file a story.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    missing_docs,
    reason = "tests fail by panicking"
)]

mod bad_store;
mod batch;
mod callers;
mod cli_config;
mod cli_health;
mod cli_servers;
mod cli_token;
mod clients;
mod config;
mod counting_store;
mod crash;
mod differential;
mod drain;
mod forge;
mod harness;
mod hostile;
mod house;
mod issue;
mod keys;
mod limits;
mod logs;
mod postgres;
mod process;
mod ready;
mod reasons;
mod reflection;
mod serving;
mod store_backends;
mod store_concurrency;
mod store_conformance;
mod store_location;
mod store_metrics;
mod store_model;
mod store_opening;
mod store_opening_postgres;
mod tls;
