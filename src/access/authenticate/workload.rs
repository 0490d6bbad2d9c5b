//! Callers by a token of a trusted issuer: workload identity.

use std::{sync::Arc, time::Duration};

use serde_json::Value;

use super::jwt::{SignedToken, UnprovenToken};
use crate::{
    access::{TrustedIssuerSettings, snapshot::Workload, trusted_issuers::Held},
    jose::SetLookup,
    model::{ClaimCondition, Client, Reason, Refusal, UnixTime, WorkloadIdentity},
};

/// The token, if it is one of the issuer's, and good at `now`.
pub(in crate::access) fn check(
    token: UnprovenToken<'_>,
    issuer: &TrustedIssuerSettings,
    held: &Held,
    leeway: Duration,
    now: UnixTime,
) -> Result<SignedToken, Refusal> {
    let algorithm = token.header.algorithm;
    let key = match held.keys.find(token.header.key_id.as_deref(), algorithm) {
        SetLookup::Found(key) => key,
        SetLookup::OtherAlgorithm => {
            let detail = "the token's algorithm is not one for which its key is taken";
            return Err(Refusal::new(Reason::AlgorithmNotAllowed, detail));
        }
        SetLookup::Unknown => {
            let detail = "the token's key is none of its issuer's; without `kid` there must be exactly one for its algorithm";
            return Err(Refusal::new(Reason::KeyUnknown, detail));
        }
    };
    // Who else issues tokens, and with which keys, is no secret: there is nothing to hide in how long this takes.
    if !held.is_signed(token.text(), || key.verifies(token.message(), token.signature())) {
        return Err(Refusal::new(Reason::SignatureInvalid, "the token's signature does not verify"));
    }
    token.header.check_type(&issuer.token_types)?;
    let token = token.into_signed()?;
    // The name by which the keys were chosen was read before the signature was checked.
    if token.claims.issuer != issuer.issuer {
        return Err(Refusal::new(Reason::IssuerMismatch, "the token was issued by somebody else"));
    }
    token.check_times(now, leeway)?;
    Ok(token)
}

/// The one client for which the token stands. Several are a mistake of the operator's, and then it is nobody's.
pub(super) fn client(token: &SignedToken, workloads: &[Workload]) -> Result<Arc<Client>, Refusal> {
    let mut found: Option<&Arc<Client>> = None;
    for workload in workloads.iter().filter(|workload| is_met(&workload.identity, token)) {
        match found {
            Some(other) if other.client_id != workload.client.client_id => {
                let detail = "the token meets the conditions of several clients";
                return Err(Refusal::new(Reason::ClaimInvalid, detail));
            }
            _ => found = Some(&workload.client),
        }
    }
    let detail = "the token meets the audience and the conditions of no client";
    found.map(Arc::clone).ok_or(Refusal::new(Reason::AudienceMismatch, detail))
}

/// Whether the token is for the identity's audience, and meets all of its conditions. Without any, every token of the issuer
/// would do: that is never meant.
fn is_met(identity: &WorkloadIdentity, token: &SignedToken) -> bool {
    token.claims.audiences.contains(&identity.audience)
        && !identity.conditions.is_empty()
        && identity.conditions.iter().all(|condition| holds(condition, token))
}

fn holds(condition: &ClaimCondition, token: &SignedToken) -> bool {
    let claim = if condition.claim.starts_with('/') {
        token.pointed_at(&condition.claim)
    } else {
        token.members.get(&condition.claim)
    };
    let matches = |text: &str| condition.values.iter().any(|pattern| pattern.matches(text));
    match claim {
        Some(Value::String(text)) => matches(text),
        Some(value @ (Value::Number(_) | Value::Bool(_))) => matches(&value.to_string()),
        // Whether one of a list is meant, or all, nobody said.
        Some(Value::Null | Value::Array(_) | Value::Object(_)) | None => false,
    }
}
