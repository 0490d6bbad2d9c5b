//! `tokend config`: checks and shows the settings of `tokend serve`.

use std::sync::Arc;

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::SettingFlags;
use crate::{
    cli::{
        error::CliError,
        output::{Output, escaped, message, print, print_json, row, table},
    },
    clock::SystemClock,
    config::{Origin, Problems, Resolved},
    listen::TlsReloader,
};

#[derive(Subcommand)]
pub(in crate::cli) enum ConfigCommand {
    /// Check whether `tokend serve` would start with these settings, without opening store, audit log or ports
    Check(Check),
    /// Print each setting with its value and its source
    Show(Show),
}

impl ConfigCommand {
    pub(in crate::cli) fn run(self) -> Result<(), CliError> {
        match self {
            Self::Check(command) => command.run(),
            Self::Show(command) => command.run(),
        }
    }
}

#[derive(Args)]
#[command(after_help = "Example:
  tokend config check --strict --config /etc/tokend/tokend.toml")]
pub(in crate::cli) struct Check {
    /// Fail if other users can read a file with a secret, instead of printing a warning
    #[arg(long)]
    strict: bool,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    settings: SettingFlags,
}

impl Check {
    fn run(self) -> Result<(), CliError> {
        let resolved = self.settings.resolve();
        let checked = resolved.config().and_then(|config| match config.settings.tls {
            Some(files) => TlsReloader::open(files, Arc::new(SystemClock))
                .map(drop)
                .map_err(|error| Problems::of(error.to_string())),
            None => Ok(()),
        });
        resolved.warnings().iter().for_each(|problem| message(&format!("warning: {}", escaped(problem))));
        let exposed = resolved.exposed_files();
        let checked = match checked {
            Ok(()) if self.strict && !exposed.is_empty() => {
                let mut problems = Problems::default();
                exposed.iter().for_each(|problem| problems.add(problem));
                Err(problems)
            }
            checked => {
                exposed.iter().for_each(|problem| message(&format!("warning: {}", escaped(problem))));
                checked
            }
        };
        if self.output.is_json() {
            let problems: Vec<&str> =
                checked.as_ref().err().map(|found| found.iter().collect()).unwrap_or_default();
            print_json(&json!({ "ok": checked.is_ok(), "problems": problems }))?;
        } else if checked.is_ok() {
            print("ok")?;
        }
        Ok(checked?)
    }
}

#[derive(Args)]
#[command(after_help = "Examples:
  tokend config show --config tokend.toml
  tokend config show -o json | jq .leeway.value")]
pub(in crate::cli) struct Show {
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    settings: SettingFlags,
}

impl Show {
    fn run(self) -> Result<(), CliError> {
        let resolved = self.settings.resolve();
        if self.output.is_json() {
            print_json(&document(&resolved))?;
        } else {
            print(&lines(&resolved))?;
        }
        let problems = resolved.problems();
        if problems.is_empty() { Ok(()) } else { Err(problems.into()) }
    }
}

fn document(resolved: &Resolved) -> Value {
    let settings = resolved.shown().into_iter().map(|shown| {
        let mut setting = match shown.secret {
            true => json!({ "set": shown.value.is_some() }),
            false => json!({ "value": shown.value }),
        };
        if let (Some(setting), Some(source)) =
            (setting.as_object_mut(), source(&shown.origin, shown.value.is_some()))
        {
            setting.insert("source".to_owned(), source.into());
        }
        (shown.name.to_owned(), setting)
    });
    Value::Object(settings.collect::<Map<_, _>>())
}

fn lines(resolved: &Resolved) -> String {
    let mut rows = vec![row(["SETTING", "VALUE", "FROM"])];
    rows.extend(resolved.shown().into_iter().map(|shown| {
        let from = source(&shown.origin, shown.value.is_some()).unwrap_or_default();
        let nothing = if shown.secret { "not set" } else { "-" };
        row([shown.name.to_owned(), escaped(shown.value.as_deref().unwrap_or(nothing)), from])
    }));
    table(&rows)
}

fn source(origin: &Origin, has_value: bool) -> Option<String> {
    (has_value || *origin != Origin::Default).then(|| origin.to_string())
}
