//! Conditions on claims: of issued tokens, and of workload tokens.

use std::collections::HashSet;

use super::permissions::{patterns, texts};
use crate::{
    grpc::convert::scalar,
    model::{ClaimCondition, ExtraClaims, Pattern, Violations, any_match},
    proto::v1,
};

/// The most claims with restricted values.
const MAX_CLAIMS: usize = 64;
/// The most conditions of a workload identity.
const MAX_CONDITIONS: usize = 16;
/// The most values of a condition.
const MAX_VALUES: usize = 16;

/// Reads the allowed values of extra claims. A condition on a claim that the client may not set is rejected: it is most likely misspelled,
/// and would restrict nothing.
pub(super) fn values(
    messages: Vec<v1::ClaimCondition>,
    allowed: &[Pattern],
    violations: &mut Violations,
) -> Vec<ClaimCondition> {
    const FIELD: &str = "permissions.claim_values";
    if messages.len() > MAX_CLAIMS {
        violations.add(FIELD, format!("must hold at most {MAX_CLAIMS} claims"));
        return Vec::new();
    }
    let mut named = HashSet::new();
    let conditions: Vec<ClaimCondition> = read_each(messages, FIELD, violations);
    for (index, condition) in conditions.iter().enumerate() {
        let outermost = condition.outermost_claim();
        let mut wrong = |description: &str| violations.add(format!("{FIELD}[{index}].claim"), description);
        if ExtraClaims::REGISTERED.contains(&&*outermost) {
            wrong("must not be a claim that only tokend sets");
        } else if !any_match(allowed, &outermost) {
            wrong("must be among `permissions.claims`");
        } else if !named.insert(condition.claim.as_str()) {
            wrong("must not be named twice");
        }
    }
    conditions
}

/// Reads the conditions of a workload identity.
pub(super) fn conditions(
    messages: Vec<v1::ClaimCondition>,
    field: &str,
    violations: &mut Violations,
) -> Vec<ClaimCondition> {
    if !(1..=MAX_CONDITIONS).contains(&messages.len()) {
        violations.add(field, format!("must hold 1 to {MAX_CONDITIONS} conditions"));
        return Vec::new();
    }
    read_each(messages, field, violations)
}

fn read_each(
    messages: Vec<v1::ClaimCondition>,
    field: &str,
    violations: &mut Violations,
) -> Vec<ClaimCondition> {
    let numbered = messages.into_iter().enumerate();
    numbered.map(|(index, message)| read(message, &format!("{field}[{index}]"), violations)).collect()
}

fn read(message: v1::ClaimCondition, field: &str, violations: &mut Violations) -> ClaimCondition {
    let claim_field = format!("{field}.claim");
    scalar::check_text(&message.claim, &claim_field, violations);
    if message.claim.starts_with('/') && !is_pointer(&message.claim) {
        violations.add(claim_field, "must be a JSON pointer (RFC 6901), because it begins with `/`");
    }
    let values_field = format!("{field}.values");
    if message.values.is_empty() {
        violations.add(&values_field, "must hold at least one pattern");
    }
    let values = patterns(message.values, &values_field, MAX_VALUES, violations);
    ClaimCondition { claim: message.claim, values }
}

/// Checks the escapes of a JSON pointer: `~0` and `~1` (RFC 6901 section 3).
fn is_pointer(text: &str) -> bool {
    text.split('~').skip(1).all(|after| after.starts_with(['0', '1']))
}

/// Converts a condition.
pub(super) fn message(condition: ClaimCondition) -> v1::ClaimCondition {
    v1::ClaimCondition { claim: condition.claim, values: texts(condition.values) }
}
