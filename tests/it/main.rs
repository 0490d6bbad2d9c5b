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

mod postgres;
mod store_backends;
mod store_concurrency;
mod store_conformance;
mod store_location;
mod store_metrics;
mod store_model;
mod store_opening;
mod store_opening_postgres;
