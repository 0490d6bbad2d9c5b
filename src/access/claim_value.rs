//! What extra claims may be.

use std::borrow::Cow;

use serde_json::Value;

use crate::model::{ClaimCondition, any_match};

/// Whether a claim with this JSON text is what `allowed` says. What is inside of a claim and not there is no value, and so
/// none that is forbidden; but what it would be inside of must be an object, or a list where a place in one is named. A list
/// or an object as a whole matches nothing, and neither does `null`.
pub(super) fn is_among(json: &str, allowed: &ClaimCondition) -> bool {
    let Ok(claim) = serde_json::from_str::<Value>(json) else { return false };
    let inside = allowed.claim.strip_prefix('/').and_then(|pointer| pointer.split_once('/'));
    let value = match inside {
        None => &claim,
        Some((_, rest)) => match at(&claim, rest) {
            At::Value(value) => value,
            At::Nothing => return true,
            At::Elsewhere => return false,
        },
    };
    let text = match value {
        Value::String(text) => Cow::Borrowed(text.as_str()),
        // As it will be signed: a parsed number may be written in another way.
        Value::Number(_) if inside.is_none() => Cow::Borrowed(json.trim()),
        Value::Number(_) | Value::Bool(_) => Cow::Owned(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => return false,
    };
    any_match(&allowed.values, &text)
}

/// Whether every value that `narrow` allows is allowed by `wide`, where both are about the same claim.
pub(super) fn is_narrower(narrow: &ClaimCondition, wide: &ClaimCondition) -> bool {
    narrow.claim == wide.claim
        && narrow.values.iter().all(|value| wide.values.iter().any(|wide| wide.covers(value)))
}

/// What is at a place inside of a claim.
enum At<'a> {
    Value(&'a Value),
    /// Nothing, in an object or a list that could hold it.
    Nothing,
    /// The claim is of a form that has no such place.
    Elsewhere,
}

/// Follows a JSON pointer (RFC 6901) without its first `/`.
fn at<'a>(claim: &'a Value, pointer: &str) -> At<'a> {
    let mut value = claim;
    for token in pointer.split('/') {
        let inner = match value {
            Value::Object(members) => members.get(&token.replace("~1", "/").replace("~0", "~")),
            Value::Array(items) => match token.parse::<usize>() {
                Ok(index) => items.get(index),
                Err(_) => return At::Elsewhere,
            },
            _ => return At::Elsewhere,
        };
        match inner {
            Some(inner) => value = inner,
            None => return At::Nothing,
        }
    }
    At::Value(value)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::is_among;
    use crate::model::{ClaimCondition, Pattern};

    fn among(json: &str, claim: &str, values: &[&str]) -> bool {
        let values = values.iter().map(|text| Pattern::parse(*text).unwrap()).collect();
        is_among(json, &ClaimCondition { claim: claim.to_owned(), values })
    }

    #[test]
    fn texts_are_compared_as_they_are_and_other_scalars_as_json() {
        assert!(among(r#""acme""#, "t", &["other", "acme"]) && among(r#""acme-eu""#, "t", &["acme-*"]));
        assert!(!among(r#""acme2""#, "t", &["acme"]) && !among(r#""xacme-eu""#, "t", &["acme-*"]));
        assert!(among(r#""\u0061""#, "t", &["a"]) && !among(r#""A""#, "t", &["a"]));
        assert!(
            among("10", "t", &["10"]) && among(" true ", "t", &["true"]) && among(r#""10""#, "t", &["10"])
        );
        assert!(among("9007199254740993", "t", &["9007199254740993"]));
        assert!(!among("9007199254740993", "t", &["9007199254740992"]) && !among("10.0", "t", &["10"]));
    }

    #[test]
    fn what_is_no_scalar_matches_nothing() {
        for json in ["null", "[]", r#"["a"]"#, "{}", r#"{"a":"a"}"#] {
            assert!(!among(json, "t", &["*"]), "{json}");
        }
    }

    #[test]
    fn pointers_lead_inside() {
        let json = r#"{"rate":10,"a/b":{"c":["x","y"]}}"#;
        assert!(among(json, "/t/rate", &["10"]) && !among(json, "/t/rate", &["11"]));
        assert!(among(json, "/t/a~1b/c/1", &["y"]) && !among(json, "/t/a~1b/c/1", &["x"]));
        assert!(
            !among(json, "/t/a~1b", &["*"]) && among("\"x\"", "/t", &["x"]) && !among("\"x\"", "/t", &["y"])
        );
        assert!(among(json, "/t/burst", &["1"]) && among("[[1]]", "/t/1/0", &["2"]), "nothing is there");
        for other in ["\"x\"", "7", "true", "null", "[10]", r#"["rate"]"#] {
            assert!(!among(other, "/t/rate", &["*"]), "{other}");
        }
        assert!(!among(r#"{"a":"x"}"#, "/t/a/rate", &["*"]) && among(r#"{"m~n":1}"#, "/t/m~0n", &["1"]));
    }
}
