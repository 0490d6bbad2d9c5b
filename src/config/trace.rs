//! The settings of the audit log, of traces, and of how much is taken on.

use std::{num::NonZeroU32, path::PathBuf};

use url::Url;

use super::{
    reader::{Reader, find},
    table::Setting,
};
use crate::{
    admission::AdmissionLimits,
    audit::{AuditMode, AuditSettings, SinkSettings},
    database::{DatabaseLocation, printable},
    model::ClientLimits,
    store::Location,
    telemetry::TraceSettings,
};

/// What calls leave behind, and how much is taken on of them.
#[derive(Debug)]
pub struct TraceConfig {
    /// `audit_…`
    pub audit: AuditSettings,
    /// `client_calls_per_second`, `client_concurrent_calls` and `lane_queue`.
    pub admission: AdmissionLimits,
    /// `otlp_endpoint` and `trace_…`; none without an endpoint.
    pub traces: Option<TraceSettings>,
}

/// Reads them, and notes what is missing and what is wrong.
pub(super) fn trace(reader: &mut Reader<'_>, store: Option<&Location>) -> TraceConfig {
    let client = ClientLimits {
        calls_per_second: NonZeroU32::new(reader.number("client_calls_per_second")),
        concurrent_calls: NonZeroU32::new(reader.number("client_concurrent_calls")),
    };
    let admission = AdmissionLimits { client, waiting: reader.number("lane_queue") };
    TraceConfig { audit: audit(reader, store), admission, traces: traces(reader) }
}

fn traces(reader: &mut Reader<'_>) -> Option<TraceSettings> {
    let ratio = reader.text("trace_sample_ratio").unwrap_or_default();
    let sample_ratio = ratio.parse::<f64>().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
    let wanted = || format!("`{ratio}` is no number from 0 to 1");
    let sample_ratio = reader.note("trace_sample_ratio", sample_ratio.ok_or_else(wanted));
    let follow_callers = reader.bool("trace_follow_callers");
    let text = reader.text("otlp_endpoint")?;
    let endpoint = Url::parse(text)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host() && url.password().is_none());
    let wanted =
        || format!("`{}` must be a URL such as http://collector:4317, without a password", printable(text));
    let endpoint = reader.note("otlp_endpoint", endpoint.ok_or_else(wanted))?;
    Some(TraceSettings { endpoint, sample_ratio: sample_ratio?, follow_callers: follow_callers? })
}

fn audit(reader: &mut Reader<'_>, store: Option<&Location>) -> AuditSettings {
    let mode = reader.word("audit_mode").unwrap_or_default();
    let buffer = reader.number("audit_buffer");
    let mut names: Vec<&str> = Vec::new();
    let mut sinks = Vec::new();
    for name in reader.text("audit_sinks").unwrap_or_default().split(',').map(str::trim) {
        if names.contains(&name) {
            reader.wrong("audit_sinks", &format!("{name} is there twice"));
            continue;
        }
        names.push(name);
        match name {
            "stdout" => sinks.push(SinkSettings::Stdout),
            "file" => sinks.extend(file(reader).map(SinkSettings::File)),
            "postgres" => sinks.extend(postgres(reader, store).map(SinkSettings::Postgres)),
            _ => reader.wrong("audit_sinks", &format!("`{name}` is none of stdout, file, postgres")),
        }
    }
    for (setting, sink) in [("audit_file", "file"), ("audit_postgres", "postgres")] {
        // With the log off, its settings may stay for the day when it is on again.
        if reader.is_given(setting) && !names.contains(&sink) && mode != AuditMode::Off {
            reader.wrong(setting, &format!("is given, but `{sink}` does not stand in audit_sinks"));
        }
    }
    AuditSettings { mode, sinks, buffer }
}

fn file(reader: &mut Reader<'_>) -> Option<PathBuf> {
    let path = reader.path("audit_file");
    if path.is_none() {
        reader.missing("audit_file");
    }
    path
}

/// The database for the events: its own setting, else the store's.
fn postgres(reader: &mut Reader<'_>, store: Option<&Location>) -> Option<DatabaseLocation> {
    if let Some(secret) = reader.secret("audit_postgres") {
        let location =
            DatabaseLocation::parse(secret.reveal()).map_err(|problem| format!("the URL {problem}"));
        let location = reader.note("audit_postgres", location)?;
        return Some(match secret.file() {
            Some(file) => location.in_file(file),
            None => location,
        });
    }
    match store {
        Some(Location::Postgres(database)) => Some(database.clone()),
        Some(_) if !reader.is_given("audit_postgres") => {
            let given_by = find("audit_postgres").map(Setting::given_by).unwrap_or_default();
            reader.problems.add(format!(
                "audit_postgres is missing, for the store is no PostgreSQL database: set it by {given_by}"
            ));
            None
        }
        // What is wrong with either was said.
        _ => None,
    }
}
