//! `tokend client update`: changes the given fields.

use clap::Args;
use prost_types::FieldMask;
use serde_json::Value;
use tonic::Code;

use super::{
    Service,
    flags::{self, ClientFlags},
    lists::ListChanges,
    view::{details, diff, document},
};
use crate::{
    cli::{
        connection::{RemoteFlags, response},
        error::CliError,
        output::{escaped, message, print, print_json},
    },
    proto::v1::{Client, GetClientRequest, UpdateClientRequest},
};

#[derive(Args)]
#[command(after_help = "Examples:
  tokend client update orders --disable                  # its next call is rejected
  tokend client update orders --add-audience 'billing-*' --remove-scope write
  tokend client update orders --audience orders --audience 'billing-*'
  tokend client update orders --clear permissions.scopes --clear default_ttl

Flags such as --audience replace the whole list; --add-audience and --remove-audience change one item. The command prints
the difference.")]
pub(in crate::cli) struct Update {
    /// The client's id
    #[arg(value_name = "ID")]
    client_id: String,
    /// Reject the client's calls
    #[arg(long)]
    disable: bool,
    /// Accept the client's calls again
    #[arg(long, conflicts_with = "disable")]
    enable: bool,
    /// Clear a field, or reset it to its default, such as permissions.scopes or limits; may be repeated
    #[arg(long, value_name = "FIELD")]
    clear: Vec<String>,
    /// Change the client only if it still has this etag
    #[arg(long, value_name = "ETAG")]
    etag: Option<String>,
    #[command(flatten)]
    flags: ClientFlags,
    #[command(flatten)]
    lists: ListChanges,
    #[command(flatten)]
    remote: RemoteFlags,
}

impl Update {
    pub(super) fn run(self) -> Result<(), CliError> {
        let (wanted, mut paths) = self.flags.document()?;
        let clash = self.clear.iter().find(|cleared| paths.iter().any(|path| overlap(path, cleared)));
        if let Some(field) = clash {
            return Err(CliError::usage(format!("--clear {field}: another flag sets this field")));
        }
        paths.extend(self.clear.iter().cloned());
        let changed = self.lists.paths();
        if let Some(path) = changed.iter().find(|list| paths.iter().any(|path| overlap(path, list))) {
            return Err(CliError::usage(format!(
                "{path}: one flag replaces or clears the list, and --add-… or --remove-… changes it; use one of them"
            )));
        }
        paths.extend(changed);
        paths.extend((self.disable || self.enable).then(|| "disabled".to_owned()));
        if paths.is_empty() {
            return Err(CliError::usage("nothing to change: give a flag, or --clear a field"));
        }
        let (before, client) =
            self.remote.call(async |channel| self.update(&mut Service::new(channel), wanted, paths).await)?;
        if self.remote.is_json() {
            return print_json(&client);
        }
        let id = escaped(&client.client_id);
        match before.map(|before| diff(&before, &client)).transpose()? {
            Some(fields) if fields.is_empty() => message(&format!("client {id} is unchanged")),
            Some(fields) => fields.iter().for_each(|field| message(&format!("~ {id} {}", field.text()))),
            None => message(&format!("changed client {id}")),
        }
        print(&details(&client)?)
    }

    /// Updates the client. Returns the client before the update, if the caller may read it, and after.
    async fn update(
        &self,
        service: &mut Service,
        wanted: Value,
        paths: Vec<String>,
    ) -> Result<(Option<Client>, Client), CliError> {
        /// How often a change of lists is repeated after a concurrent change.
        const TRIES: u32 = 5;
        let mut tries = 1;
        loop {
            let request = GetClientRequest { client_id: self.client_id.clone() };
            let before = match service.get_client(request).await {
                // A caller with permission to update and not to read gets no difference.
                Err(status) if status.code() == Code::PermissionDenied && self.lists.is_empty() => None,
                got => Some(response(got)?.client.unwrap_or_default()),
            };
            let mut wanted = wanted.clone();
            let mut etag = self.etag.clone().unwrap_or_default();
            if let Some(before) = before.as_ref().filter(|_| !self.lists.is_empty()) {
                self.lists.apply(&document(before)?, &mut wanted)?;
                if etag.is_empty() {
                    etag.clone_from(&before.etag);
                }
            }
            let (client_id, disabled) = (self.client_id.clone(), self.disable);
            let client = Client { client_id, disabled, etag, ..flags::client(wanted)? };
            let update_mask = Some(FieldMask { paths: paths.clone() });
            let request =
                UpdateClientRequest { client: Some(client), update_mask, request_id: String::new() };
            match service.update_client(request).await {
                // Another change came between.
                Err(status) if status.code() == Code::Aborted && self.etag.is_none() && tries < TRIES => {
                    tries += 1;
                }
                updated => return Ok((before, response(updated)?.client.unwrap_or_default())),
            }
        }
    }
}

/// Whether one path is the other, or contains it.
fn overlap(one: &str, other: &str) -> bool {
    let inside = |outer: &str, inner: &str| {
        inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    inside(one, other) || inside(other, one)
}
