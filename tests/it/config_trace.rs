//! The settings of the audit log, of traces and of limits: what is missing, what is wrong, and what does not fit.

use std::{collections::HashMap, fs};

use tempfile::TempDir;
use tokend::{
    audit::{AuditMode, SinkSettings},
    config::{Config, Inputs},
    store::Location,
};

use crate::harness::SEALING_KEY;

/// What comes of these flags, beside what every server needs.
fn config(flags: &[(&'static str, &str)]) -> Result<Config, Vec<String>> {
    let sound = [("issuer", "https://a.example"), ("allow_plaintext", "true")];
    let is_elsewhere = flags.iter().any(|(name, _)| *name == "store_file");
    let store = [("store", "sqlite:t.db")];
    let flags: HashMap<&'static str, String> = sound
        .iter()
        .chain(if is_elsewhere { &[][..] } else { &store })
        .chain(flags)
        .map(|(name, value)| (*name, (*value).to_owned()))
        .collect();
    let variables = [("TOKEND_SEALING_KEY".into(), SEALING_KEY.into())].into_iter().collect();
    Inputs { flags, variables, file: None }
        .resolve()
        .config()
        .map_err(|problems| problems.to_string().lines().map(str::to_owned).collect())
}

fn sinks(config: &Config) -> Vec<&'static str> {
    config.settings.audit.sinks.iter().map(SinkSettings::name).collect()
}

#[test]
fn without_a_word_events_are_buffered_to_stdout_and_nothing_else_is_on() {
    let config = config(&[]).unwrap();
    assert_eq!((config.settings.audit.mode, config.settings.audit.buffer), (AuditMode::Buffered, 8192));
    assert_eq!(sinks(&config), ["stdout"]);
    assert!(config.settings.traces.is_none());
    let client = config.settings.admission.client;
    assert_eq!((client.calls_per_second, client.concurrent_calls), (None, None));
}

#[tokio::test]
async fn the_audit_database_is_its_own_or_the_stores() {
    let folder = TempDir::new().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let own = file("own", "postgres://audit:hunter2@a/audit\n");
    let url = |config: &Config| match &config.settings.audit.sinks[..] {
        [SinkSettings::Postgres(url)] => url.to_string(),
        other => panic!("{other:?}"),
    };
    let store = ("store", "postgres://tokend:hunter3@b/tokend");
    let postgres = ("audit_sinks", "postgres");
    assert_eq!(url(&config(&[postgres, store]).unwrap()), "postgres://b:5432/tokend");
    let both = config(&[postgres, store, ("audit_postgres", &own)]).unwrap();
    assert_eq!(url(&both), "postgres://a:5432/audit");
    // Read again for each connection, as the store's file is.
    let [SinkSettings::Postgres(database)] = &both.settings.audit.sinks[..] else { panic!("no sink") };
    assert!(!database.has_changed().await);
    let of_store = config(&[("store_file", &own)]).unwrap().settings.store;
    let Location::Postgres(store_database) = of_store else { panic!("{of_store}") };
    assert!(!store_database.has_changed().await);
    file("own", "postgres://audit:another@a/audit\n");
    assert!(database.has_changed().await && store_database.has_changed().await);
    assert!(!format!("{both:?}").contains("hunter2"));
    let missing = config(&[postgres]).unwrap_err().join("\n");
    assert!(
        missing.contains("audit_postgres is missing, because the store is no PostgreSQL database"),
        "{missing}"
    );
    assert!(missing.contains("TOKEND_AUDIT_POSTGRES_FILE"), "{missing}");
    let wrong = file("wrong", "mysql://audit:hunter2@a/audit");
    let wrong = config(&[postgres, ("audit_postgres", &wrong)]).unwrap_err().join("\n");
    assert!(
        wrong.contains("audit_postgres: the URL must begin with postgres://") && !wrong.contains("hunter2"),
        "{wrong}"
    );
}

#[test]
fn what_is_wrong_is_named() {
    for (flags, problem) in [
        (&[("audit_mode", "on")][..], "audit_mode: `on`: must be required, buffered or off"),
        (&[("audit_sinks", "stdout,syslog")], "audit_sinks: `syslog` is none of stdout, file, postgres"),
        (&[("audit_sinks", "stdout, stdout")], "audit_sinks: stdout is there twice"),
        (&[("audit_sinks", "")], "audit_sinks: "),
        (&[("audit_sinks", "file")], "audit_file is missing: set it by flag --audit-file"),
        (&[("audit_file", "a.jsonl")], "audit_file: is given, but `file` is not in audit_sinks"),
        (&[("audit_buffer", "0")], "audit_buffer: `0` is not a whole number from 1"),
        (&[("trace_sample_ratio", "1.5")], "trace_sample_ratio: `1.5` is no number from 0 to 1"),
        (&[("trace_sample_ratio", "NaN")], "trace_sample_ratio: `NaN` is no number"),
        (&[("otlp_endpoint", "collector:4317")], "otlp_endpoint: `…` must be a URL such as"),
        (&[("client_calls_per_second", "-1")], "client_calls_per_second: `-1`"),
    ] {
        let problems = config(flags).unwrap_err();
        assert!(problems.len() == 1 && problems[0].contains(problem), "{problem}: {problems:#?}");
    }
    let secret = config(&[("otlp_endpoint", "http://user:hunter2@collector:4317")]).unwrap_err().join("\n");
    assert!(!secret.contains("hunter2"), "{secret}");
    // What is off may keep its settings.
    assert!(config(&[("audit_mode", "off"), ("audit_file", "a.jsonl")]).is_ok());
}
