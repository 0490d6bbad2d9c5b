//! What claims must be: in a token to issue, and in a workload's token.

use std::collections::HashSet;

use super::permissions::{patterns, texts};
use crate::{
    grpc::convert::scalar,
    model::{ClaimCondition, ExtraClaims, Pattern, Violations, any_match},
    proto::v1,
};

/// The most claims whose values are restricted.
const MOST_CLAIMS: usize = 64;
/// The most conditions of one workload identity.
const MOST_CONDITIONS: usize = 16;
/// The most values of one condition.
const MOST_VALUES: usize = 16;

/// Reads what extra claims may be. A restriction of a claim that cannot be in a token is most likely a misspelled one of
/// a claim that can: it is refused, for it would restrict nothing.
pub(super) fn values(
    messages: Vec<v1::ClaimCondition>,
    allowed: &[Pattern],
    violations: &mut Violations,
) -> Vec<ClaimCondition> {
    const FIELD: &str = "permissions.claim_values";
    if messages.len() > MOST_CLAIMS {
        violations.add(FIELD, format!("must hold at most {MOST_CLAIMS} claims"));
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
    if !(1..=MOST_CONDITIONS).contains(&messages.len()) {
        violations.add(field, format!("must hold 1 to {MOST_CONDITIONS} conditions"));
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
        violations.add(claim_field, "must be a JSON pointer (RFC 6901), for it begins with `/`");
    }
    let values_field = format!("{field}.values");
    if message.values.is_empty() {
        violations.add(&values_field, "must hold at least one pattern");
    }
    let values = patterns(message.values, &values_field, MOST_VALUES, violations);
    ClaimCondition { claim: message.claim, values }
}

/// RFC 6901 section 3: `~` stands only before `0` or `1`.
fn is_pointer(text: &str) -> bool {
    text.split('~').skip(1).all(|after| after.starts_with(['0', '1']))
}

/// A condition as a message.
pub(super) fn message(condition: ClaimCondition) -> v1::ClaimCondition {
    v1::ClaimCondition { claim: condition.claim, values: texts(condition.values) }
}
