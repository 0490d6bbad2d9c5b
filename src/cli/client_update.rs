//! `tokend client update`: what is given changes.

use clap::Args;
use prost_types::FieldMask;
use tonic::Code;

use super::{
    client_diff::diff,
    client_flags::ClientFlags,
    client_lists::ListChanges,
    client_view::{description, document},
    connection::{Caller, Connection},
    failure::Failure,
    output::{Output, plain, print, print_json, talk},
    remote::{answer, call},
};
use crate::proto::v1::{
    Client, GetClientRequest, UpdateClientRequest, client_service_client::ClientServiceClient,
};

#[derive(Args)]
#[command(after_help = "Examples:
  tokend client update orders --disable                  # its next call is refused
  tokend client update orders --add-audience 'billing-*' --remove-scope write
  tokend client update orders --audience orders --audience 'billing-*'
  tokend client update orders --clear permissions.scopes --clear default_ttl

--audience and the like replace the whole list; --add-audience and --remove-audience change one item. The difference is printed.")]
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
    lists: ListChanges,
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
        let changed = self.lists.paths();
        if let Some(path) = changed.iter().find(|list| paths.iter().any(|path| overlap(path, list))) {
            return Err(Failure::usage(format!(
                "{path}: a flag replaces or clears the list, and --add-… or --remove-… changes it; use one of them"
            )));
        }
        paths.extend(changed);
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
        let lists = self.lists;
        let (before, client) = call(&self.connection, async |caller| {
            update(&mut ClientServiceClient::new(caller), client, paths, &lists).await
        })?;
        if self.output.is_json() {
            return print_json(&document(&client));
        }
        let id = plain(&client.client_id);
        match before.map(|before| diff(&before, &client)) {
            Some(fields) if fields.is_empty() => talk(&format!("client {id} is as it was: nothing differs")),
            Some(fields) => fields.iter().for_each(|field| talk(&format!("~ {id} {}", field.text()))),
            None => talk(&format!("client {id} was changed")),
        }
        print(&description(&client))
    }
}

/// How often a change of lists is made anew on what another change left.
const TRIES: u32 = 5;

/// Updates the client. Answers it as it was before, if the caller may know, and as it is now.
async fn update(
    service: &mut ClientServiceClient<Caller>,
    client: Client,
    paths: Vec<String>,
    lists: &ListChanges,
) -> Result<(Option<Client>, Client), Failure> {
    let mut tries = 1;
    loop {
        let request = GetClientRequest { client_id: client.client_id.clone() };
        let before = match service.get_client(request).await {
            // Who may change a client and not see it is told no difference.
            Err(status) if status.code() == Code::PermissionDenied && lists.is_empty() => None,
            found => Some(answer(found)?.client.unwrap_or_default()),
        };
        let mut wanted = client.clone();
        if let Some(before) = before.as_ref().filter(|_| !lists.is_empty()) {
            lists.copy(before, &mut wanted);
            lists.apply(&mut wanted)?;
            if wanted.etag.is_empty() {
                wanted.etag.clone_from(&before.etag);
            }
        }
        let update_mask = Some(FieldMask { paths: paths.clone() });
        let request = UpdateClientRequest { client: Some(wanted), update_mask, request_id: String::new() };
        match service.update_client(request).await {
            // Another change came between.
            Err(status) if status.code() == Code::Aborted && client.etag.is_empty() && tries < TRIES => {
                tries += 1;
            }
            updated => return Ok((before, answer(updated)?.client.unwrap_or_default())),
        }
    }
}

/// Whether one path names the other's field, or one around it.
fn overlap(one: &str, other: &str) -> bool {
    let inside = |outer: &str, inner: &str| {
        inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    inside(one, other) || inside(other, one)
}
