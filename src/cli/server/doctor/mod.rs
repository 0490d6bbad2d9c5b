//! `tokend doctor`: checks everything that `tokend serve` needs, from outside, and says how to cure it.
//!
//! Invariant: changes nothing, and prints no secret.

mod machine;
mod store;

use std::sync::Arc;

use clap::Args;
use serde::Serialize;
use serde_json::json;

use super::SettingFlags;
use crate::{
    cli::{
        error::CliError,
        output::{Output, escaped, print, print_json},
    },
    clock::{Clock, SystemClock},
};

#[derive(Args)]
#[command(after_help = "Examples:
  tokend doctor --config /etc/tokend/tokend.toml
  tokend doctor --config /etc/tokend/tokend.toml -o json | jq '.findings[] | select(.level != \"ok\")'

Run it on the server's machine, as the server's user, with the server's settings; the server may run. It checks the settings,
files and their modes, TLS, ports, disk space, the store, its clock, keys and replicas, and the JWK set. It changes nothing.
The exit status is 1 if there is a problem.")]
pub(in crate::cli) struct Doctor {
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    settings: SettingFlags,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    Ok,
    Warning,
    Problem,
}

/// One result of a check.
#[derive(Serialize)]
struct Finding {
    level: Level,
    /// What was checked, and the result.
    what: String,
    /// Why; empty for `ok`.
    cause: String,
    /// The command or step that cures it; empty for `ok`.
    cure: String,
}

/// The findings in the order of the checks.
#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn ok(&mut self, what: impl Into<String>) {
        self.add(Level::Ok, what, "", "");
    }

    fn warning(&mut self, what: impl Into<String>, cause: impl Into<String>, cure: impl Into<String>) {
        self.add(Level::Warning, what, cause, cure);
    }

    fn problem(&mut self, what: impl Into<String>, cause: impl Into<String>, cure: impl Into<String>) {
        self.add(Level::Problem, what, cause, cure);
    }

    fn add(
        &mut self,
        level: Level,
        what: impl Into<String>,
        cause: impl Into<String>,
        cure: impl Into<String>,
    ) {
        self.0.push(Finding { level, what: what.into(), cause: cause.into(), cure: cure.into() });
    }

    fn count(&self, level: Level) -> usize {
        self.0.iter().filter(|finding| finding.level == level).count()
    }
}

impl Doctor {
    pub(in crate::cli) fn run(self) -> Result<(), CliError> {
        let mut findings = Findings::default();
        let Self { output, settings } = self;
        let resolved = settings.resolve();
        for warning in resolved.warnings() {
            findings.warning("settings", warning, "correct or unset the variable");
        }
        for exposed in resolved.exposed_files() {
            let (exposed, cure) = exposed.split_once("; run ").unwrap_or((&exposed, "chmod 0600 FILE"));
            findings.warning("a secret can be read by other users", exposed, cure);
        }
        match resolved.config() {
            Err(problems) => {
                let cure = "correct it; `tokend config show` prints each setting and its source";
                problems.iter().for_each(|problem| findings.problem("settings", problem, cure));
            }
            Ok(config) => {
                findings.ok("settings: complete");
                let clock: Arc<dyn Clock> = Arc::new(SystemClock);
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                runtime.block_on(async {
                    machine::check_tls(&config, &clock, &mut findings);
                    let is_running = machine::check_ports(&config, &mut findings).await;
                    machine::check_disks(&config, &mut findings);
                    let published = store::check(&config, &clock, &mut findings).await;
                    store::check_jwk_set(&config, published, is_running, &mut findings).await;
                });
            }
        }
        let (problems, warnings) = (findings.count(Level::Problem), findings.count(Level::Warning));
        if output.is_json() {
            print_json(&json!({ "ok": problems == 0, "findings": findings.0 }))?;
        } else {
            print(&findings.0.iter().map(lines).collect::<Vec<_>>().join("\n"))?;
        }
        match problems {
            0 => Ok(()),
            _ => Err(CliError::failed(format!("problems: {problems}, warnings: {warnings}"))),
        }
    }
}

fn lines(finding: &Finding) -> String {
    let level = match finding.level {
        Level::Ok => "ok     ",
        Level::Warning => "warning",
        Level::Problem => "problem",
    };
    let mut text = format!("{level}  {}", escaped(&finding.what));
    for (label, part) in [("cause", &finding.cause), ("do", &finding.cure)] {
        if !part.is_empty() {
            text.push_str(&format!("\n         {label}: {}", escaped(part)));
        }
    }
    text
}
