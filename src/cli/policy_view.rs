//! What policy says, for people and for programs.

use serde_json::{Value, json};

use super::{
    output::plain,
    table::{row, table},
};
use crate::{
    access::{ExplainedValue, Explanation, PolicyError},
    model::Client,
};

/// Nothing, or why the call would be refused.
pub(super) fn verdict(client: &Client, explanation: &Explanation) -> Result<(), String> {
    if client.settings.disabled {
        return Err("denied: the client is disabled".to_owned());
    }
    match &explanation.outcome {
        Ok(()) => Ok(()),
        Err(PolicyError::Denied(denial)) => {
            let by = match &denial.line {
                Some(line) => format!("{} forbids it", plain(line)),
                None => "no line allows it".to_owned(),
            };
            Err(format!("denied: {} {}: {by}", denial.reason.name(), plain(&denial.field)))
        }
        Err(PolicyError::Incomplete(violations)) => {
            let lines =
                violations.as_slice().iter().map(|wrong| format!("{} {}", wrong.field, wrong.description));
            Err(format!("refused: {}", lines.collect::<Vec<_>>().join(", ")))
        }
    }
}

/// A line a value, and what it all comes to.
pub(super) fn text(client: &Client, explanation: &Explanation) -> String {
    let mut rows: Vec<Vec<String>> = explanation.values.iter().map(value_row).collect();
    if client.settings.disabled {
        rows.push(row(["denied", "disabled", "", "the client is disabled"]));
    }
    let is_allowed = verdict(client, explanation).is_ok();
    format!("{}\n{}", table(&rows), if is_allowed { "allowed" } else { "denied" })
}

fn value_row(value: &ExplainedValue) -> Vec<String> {
    let verdict = if value.is_allowed { "allowed" } else { "denied" };
    let shown = value.value.as_deref().map(|value| format!("\"{}\"", plain(value))).unwrap_or_default();
    let line = value.line.as_deref().map_or_else(|| "no line".to_owned(), plain);
    row([verdict.to_owned(), plain(&value.place), shown, line])
}

/// The same for programs.
pub(super) fn document(client: &Client, explanation: &Explanation) -> Value {
    let verdict = verdict(client, explanation);
    let checks: Vec<Value> = explanation
        .values
        .iter()
        .map(|value| {
            json!({
                "field": value.place,
                "value": value.value,
                "allowed": value.is_allowed,
                "line": value.line,
                "reason": (!value.is_allowed).then(|| value.reason.name()),
            })
        })
        .collect();
    json!({
        "client_id": client.client_id.as_str(),
        "allowed": verdict.is_ok(),
        "because": verdict.err(),
        "checks": checks,
    })
}
