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

mod admission;
mod algorithms;
mod audit;
mod audit_postgres;
mod bad_store;
mod batch;
mod caller_assertions;
mod caller_certificates;
mod caller_certificates_hop;
mod caller_door;
mod caller_methods;
mod caller_page;
mod caller_replays;
mod caller_timing;
mod caller_tokens;
mod caller_workload_fetches;
mod caller_workloads;
mod callers;
mod cli_clients;
mod cli_config;
mod cli_health;
mod cli_key_calls;
mod cli_keys;
mod cli_servers;
mod cli_token;
mod cli_users;
mod clients;
mod clients_apply;
mod clients_authentication;
mod clients_repeat;
mod clients_update;
mod config;
mod config_sealing;
mod config_trace;
mod counting_store;
mod crash;
mod differential;
mod drain;
mod few_files;
mod floods;
mod forge;
mod frames;
mod harness;
mod hostile;
mod house;
mod import;
mod import_openssl;
mod import_refusals;
mod import_secrets;
mod issue;
mod jwks_stand_in;
mod key_calls;
mod key_service;
mod keys;
mod lifetime;
mod limits;
mod login;
mod login_limits;
mod login_logs;
mod login_timing;
mod logs;
mod made_keys;
mod mtls;
mod openssl;
mod passwords;
mod policy;
mod policy_explain;
mod postgres;
mod process;
mod ready;
mod reasons;
mod reflection;
mod refusals;
mod rotation;
mod rotation_load;
mod rotation_replicas;
mod rotation_years;
mod sealing;
mod serving;
mod store_assertions;
mod store_backends;
mod store_concurrency;
mod store_conformance;
mod store_keys;
mod store_location;
mod store_metrics;
mod store_model;
mod store_opening;
mod store_opening_postgres;
mod store_sealing;
mod store_upgrade;
mod store_users;
mod story;
mod story_callers;
mod test_settings;
mod tls;
mod tls_harness;
mod tls_reload;
mod traces;
mod trust_bundle;
mod users;
mod vault;
mod vault_process;
mod vault_stand_in;
mod vault_story;
