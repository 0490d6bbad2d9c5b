//! `tokend key`: the keys that sign and verify, through KeyService, or in the store itself ([`store`]).

mod import;
mod store;
mod view;

use clap::{Args, Subcommand};

use self::{
    import::Import,
    store::{AcceptClock, Reseal},
    view::{document, rotation, state, timeline, trusted_table},
};
use crate::{
    cli::{
        connection::{AuthenticatedChannel, RemoteFlags, all_pages, response},
        error::CliError,
        output::{PAGE_SIZE, confirm, escaped, message, print, print_json},
    },
    clock::{Clock as _, SystemClock},
    proto::v1::{
        CreateKeyRequest, ListKeysRequest, RevokeKeyRequest, RotateKeysRequest,
        key_service_client::KeyServiceClient,
    },
};

type Service = KeyServiceClient<AuthenticatedChannel>;

#[derive(Subcommand)]
pub(super) enum KeyCommand {
    /// List the keys with their timelines, and what happens next
    List(List),
    /// Create a pending key and print its id
    Create(Create),
    /// Import a key and print its id
    Import(Box<Import>),
    /// Rotate now or as early as possible, and print the id of the next signing key
    Rotate(Rotate),
    /// Revoke a key and all tokens that it signed
    Revoke(Revoke),
    /// Encrypt all stored keys, and sign all rows of keys and clients, with the first sealing key; works on the store itself, whether servers run or not
    Reseal(Reseal),
    /// Accept this machine's clock, so that servers that do not trust their clock rotate keys again; works on the store itself
    AcceptClock(AcceptClock),
}

impl KeyCommand {
    pub(super) fn run(self) -> Result<(), CliError> {
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

The list shows past times as instants and future times as durations (`in 29d 23h`). For a pending key, VERIFIERS counts how
many of the verifiers that watch the trust bundle have the key.")]
pub(super) struct List {
    /// List the server's copies of the keys of trusted issuers, including unusable keys
    #[arg(long)]
    trusted: bool,
    #[command(flatten)]
    remote: RemoteFlags,
}

impl List {
    fn run(self) -> Result<(), CliError> {
        if self.trusted {
            let request = ListKeysRequest { trusted: true, ..Default::default() };
            let listed = self.remote.unary(async |channel| Service::new(channel).list_keys(request).await)?;
            let keys = listed.trusted_keys;
            return if self.remote.is_json() { print_json(&keys) } else { print(&trusted_table(&keys)) };
        }
        let keys = self.remote.call(async |channel| {
            let mut service = Service::new(channel);
            all_pages(async |page_token| {
                let request = ListKeysRequest { page_size: PAGE_SIZE, page_token, trusted: false };
                let page = response(service.list_keys(request).await)?;
                Ok((page.keys, page.next_page_token))
            })
            .await
        })?;
        if self.remote.is_json() {
            return print_json(&keys.iter().map(document).collect::<Vec<_>>());
        }
        print(&timeline(&keys, SystemClock.now()))
    }
}

#[derive(Args)]
#[command(after_help = "Examples:
  tokend key create
  KEY=$(tokend key create ML-DSA-44)

The server publishes the key immediately. It signs after a rotation: see `tokend key rotate`.")]
pub(super) struct Create {
    /// The algorithm, such as ES256 [default: the server's]
    #[arg(value_name = "ALGORITHM")]
    algorithm: Option<String>,
    #[command(flatten)]
    remote: RemoteFlags,
}

impl Create {
    fn run(self) -> Result<(), CliError> {
        let request =
            CreateKeyRequest { algorithm: self.algorithm.unwrap_or_default(), request_id: String::new() };
        let created = self.remote.unary(async |channel| Service::new(channel).create_key(request).await)?;
        let key = created.key.unwrap_or_default();
        if self.remote.is_json() {
            return print_json(&document(&key));
        }
        message(&state(&key, SystemClock.now()));
        print(&escaped(&key.key_id))
    }
}

#[derive(Args)]
#[command(after_help = "Examples:
  tokend key rotate                         # the pending key signs once it has been published long enough
  tokend key rotate --algorithm EdDSA --now

Tokens of the previous key stay valid until they expire. With --now, verifiers with an older JWK set reject new tokens
until they fetch the set again; VerifyToken accepts the tokens everywhere.")]
pub(super) struct Rotate {
    /// Rotate the key of this algorithm [default: the server's]
    #[arg(long, value_name = "NAME")]
    algorithm: Option<String>,
    /// Do not wait until verifiers have the pending key, only until all replicas have it
    #[arg(long)]
    now: bool,
    #[command(flatten)]
    remote: RemoteFlags,
}

impl Rotate {
    fn run(self) -> Result<(), CliError> {
        let request = RotateKeysRequest {
            algorithm: self.algorithm.unwrap_or_default(),
            immediately: self.now,
            request_id: String::new(),
        };
        let rotated = self.remote.unary(async |channel| Service::new(channel).rotate_keys(request).await)?;
        if self.remote.is_json() {
            return print_json(&rotated.keys.iter().map(document).collect::<Vec<_>>());
        }
        let Some(next) = rotated.keys.first() else {
            return Err(CliError::failed("the response contains no key"));
        };
        message(&rotation(&rotated.keys, SystemClock.now()));
        print(&escaped(&next.key_id))
    }
}

#[derive(Args)]
#[command(after_help = "Examples:
  tokend key revoke mYagCplHvWxADXiJgycn13iXw_BjzoQe9bhOYdRR91w --reason 'found in a backup' --yes

The key neither signs nor verifies any more: its tokens are rejected with TOKEN_REVOKED. If the key was active, the pending
key signs immediately. This cannot be undone; to replace a key that did not leak, use `tokend key rotate`.
A KEY_ID may begin with a dash. Put it after `--`, at the end.")]
pub(super) struct Revoke {
    /// The key's id (`kid`)
    // A thumbprint may begin with a dash.
    #[arg(value_name = "KEY_ID", allow_hyphen_values = true)]
    key_id: String,
    /// Give the reason, for the record
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Do not ask for confirmation
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    remote: RemoteFlags,
}

impl Revoke {
    fn run(self) -> Result<(), CliError> {
        if !self.yes {
            let key_id = escaped(&self.key_id);
            confirm(&format!(
                "Revoke key {key_id}? All its tokens will be rejected. This cannot be undone."
            ))?;
        }
        let request =
            RevokeKeyRequest { key_id: self.key_id, reason: self.reason, request_id: String::new() };
        let revoked = self.remote.unary(async |channel| Service::new(channel).revoke_key(request).await)?;
        let key = revoked.key.unwrap_or_default();
        if self.remote.is_json() {
            return print_json(&document(&key));
        }
        message(&state(&key, SystemClock.now()));
        Ok(())
    }
}
