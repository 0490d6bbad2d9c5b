//! `tokend status`: the state of a running server, through StatusService.

use std::fmt::Write as _;

use clap::Args;

use super::{
    connection::RemoteFlags,
    error::CliError,
    output::{escaped, print, print_json},
    time_text::timestamp,
};
use crate::proto::v1::{
    GetStatusRequest, GetStatusResponse, Key, KeyState, ListKeysRequest,
    key_service_client::KeyServiceClient, status_service_client::StatusServiceClient,
};

#[derive(Args)]
#[command(after_help = "Examples:
  tokend status
  tokend status -o json | jq '.problems'

Needs the role `viewer` or `admin`. The exit status is 1 if the server has a problem. `tokend doctor` checks the settings and
the machine instead.")]
pub(super) struct Status {
    #[command(flatten)]
    remote: RemoteFlags,
}

impl Status {
    pub(super) fn run(self) -> Result<(), CliError> {
        let (status, keys) = self.remote.call(async |channel| {
            let status = StatusServiceClient::new(channel.clone()).get_status(GetStatusRequest {}).await;
            let status = super::connection::response(status)?;
            let keys = KeyServiceClient::new(channel).list_keys(ListKeysRequest::default()).await;
            Ok((status, super::connection::response(keys)?.keys))
        })?;
        if self.remote.is_json() {
            print_json(&serde_json::json!({ "status": status, "keys": keys }))?;
        } else {
            print(&text(&status, &keys))?;
        }
        match status.problems.len() {
            0 => Ok(()),
            1 => Err(CliError::failed("the server has a problem")),
            count => Err(CliError::failed(format!("the server has {count} problems"))),
        }
    }
}

fn text(status: &GetStatusResponse, keys: &[Key]) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "{name:<12}  {value}");
    };
    line("version", &escaped(&status.version));
    line("issuer", &escaped(&status.issuer));
    line("store", &escaped(&status.store));
    line("ready", if status.ready { "yes" } else { "no" });
    line("started", &status.start_time.map(timestamp).unwrap_or_default());
    let certificate = status.tls_certificate_expire_time.map(timestamp);
    line("tls", &certificate.map_or_else(|| "off".to_owned(), |time| format!("certificate expires {time}")));
    for key in keys.iter().filter(|key| key.state() != KeyState::Revoked) {
        let state = key.state().as_str_name().trim_start_matches("KEY_STATE_").to_lowercase();
        line("key", &format!("{} {} {state}", escaped(&key.key_id), escaped(&key.algorithm)));
    }
    for replica in &status.replicas {
        let own = if replica.is_self { ", this one" } else { "" };
        let id = escaped(&replica.replica_id);
        line(
            "replica",
            &format!("{id}: change {}, {} verifiers{own}", replica.held_sequence, replica.verifiers),
        );
    }
    for problem in &status.problems {
        line("problem", &format!("{}: {}", escaped(&problem.reason), escaped(&problem.message)));
    }
    text.trim_end().to_owned()
}
