//! The answer of policy as text and as JSON.

use serde_json::{Value, json};

use crate::{
    access::{DenialReason, ExplainedValue, Explanation, PolicyError},
    cli::output::{escaped, row, table},
    model::Client,
};

/// Why the call would be rejected.
pub(super) struct Rejection {
    /// The error reason of the server, if policy rejects the call.
    reason: Option<&'static str>,
    field: Option<String>,
    pub(super) message: String,
}

pub(super) fn verdict(client: &Client, explanation: &Explanation) -> Result<(), Rejection> {
    if client.settings.disabled {
        let message = "denied: the client is disabled".to_owned();
        return Err(Rejection { reason: None, field: None, message });
    }
    match &explanation.outcome {
        Ok(()) => Ok(()),
        Err(PolicyError::Denied(denial)) => {
            let by = match &denial.line {
                Some(line) => format!("{} forbids it", escaped(line)),
                None => holder(denial.reason).unwrap_or("no line allows it").to_owned(),
            };
            let reason = denial.reason.name();
            let message = format!("denied: {reason} {}: {by}", escaped(&denial.field));
            Err(Rejection { reason: Some(reason), field: Some(denial.field.clone()), message })
        }
        Err(PolicyError::Incomplete(violations)) => {
            let violations = violations.as_slice();
            let lines = violations.iter().map(|wrong| format!("{} {}", wrong.field, wrong.description));
            let message = format!("refused: {}", lines.collect::<Vec<_>>().join(", "));
            let field = violations.first().map(|wrong| wrong.field.clone());
            Err(Rejection { reason: Some("FIELD_INVALID"), field, message })
        }
    }
}

/// Why a value is denied that no line of the client's policy decides.
const fn holder(reason: DenialReason) -> Option<&'static str> {
    match reason {
        DenialReason::UserScope => Some("the user does not have it"),
        DenialReason::SessionAudience | DenialReason::SessionScope => Some("the session does not have it"),
        DenialReason::TokenScope => Some("the subject token does not have it"),
        DenialReason::Actor => Some("the subject token's `may_act` does not name it"),
        DenialReason::Method
        | DenialReason::Audience
        | DenialReason::Scope
        | DenialReason::Subject
        | DenialReason::Claim
        | DenialReason::Ttl
        | DenialReason::Impersonation
        | DenialReason::TokenIssuer
        | DenialReason::TokenAudience
        | DenialReason::TokenSubject
        | DenialReason::VerifiedIssuer
        | DenialReason::Exceeding => None,
    }
}

/// A line for each value, and the result.
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
    let shown = value.value.as_deref().map(|value| format!("\"{}\"", escaped(value))).unwrap_or_default();
    let line = match &value.line {
        Some(line) => escaped(line),
        None => holder(value.reason).unwrap_or("no line").to_owned(),
    };
    row([verdict.to_owned(), escaped(&value.place), shown, line])
}

pub(super) fn document(client: &Client, explanation: &Explanation) -> Value {
    let rejection = verdict(client, explanation).err();
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
        "allowed": rejection.is_none(),
        "reason": rejection.as_ref().and_then(|rejection| rejection.reason),
        "field": rejection.as_ref().and_then(|rejection| rejection.field.as_deref()),
        "because": rejection.as_ref().map(|rejection| rejection.message.as_str()),
        "checks": checks,
    })
}
