//! `tokend config`: the settings of `serve`, checked and shown.

use std::sync::Arc;

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::{
    failure::Failure,
    output::{Output, plain, print, print_json, talk},
    setting_flags::SettingFlags,
    table::{row, table},
};
use crate::{
    clock::SystemClock,
    config::{Origin, Problems, Resolved, Transport},
    listen::TlsKeeper,
};

#[derive(Subcommand)]
pub(super) enum ConfigCommand {
    /// Say whether `tokend serve` would start with these settings; opens neither store, audit log nor port
    Check(Check),
    /// Print each setting with its value and where that comes from
    Show(Show),
}

impl ConfigCommand {
    pub(super) fn run(self) -> Result<(), Failure> {
        match self {
            Self::Check(command) => command.run(),
            Self::Show(command) => command.run(),
        }
    }
}

#[derive(Args)]
#[command(after_help = "Example:
  tokend config check --strict --config /etc/tokend/tokend.toml")]
pub(super) struct Check {
    /// Refuse what is only warned of otherwise: files with secrets that others than their owner can read
    #[arg(long)]
    strict: bool,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    settings: SettingFlags,
}

impl Check {
    fn run(self) -> Result<(), Failure> {
        let resolved = self.settings.resolve();
        let checked = resolved.config().and_then(|config| match config.transport {
            Transport::Tls { files, .. } => {
                TlsKeeper::open(files, Arc::new(SystemClock)).map(drop).map_err(|wrong| {
                    let mut problems = Problems::default();
                    problems.add(wrong.to_string());
                    problems
                })
            }
            Transport::Plaintext => Ok(()),
        });
        resolved.warnings().iter().for_each(|problem| talk(&format!("warning: {}", plain(problem))));
        let exposed = resolved.exposed_files();
        let checked = match checked {
            Ok(()) if self.strict && !exposed.is_empty() => {
                let mut problems = Problems::default();
                exposed.iter().for_each(|problem| problems.add(problem));
                Err(problems)
            }
            checked => {
                exposed.iter().for_each(|problem| talk(&format!("warning: {}", plain(problem))));
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
        checked.map_err(|problems| refused(&problems))
    }
}

#[derive(Args)]
#[command(after_help = "Examples:
  tokend config show --config tokend.toml
  tokend config show -o json | jq .leeway.value")]
pub(super) struct Show {
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    settings: SettingFlags,
}

impl Show {
    fn run(self) -> Result<(), Failure> {
        let resolved = self.settings.resolve();
        if self.output.is_json() {
            print_json(&document(&resolved))?;
        } else {
            print(&lines(&resolved))?;
        }
        let problems = resolved.problems();
        if problems.is_empty() { Ok(()) } else { Err(refused(&problems)) }
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
        row([shown.name.to_owned(), plain(shown.value.as_deref().unwrap_or(nothing)), from])
    }));
    table(&rows)
}

fn source(origin: &Origin, has_value: bool) -> Option<String> {
    (has_value || *origin != Origin::Default).then(|| origin.to_string())
}

/// Wrong settings as a failure: one line a problem, and nothing but that line for a single one.
pub(super) fn refused(problems: &Problems) -> Failure {
    let lines: Vec<String> = problems.iter().map(plain).collect();
    match lines.as_slice() {
        [line] => Failure::usage(line),
        _ => Failure::usage(format!("the settings are incomplete or wrong:\n  {}", lines.join("\n  "))),
    }
}
