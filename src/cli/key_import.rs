//! `tokend key import`: a key that was made elsewhere.

use clap::Args;
use serde_json::Value;

use super::{
    connection::Connection,
    failure::Failure,
    key_material::MaterialFile,
    key_view::{document, station},
    output::{Output, plain, print, print_json, talk},
    remote::{answer, call},
};
use crate::{
    clock::{Clock as _, SystemClock},
    proto::v1::{ImportKeyRequest, KeyUsage, key_service_client::KeyServiceClient},
};

#[derive(Args)]
#[command(after_help = "Examples:
  openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 | tokend key import --pem -
  tokend key import --jwk partner-jwks.json --verify-only --issuer https://id.partner.example
  tokend key import --secret-file shared.secret --algorithm HS256 --key-id legacy

A key with a private half becomes the pending key of its algorithm, and signs when it is its turn. A public key, or any
with --verify-only, only verifies.")]
pub(super) struct Import {
    #[command(flatten)]
    material: MaterialFile,
    /// The secret file holds the bytes themselves, not base64url
    #[arg(long, conflicts_with_all = ["pem", "jwk"])]
    raw: bool,
    /// The id (`kid`) to give to the key [default: its own, else its thumbprint, else a fresh one]
    // A thumbprint may begin with a dash.
    #[arg(long, value_name = "KEY_ID", allow_hyphen_values = true)]
    key_id: Option<String>,
    /// The algorithm that it is for; needed for a secret, and for an RSA key that does not say
    #[arg(long, value_name = "NAME")]
    algorithm: Option<String>,
    /// Never sign with it; its private half is not kept
    #[arg(long)]
    verify_only: bool,
    /// The only issuer (`iss`) whose tokens it verifies [default: this server's own]
    #[arg(long, value_name = "ISSUER")]
    issuer: Option<String>,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    connection: Connection,
}

impl Import {
    pub(super) fn run(self) -> Result<(), Failure> {
        let usage = if self.verify_only { KeyUsage::VerifyOnly } else { KeyUsage::Unspecified };
        let request = ImportKeyRequest {
            material: Some(self.material.read(self.raw)?),
            key_id: self.key_id.unwrap_or_default(),
            algorithm: self.algorithm.unwrap_or_default(),
            usage: usage.into(),
            issuer: self.issuer.unwrap_or_default(),
            request_id: String::new(),
        };
        let imported = call(&self.connection, async |caller| {
            answer(KeyServiceClient::new(caller).import_key(request).await)
        })?;
        for key in &imported.skipped_keys {
            talk(&plain(&format!("skipped: {} (kid {:?})", key.problem, key.key_id)));
        }
        if self.output.is_json() {
            return print_json(&Value::Array(imported.keys.iter().map(document).collect()));
        }
        let now = SystemClock.now();
        for key in &imported.keys {
            talk(&station(key, now));
        }
        let ids: Vec<String> = imported.keys.iter().map(|key| plain(&key.key_id)).collect();
        print(&ids.join("\n"))
    }
}
