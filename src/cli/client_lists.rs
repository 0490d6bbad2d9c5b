//! `--add-…` and `--remove-…`: one item of a list of a client, the others staying as they are.

use clap::{Arg, ArgAction, ArgMatches, Args, Command, Error, FromArgMatches};

use super::{failure::Failure, output::plain};
use crate::proto::v1::Client;

/// A list of a client.
struct ListField {
    /// The flag that gives the whole list, without `--`.
    flag: &'static str,
    path: &'static str,
    list: fn(&mut Client) -> &mut Vec<String>,
}

macro_rules! permission {
    ($flag:literal, $name:ident) => {
        ListField {
            flag: $flag,
            path: concat!("permissions.", stringify!($name)),
            list: |client| &mut client.permissions.get_or_insert_default().$name,
        }
    };
}

macro_rules! certificate {
    ($flag:literal, $name:ident) => {
        ListField {
            flag: $flag,
            path: concat!("authentication.certificate.", stringify!($name)),
            list: |client| {
                let known = client.authentication.get_or_insert_default();
                &mut known.certificate.get_or_insert_default().$name
            },
        }
    };
}

static LISTS: [ListField; 19] = [
    permission!("method", methods),
    permission!("role", roles),
    permission!("audience", audiences),
    permission!("scope", scopes),
    permission!("subject", subjects),
    permission!("claim", claims),
    permission!("verify-audience", verify_audiences),
    permission!("verify-issuer", verify_issuers),
    permission!("login-username", login_usernames),
    permission!("revoke-subject", revoke_subjects),
    permission!("revoke-client", revoke_clients),
    permission!("exchange-subject", exchange_subjects),
    permission!("exchange-audience", exchange_audiences),
    permission!("exchange-issuer", exchange_issuers),
    permission!("exchange-actor", exchange_actors),
    permission!("admin-client", admin_clients),
    ListField {
        flag: "default-audience",
        path: "default_audiences",
        list: |client| &mut client.default_audiences,
    },
    certificate!("certificate-uri", uris),
    certificate!("certificate-dns", dns_names),
];

/// One item of a list, to add or to remove.
struct Change {
    field: &'static ListField,
    is_added: bool,
    item: String,
}

/// The changes that flags ask for.
#[derive(Default)]
pub(super) struct ListChanges(Vec<Change>);

impl ListChanges {
    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The paths of the lists that change, each once.
    pub(super) fn paths(&self) -> Vec<String> {
        let mut paths: Vec<String> = self.0.iter().map(|change| change.field.path.to_owned()).collect();
        paths.dedup();
        paths
    }

    /// Makes the lists that change in `to` what they are in `from`.
    pub(super) fn copy(&self, from: &Client, to: &mut Client) {
        let mut from = from.clone();
        for Change { field, .. } in &self.0 {
            (field.list)(to).clone_from((field.list)(&mut from));
        }
    }

    /// Makes the changes.
    ///
    /// # Errors
    /// When an item to remove is not there: it may be misspelt.
    pub(super) fn apply(&self, client: &mut Client) -> Result<(), Failure> {
        for Change { field, is_added, item } in &self.0 {
            let list = (field.list)(client);
            let is_there = list.contains(item);
            match (is_added, is_there) {
                (true, false) => list.push(item.clone()),
                (true, true) => {}
                (false, true) => list.retain(|there| there != item),
                (false, false) => {
                    let (flag, path, item) = (field.flag, field.path, plain(item));
                    return Err(Failure::refused(format!(
                        "--remove-{flag}: {path} does not hold `{item}`; it holds: {}",
                        plain(&list.join(" "))
                    )));
                }
            }
        }
        Ok(())
    }
}

fn id(field: &ListField, is_added: bool) -> String {
    format!("{}-{}", if is_added { "add" } else { "remove" }, field.flag)
}

impl FromArgMatches for ListChanges {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let mut changes = Self::default();
        changes.update_from_arg_matches(matches)?;
        Ok(changes)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        for field in &LISTS {
            for is_added in [true, false] {
                let items = matches.get_many::<String>(&id(field, is_added)).into_iter().flatten();
                self.0.extend(items.map(|item| Change { field, is_added, item: item.clone() }));
            }
        }
        Ok(())
    }
}

impl Args for ListChanges {
    fn augment_args(command: Command) -> Command {
        let flag = |field: &ListField, is_added: bool| {
            let (verb, name) = (if is_added { "Add to" } else { "Remove from" }, id(field, is_added));
            Arg::new(name.clone())
                .long(name)
                .value_name("ITEM")
                .action(ArgAction::Append)
                .help(format!("{verb} {}; may be repeated", field.path))
                .help_heading("One item of a list")
        };
        command.args(LISTS.iter().flat_map(|field| [flag(field, true), flag(field, false)]))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}
