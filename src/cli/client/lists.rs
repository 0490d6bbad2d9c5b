//! `--add-…` and `--remove-…`: change one item of a list of a client, and keep the others.

use std::num::ParseIntError;

use clap::{Arg, ArgAction, ArgMatches, Args, Command, Error, FromArgMatches};
use serde_json::Value;

use super::view::{at, item_text, set};
use crate::cli::{error::CliError, output::escaped};

/// Each list of a client: the flag that sets the whole list, without `--`, and the path of the list.
const LISTS: [(&str, &str); 21] = [
    ("method", "permissions.methods"),
    ("role", "permissions.roles"),
    ("audience", "permissions.audiences"),
    ("scope", "permissions.scopes"),
    ("subject", "permissions.subjects"),
    ("claim", "permissions.claims"),
    ("verify-audience", "permissions.verify_audiences"),
    ("verify-issuer", "permissions.verify_issuers"),
    ("login-username", "permissions.login_usernames"),
    ("revoke-subject", "permissions.revoke_subjects"),
    ("revoke-client", "permissions.revoke_clients"),
    ("exchange-subject", "permissions.exchange_subjects"),
    ("exchange-audience", "permissions.exchange_audiences"),
    ("exchange-issuer", "permissions.exchange_issuers"),
    ("exchange-actor", "permissions.exchange_actors"),
    ("admin-client", "permissions.admin_clients"),
    ("default-audience", "default_audiences"),
    ("certificate-uri", "authentication.certificate.uris"),
    ("certificate-dns", "authentication.certificate.dns_names"),
    ("unix-uid", "authentication.unix_peer.uids"),
    ("unix-gid", "authentication.unix_peer.gids"),
];

/// Adds or removes one item of a list.
struct ListChange {
    flag: &'static str,
    path: &'static str,
    adds: bool,
    item: Value,
}

/// The changes of lists that flags request.
#[derive(Default)]
pub(super) struct ListChanges(Vec<ListChange>);

impl ListChanges {
    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The paths of the lists that change, each once.
    pub(super) fn paths(&self) -> Vec<String> {
        let mut paths: Vec<String> = self.0.iter().map(|change| change.path.to_owned()).collect();
        paths.dedup();
        paths
    }

    /// Copies the lists that change from one document of a client to another, and changes them there.
    ///
    /// # Errors
    /// When an item to remove is not in its list, because it may be misspelt.
    pub(super) fn apply(&self, from: &Value, to: &mut Value) -> Result<(), CliError> {
        for ListChange { path, .. } in &self.0 {
            set(to, path, at(from, path));
        }
        for ListChange { flag, path, adds, item } in &self.0 {
            let Value::Array(mut list) = at(to, path) else { continue };
            let is_there = list.contains(item);
            match (adds, is_there) {
                (true, true) => {}
                (true, false) => list.push(item.clone()),
                (false, true) => list.retain(|there| there != item),
                (false, false) => {
                    let held: Vec<String> = list.iter().map(item_text).collect();
                    return Err(CliError::failed(format!(
                        "--remove-{flag}: {path} does not contain `{}`; it contains: {}",
                        escaped(&item_text(item)),
                        escaped(&held.join(" "))
                    )));
                }
            }
            set(to, path, Value::Array(list));
        }
        Ok(())
    }
}

/// Whether the list has numbers instead of texts.
fn holds_numbers(path: &str) -> bool {
    path.starts_with("authentication.unix_peer.")
}

fn number(text: &str) -> Result<String, ParseIntError> {
    text.parse::<u32>().map(|number| number.to_string())
}

/// The item in the document of a client.
fn value(path: &str, item: &str) -> Value {
    match item.parse::<u32>() {
        Ok(number) if holds_numbers(path) => number.into(),
        _ => item.into(),
    }
}

fn id(flag: &str, adds: bool) -> String {
    format!("{}-{flag}", if adds { "add" } else { "remove" })
}

impl FromArgMatches for ListChanges {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let mut changes = Self::default();
        changes.update_from_arg_matches(matches)?;
        Ok(changes)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        for (flag, path) in LISTS {
            for adds in [true, false] {
                let items = matches.get_many::<String>(&id(flag, adds)).into_iter().flatten();
                self.0.extend(items.map(|item| ListChange { flag, path, adds, item: value(path, item) }));
            }
        }
        Ok(())
    }
}

impl Args for ListChanges {
    fn augment_args(command: Command) -> Command {
        let flag = |(flag, path): (&str, &str), adds: bool| {
            let (verb, name) = (if adds { "Add to" } else { "Remove from" }, id(flag, adds));
            let arg = Arg::new(name.clone());
            let arg = if holds_numbers(path) { arg.value_parser(number) } else { arg };
            arg.long(name)
                .value_name("ITEM")
                .action(ArgAction::Append)
                .help(format!("{verb} {path}; may be repeated"))
                .help_heading("One item of a list")
        };
        command.args(LISTS.into_iter().flat_map(|list| [flag(list, true), flag(list, false)]))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}
