//! Commands that run on the server's machine, with the settings of `tokend serve`: serve, dev, init, config, healthcheck, backup,
//! restore, and the revocation in the store itself.

mod backup;
mod banner;
mod config;
mod dev;
mod doctor;
mod healthcheck;
mod init;
mod revoke;
mod serve;
mod signals;
mod template;

use std::{collections::HashMap, fmt::Display, path::PathBuf, sync::Arc};

use clap::{Arg, ArgMatches, Args, Command, Error, FromArgMatches};

pub(super) use self::{
    backup::{Backup, Restore},
    config::ConfigCommand,
    dev::Dev,
    doctor::Doctor,
    healthcheck::Healthcheck,
    init::Init,
    revoke::RevokeCommand,
    serve::Serve,
};

use super::{error::CliError, output::escaped};
use crate::{
    config::{Config, Inputs, Kind, Problems, Resolved, Setting, settings},
    store::{self, OpenOptions, Store},
};

/// The settings as flags: one for each setting, and `--config`.
#[derive(Debug, Default)]
pub(super) struct SettingFlags {
    given: HashMap<&'static str, String>,
    file: Option<PathBuf>,
}

impl SettingFlags {
    /// The settings of these flags, the environment and the file.
    fn resolve(self) -> Resolved {
        Inputs::of_process(self.given, self.file).resolve()
    }

    pub(super) fn config(self) -> Result<Config, CliError> {
        Ok(self.resolve().config()?)
    }
}

/// Wrong settings: one problem in each line.
impl From<Problems> for CliError {
    fn from(problems: Problems) -> Self {
        let lines: Vec<String> = problems.iter().map(escaped).collect();
        match lines.as_slice() {
            [line] => Self::usage(line),
            _ => Self::usage(format!("the settings are incomplete or wrong:\n  {}", lines.join("\n  "))),
        }
    }
}

/// Opens the existing store of the settings, works on it, and closes it.
pub(super) fn with_store<T, E: Display>(
    config: &Config,
    work: impl AsyncFnOnce(&Arc<Store>) -> Result<T, E>,
) -> Result<T, CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let opened = store::open_with(&config.settings.store.at_once(), &OpenOptions::EXISTING).await;
        let store = opened
            .map_err(|error| CliError::failed(format!("setting `store`: {}", escaped(&error.to_string()))))?;
        let result = work(&store).await;
        store.close().await;
        result.map_err(|error| CliError::failed(escaped(&error.to_string())))
    })
}

impl FromArgMatches for SettingFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let mut flags = Self::default();
        flags.update_from_arg_matches(matches)?;
        Ok(flags)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        self.file = matches.get_one::<PathBuf>("config").cloned();
        for setting in settings() {
            if let Some(text) = matches.get_one::<String>(setting.name) {
                self.given.insert(setting.name, text.clone());
            }
        }
        Ok(())
    }
}

impl Args for SettingFlags {
    fn augment_args(command: Command) -> Command {
        let file = Arg::new("config")
            .long("config")
            .value_name("FILE")
            .value_parser(clap::value_parser!(PathBuf))
            .help(format!(
                "Read the configuration from this TOML file [variable: {}]",
                Inputs::FILE_VARIABLE
            ));
        let flags = settings().map(|setting| flag(setting).help_heading("Settings"));
        command.arg(file).args(flags)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

fn flag(setting: &Setting) -> Arg {
    let mut help = format!("{} [variable: {}", setting.help, setting.variable());
    if let Some(file_variable) = setting.file_variable() {
        help.push_str(&format!(" with the secret itself, or {file_variable}"));
    }
    help.push(']');
    if let Some(default) = setting.default {
        help.push_str(&format!(" [default: {default}]"));
    }
    let flag = Arg::new(setting.name).long(setting.flag()).value_name(setting.placeholder).help(help);
    // A negative number must reach the check of the setting, which explains the problem.
    let flag = flag.allow_hyphen_values(matches!(setting.kind, Kind::Number(..)));
    match setting.kind {
        Kind::Bool => flag.num_args(0..=1).default_missing_value("true"),
        _ => flag,
    }
}
