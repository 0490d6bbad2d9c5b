//! The allowed values of extra claims.

use std::borrow::Cow;

use serde_json::Value;

use crate::{
    jose::array_index,
    model::{ClaimCondition, any_match},
};

/// Whether a claim with this JSON text has an allowed value. A missing value inside a claim is allowed, if its container is an object,
/// or a list where the pointer has an index. A list, an object or `null` matches nothing.
pub(super) fn is_among(json: &str, allowed: &ClaimCondition) -> bool {
    let Ok(claim) = serde_json::from_str::<Value>(json) else { return false };
    let inside = allowed.claim.strip_prefix('/').and_then(|pointer| pointer.split_once('/'));
    let value = match inside {
        None => &claim,
        Some((_, rest)) => match at(&claim, rest) {
            Target::Value(value) => value,
            Target::Missing => return true,
            Target::NoContainer => return false,
        },
    };
    let text = match value {
        Value::String(text) => Cow::Borrowed(text.as_str()),
        // The text that is signed: a parsed number may have another text.
        Value::Number(_) if inside.is_none() => Cow::Borrowed(json.trim()),
        Value::Number(_) | Value::Bool(_) => Cow::Owned(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => return false,
    };
    any_match(&allowed.values, &text)
}

/// Whether `wide` is about the same claim and allows every value that `narrow` allows.
pub(super) fn is_narrower(narrow: &ClaimCondition, wide: &ClaimCondition) -> bool {
    narrow.claim == wide.claim
        && narrow.values.iter().all(|value| wide.values.iter().any(|wide| wide.covers(value)))
}

/// The target of a JSON pointer into a claim.
enum Target<'a> {
    Value(&'a Value),
    /// No value, in an object or a list that could contain it.
    Missing,
    /// The claim has no such object or list.
    NoContainer,
}

/// Follows a JSON pointer (RFC 6901) without its first `/`.
fn at<'a>(claim: &'a Value, pointer: &str) -> Target<'a> {
    let mut value = claim;
    for token in pointer.split('/') {
        let inner = match value {
            Value::Object(members) => members.get(&token.replace("~1", "/").replace("~0", "~")),
            Value::Array(items) => match array_index(token) {
                Some(index) => items.get(index),
                None => return Target::NoContainer,
            },
            _ => return Target::NoContainer,
        };
        match inner {
            Some(inner) => value = inner,
            None => return Target::Missing,
        }
    }
    Target::Value(value)
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
    fn strings_are_compared_literally_and_other_scalars_as_json() {
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
    fn values_other_than_scalars_match_nothing() {
        for json in ["null", "[]", r#"["a"]"#, "{}", r#"{"a":"a"}"#] {
            assert!(!among(json, "t", &["*"]), "{json}");
        }
    }

    #[test]
    fn pointers_select_values_inside_a_claim() {
        let json = r#"{"rate":10,"a/b":{"c":["x","y"]}}"#;
        assert!(among(json, "/t/rate", &["10"]) && !among(json, "/t/rate", &["11"]));
        assert!(among(json, "/t/a~1b/c/1", &["y"]) && !among(json, "/t/a~1b/c/1", &["x"]));
        assert!(
            !among(json, "/t/a~1b", &["*"]) && among("\"x\"", "/t", &["x"]) && !among("\"x\"", "/t", &["y"])
        );
        assert!(among(json, "/t/burst", &["1"]) && among("[[1]]", "/t/1/0", &["2"]), "missing");
        for other in ["\"x\"", "7", "true", "null", "[10]", r#"["rate"]"#] {
            assert!(!among(other, "/t/rate", &["*"]), "{other}");
        }
        assert!(!among(r#"{"a":"x"}"#, "/t/a/rate", &["*"]) && among(r#"{"m~n":1}"#, "/t/m~0n", &["1"]));
    }
}
