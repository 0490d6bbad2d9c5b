//! What policy says, for people and for programs.

use serde_json::{Value, json};

use super::{
    output::plain,
    table::{row, table},
};
use crate::{
    access::{DenialReason, ExplainedValue, Explanation, PolicyError},
    model::Client,
};

/// Why the call would be refused.
pub(super) struct Refused {
    /// As the server names it, if policy refuses it.
    reason: Option<&'static str>,
    /// What it is about.
    field: Option<String>,
    /// All of it in words.
    pub(super) because: String,
}

/// Nothing, or why the call would be refused.
pub(super) fn verdict(client: &Client, explanation: &Explanation) -> Result<(), Refused> {
    if client.settings.disabled {
        let because = "denied: the client is disabled".to_owned();
        return Err(Refused { reason: None, field: None, because });
    }
    match &explanation.outcome {
        Ok(()) => Ok(()),
        Err(PolicyError::Denied(denial)) => {
            let by = match &denial.line {
                Some(line) => format!("{} forbids it", plain(line)),
                None => holder(denial.reason).unwrap_or("no line allows it").to_owned(),
            };
            let reason = denial.reason.name();
            let because = format!("denied: {reason} {}: {by}", plain(&denial.field));
            Err(Refused { reason: Some(reason), field: Some(denial.field.clone()), because })
        }
        Err(PolicyError::Incomplete(violations)) => {
            let violations = violations.as_slice();
            let lines = violations.iter().map(|wrong| format!("{} {}", wrong.field, wrong.description));
            let because = format!("refused: {}", lines.collect::<Vec<_>>().join(", "));
            let field = violations.first().map(|wrong| wrong.field.clone());
            Err(Refused { reason: Some("FIELD_INVALID"), field, because })
        }
    }
}

/// Why not, where no line of the client's decides.
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
    let line = match &value.line {
        Some(line) => plain(line),
        None => holder(value.reason).unwrap_or("no line").to_owned(),
    };
    row([verdict.to_owned(), plain(&value.place), shown, line])
}

/// The same for programs.
pub(super) fn document(client: &Client, explanation: &Explanation) -> Value {
    let refused = verdict(client, explanation).err();
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
        "allowed": refused.is_none(),
        "reason": refused.as_ref().and_then(|refused| refused.reason),
        "field": refused.as_ref().and_then(|refused| refused.field.as_deref()),
        "because": refused.as_ref().map(|refused| refused.because.as_str()),
        "checks": checks,
    })
}
