//! `tokend version`.

use clap::Args;
use serde_json::json;

use super::{
    failure::Failure,
    output::{Output, print, print_json},
};

#[derive(Args)]
pub(super) struct Version {
    #[command(flatten)]
    output: Output,
}

impl Version {
    pub(super) fn run(self) -> Result<(), Failure> {
        let version = env!("CARGO_PKG_VERSION");
        if self.output.is_json() {
            print_json(&json!({ "name": "tokend", "version": version, "api": "tokend.v1" }))
        } else {
            print(&format!("tokend {version}"))
        }
    }
}
