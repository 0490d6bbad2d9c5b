//! The settings as flags, from their table.

use std::{collections::HashMap, path::PathBuf};

use clap::{Arg, ArgMatches, Args, Command, Error, FromArgMatches};

use crate::config::{Inputs, Kind, Resolved, Setting, settings};

/// One flag for each setting, and `--config`.
#[derive(Debug, Default)]
pub(super) struct SettingFlags {
    given: HashMap<&'static str, String>,
    file: Option<PathBuf>,
}

impl SettingFlags {
    /// The settings that come of these flags, the environment and the file.
    pub(super) fn resolve(self) -> Resolved {
        Inputs::of_process(self.given, self.file).resolve()
    }
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
            .help(format!("The configuration file, TOML [variable: {}]", Inputs::FILE_VARIABLE));
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
    // A negative number must reach our own check, which says what is wrong.
    let flag = flag.allow_hyphen_values(matches!(setting.kind, Kind::Number(..)));
    match setting.kind {
        Kind::Bool => flag.num_args(0..=1).default_missing_value("true"),
        _ => flag,
    }
}
