//! The command line: one file a noun, and what they share.
//!
//! May import everything. Invariant: stdout is data, stderr is talk; the process ends with 0 for done, 1 for refused
//! or failed, 2 for a wrong question. Arguments have no `Debug`: some are tokens and secrets.

mod address;
mod client;
mod client_apply;
mod client_diff;
mod client_export;
mod client_file;
mod client_flags;
mod client_lists;
mod client_plan;
mod client_secrets;
mod client_tls;
mod client_update;
mod client_view;
mod command;
mod completions;
mod config;
mod confirm;
mod connection;
mod dev;
mod dev_banner;
mod exchange;
mod failure;
mod healthcheck;
mod healthcheck_tls;
mod init;
mod init_file;
mod inspect;
mod introspect;
mod json_text;
mod key;
mod key_clock;
mod key_import;
mod key_material;
mod key_reseal;
mod key_view;
mod key_view_trusted;
mod login;
mod output;
mod password_input;
mod policy;
mod policy_flags;
mod policy_question;
mod policy_view;
mod private_file;
mod profile;
mod refresh;
mod refresh_input;
mod remote;
mod revoke;
mod serve;
mod session;
mod session_view;
mod setting_flags;
mod signals;
mod table;
mod time_text;
mod token;
mod token_flags;
mod token_input;
mod token_revoke;
mod toml_section;
mod unreachable;
mod user;
mod user_claims;
mod user_update;
mod user_view;
mod version;

pub use command::run;
pub use policy::explained;

/// Whether a file with clients is one that could be applied.
#[cfg(fuzzing)]
pub(crate) fn reads_client_file(path: &std::path::Path) -> bool {
    client_file::read(path).is_ok()
}
