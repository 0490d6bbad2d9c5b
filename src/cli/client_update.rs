//! `tokend client update`: what is given changes.

use clap::Args;
use prost_types::FieldMask;

use super::{
    client_flags::ClientFlags,
    client_view::{description, document},
    connection::Connection,
    failure::Failure,
    output::{Output, plain, print, print_json, talk},
    remote::{answer, call},
};
use crate::proto::v1::{Client, UpdateClientRequest, client_service_client::ClientServiceClient};

#[derive(Args)]
#[command(after_help = "Examples:
  tokend client update orders --disable                  # its next call is refused
  tokend client update orders --audience orders --audience 'billing-*'
  tokend client update orders --clear permissions.scopes --clear default_ttl

A list that is given takes the place of the one that was there.")]
pub(super) struct Update {
    /// The client's id
    #[arg(value_name = "ID")]
    client_id: String,
    /// Refuse its calls from now on
    #[arg(long)]
    disable: bool,
    /// Take its calls again
    #[arg(long, conflicts_with = "disable")]
    enable: bool,
    /// A field to empty, or to bring back to its default, such as permissions.scopes or limits; may be repeated
    #[arg(long, value_name = "FIELD")]
    clear: Vec<String>,
    /// Change it only if this is its etag still
    #[arg(long, value_name = "ETAG")]
    etag: Option<String>,
    #[command(flatten)]
    flags: ClientFlags,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    connection: Connection,
}

impl Update {
    pub(super) fn run(self) -> Result<(), Failure> {
        let mut paths = self.flags.paths();
        let clash = self.clear.iter().find(|cleared| paths.iter().any(|path| overlap(path, cleared)));
        if let Some(field) = clash {
            return Err(Failure::usage(format!("--clear {field}: a flag gives a value for it")));
        }
        paths.extend(self.clear);
        paths.extend((self.disable || self.enable).then(|| "disabled".to_owned()));
        if paths.is_empty() {
            return Err(Failure::usage("nothing to change: give a flag, or --clear a field"));
        }
        let client = Client {
            client_id: self.client_id,
            disabled: self.disable,
            etag: self.etag.unwrap_or_default(),
            ..self.flags.client()?
        };
        let request = UpdateClientRequest {
            client: Some(client),
            update_mask: Some(FieldMask { paths }),
            request_id: String::new(),
        };
        let updated = call(&self.connection, async |caller| {
            answer(ClientServiceClient::new(caller).update_client(request).await)
        })?;
        let client = updated.client.unwrap_or_default();
        if self.output.is_json() {
            return print_json(&document(&client));
        }
        talk(&format!("client {} was changed", plain(&client.client_id)));
        print(&description(&client))
    }
}

/// Whether one path names the other's field, or one around it.
fn overlap(one: &str, other: &str) -> bool {
    let inside = |outer: &str, inner: &str| {
        inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    inside(one, other) || inside(other, one)
}
