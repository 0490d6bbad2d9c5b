//! `tokend key`: the keys that sign and verify, through KeyService.

use clap::{Args, Subcommand};
use serde_json::Value;

use super::{
    confirm::confirm,
    connection::Connection,
    failure::Failure,
    key_clock::AcceptClock,
    key_import::Import,
    key_reseal::Reseal,
    key_view::{document, rotation, station, timeline},
    key_view_trusted::{trusted_document, trusted_table},
    output::{Output, plain, print, print_json, talk},
    remote::{answer, call},
};
use crate::{
    clock::{Clock as _, SystemClock},
    proto::v1::{
        CreateKeyRequest, ListKeysRequest, RevokeKeyRequest, RotateKeysRequest,
        key_service_client::KeyServiceClient,
    },
};

/// How many keys are asked for at once.
const PAGE: i32 = 500;

#[derive(Subcommand)]
pub(super) enum KeyCommand {
    /// List the keys with their timelines, and what happens next
    List(List),
    /// Make a fresh pending key; its id alone goes to stdout
    Create(Create),
    /// Take in a key that was made elsewhere; its id alone goes to stdout
    Import(Box<Import>),
    /// Rotate ahead of time; the id of the next key to sign alone goes to stdout
    Rotate(Rotate),
    /// End a key at once, with every token that it signed
    Revoke(Revoke),
    /// Seal every stored key, and sign every row of a key or a client, under the first sealing key; works on the store itself, while servers run or not
    Reseal(Reseal),
    /// Accept this machine's clock, so that servers that doubt it rotate keys again; works on the store itself
    AcceptClock(AcceptClock),
}

impl KeyCommand {
    pub(super) fn run(self) -> Result<(), Failure> {
        match self {
            Self::List(command) => command.run(),
            Self::Create(command) => command.run(),
            Self::Import(command) => command.run(),
            Self::Rotate(command) => command.run(),
            Self::Revoke(command) => command.run(),
            Self::Reseal(command) => command.run(),
            Self::AcceptClock(command) => command.run(),
        }
    }
}

#[derive(Args)]
#[command(after_help = "Examples:
  tokend key list
  tokend key list -o json | jq -r '.[] | select(.state == \"ACTIVE\") | .key_id'
  tokend key list --trusted

A time that has passed is an instant, one to come is said from now (`in 29d 23h`). VERIFIERS counts, for a pending key,
those of the verifiers watching the trust bundle that hold it already.")]
pub(super) struct List {
    /// List the keys of trusted issuers as the server holds them, also those that it cannot use
    #[arg(long)]
    trusted: bool,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    connection: Connection,
}

impl List {
    fn run(self) -> Result<(), Failure> {
        if self.trusted {
            let request = ListKeysRequest { trusted: true, ..Default::default() };
            let keys = call(&self.connection, async |caller| {
                answer(KeyServiceClient::new(caller).list_keys(request).await)
            })?
            .trusted_keys;
            return match self.output.is_json() {
                true => print_json(&Value::Array(keys.iter().map(trusted_document).collect())),
                false => print(&trusted_table(&keys)),
            };
        }
        let keys = call(&self.connection, async |caller| {
            let mut service = KeyServiceClient::new(caller);
            let (mut keys, mut page_token) = (Vec::new(), String::new());
            loop {
                let request = ListKeysRequest { page_size: PAGE, page_token, trusted: false };
                let page = answer(service.list_keys(request).await)?;
                keys.extend(page.keys);
                page_token = page.next_page_token;
                if page_token.is_empty() {
                    return Ok(keys);
                }
            }
        })?;
        if self.output.is_json() {
            return print_json(&Value::Array(keys.iter().map(document).collect()));
        }
        print(&timeline(&keys, SystemClock.now()))
    }
}

#[derive(Args)]
#[command(after_help = "Examples:
  tokend key create
  KEY=$(tokend key create ML-DSA-44)

The key is published at once, and signs when it is its turn: see `tokend key rotate`.")]
pub(super) struct Create {
    /// The algorithm, such as ES256 [default: the server's]
    #[arg(value_name = "ALGORITHM")]
    algorithm: Option<String>,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    connection: Connection,
}

impl Create {
    fn run(self) -> Result<(), Failure> {
        let request =
            CreateKeyRequest { algorithm: self.algorithm.unwrap_or_default(), request_id: String::new() };
        let created = call(&self.connection, async |caller| {
            answer(KeyServiceClient::new(caller).create_key(request).await)
        })?;
        let key = created.key.unwrap_or_default();
        if self.output.is_json() {
            return print_json(&document(&key));
        }
        talk(&station(&key, SystemClock.now()));
        print(&plain(&key.key_id))
    }
}

#[derive(Args)]
#[command(after_help = "Examples:
  tokend key rotate                         # the pending key signs once it has been published for long enough
  tokend key rotate --algorithm EdDSA --now

What the former key signed stays valid until it expires. With --now, verifiers that keep an older JWK set refuse the new
tokens until they fetch another; VerifyToken takes them everywhere.")]
pub(super) struct Rotate {
    /// The algorithm whose key rotates [default: the server's]
    #[arg(long, value_name = "NAME")]
    algorithm: Option<String>,
    /// Do not wait until verifiers know the pending key, only until every replica does
    #[arg(long)]
    now: bool,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    connection: Connection,
}

impl Rotate {
    fn run(self) -> Result<(), Failure> {
        let request = RotateKeysRequest {
            algorithm: self.algorithm.unwrap_or_default(),
            immediately: self.now,
            request_id: String::new(),
        };
        let rotated = call(&self.connection, async |caller| {
            answer(KeyServiceClient::new(caller).rotate_keys(request).await)
        })?;
        if self.output.is_json() {
            return print_json(&Value::Array(rotated.keys.iter().map(document).collect()));
        }
        let Some(next) = rotated.keys.first() else {
            return Err(Failure::refused("the server named no key"));
        };
        talk(&rotation(&rotated.keys, SystemClock.now()));
        print(&plain(&next.key_id))
    }
}

#[derive(Args)]
#[command(after_help = "Examples:
  tokend key revoke mYagCplHvWxADXiJgycn13iXw_BjzoQe9bhOYdRR91w --reason 'found in a backup' --yes

The key neither signs nor verifies any more: its tokens are refused with TOKEN_REVOKED. If it was signing, the pending
key signs from now on. There is no way back; to replace a key that did not leak, use `tokend key rotate`.
A KEY_ID may begin with a dash: after `--`, at the end, each is safe.")]
pub(super) struct Revoke {
    /// The key's id (`kid`)
    // A thumbprint may begin with a dash.
    #[arg(value_name = "KEY_ID", allow_hyphen_values = true)]
    key_id: String,
    /// Why, for the record
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    connection: Connection,
}

impl Revoke {
    fn run(self) -> Result<(), Failure> {
        if !self.yes {
            confirm(&format!(
                "Revoke key {}? All its tokens will be refused, and there is no way back.",
                plain(&self.key_id)
            ))?;
        }
        let request =
            RevokeKeyRequest { key_id: self.key_id, reason: self.reason, request_id: String::new() };
        let revoked = call(&self.connection, async |caller| {
            answer(KeyServiceClient::new(caller).revoke_key(request).await)
        })?;
        let key = revoked.key.unwrap_or_default();
        if self.output.is_json() {
            return print_json(&document(&key));
        }
        talk(&station(&key, SystemClock.now()));
        Ok(())
    }
}
