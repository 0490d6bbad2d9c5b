//! Conversion between `google.protobuf.Struct` and JSON.

use prost_types::{ListValue, Struct, Value as Protobuf, value::Kind};
use serde_json::{Number, Value};

use super::verify::{field_len, put_bytes, put_length};
use crate::jose::{JsonObject, JsonValue, MAX_DEPTH};

/// 2^53: every integer up to here has an exact double.
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

/// Returns the members of a Struct, with their values as JSON text.
pub(crate) fn struct_members(claims: Struct) -> Result<Vec<(String, String)>, &'static str> {
    let members = claims.fields.into_iter().map(|(name, value)| Ok((name, to_json(value, 1)?.to_string())));
    members.collect()
}

fn to_json(value: Protobuf, depth: usize) -> Result<Value, &'static str> {
    if depth > MAX_DEPTH {
        return Err("must not be nested more than 32 deep");
    }
    Ok(match value.kind.ok_or("must hold no value without a kind")? {
        Kind::NullValue(_) => Value::Null,
        Kind::BoolValue(value) => value.into(),
        Kind::StringValue(value) => value.into(),
        Kind::NumberValue(value) => Value::Number(number(value).ok_or("must hold finite numbers")?),
        Kind::ListValue(list) => list
            .values
            .into_iter()
            .map(|value| to_json(value, depth + 1))
            .collect::<Result<Vec<_>, _>>()?
            .into(),
        Kind::StructValue(object) => {
            let members = object
                .fields
                .into_iter()
                .map(|(name, value)| to_json(value, depth + 1).map(|value| (name, value)));
            Value::Object(members.collect::<Result<_, _>>()?)
        }
    })
}

/// Converts a double; one without a fraction becomes an integer.
fn number(value: f64) -> Option<Number> {
    if value.fract() == 0.0 && value.abs() <= MAX_EXACT {
        #[expect(clippy::cast_possible_truncation, reason = "whole and within the range of i64")]
        let integer = value as i64;
        return Some(integer.into());
    }
    Number::from_f64(value)
}

/// Converts a JSON object to a Struct. Integers beyond 2^53 lose digits; `claims_json` keeps them.
pub(super) fn to_struct(members: &JsonObject<'_>) -> Struct {
    Struct { fields: members.iter().map(|(name, value)| (name.to_owned(), to_protobuf(value))).collect() }
}

fn to_protobuf(value: &JsonValue<'_>) -> Protobuf {
    let kind = match value {
        JsonValue::Null => Kind::NullValue(0),
        JsonValue::Bool(value) => Kind::BoolValue(*value),
        JsonValue::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or(f64::NAN)),
        JsonValue::String(text) => Kind::StringValue(text.clone().into_owned()),
        JsonValue::Array(values) => {
            Kind::ListValue(ListValue { values: values.iter().map(to_protobuf).collect() })
        }
        JsonValue::Object(members) => Kind::StructValue(to_struct(members)),
    };
    Protobuf { kind: Some(kind) }
}

/// Appends a JSON object as an encoded Struct, without building the message.
///
/// Field 1 of a Struct is a map: each entry is a message with the name as field 1 and the value as field 2.
pub(super) fn put_struct(members: &JsonObject<'_>, bytes: &mut Vec<u8>) {
    for (name, value) in members.iter() {
        let value_len = value_len(value);
        put_length(1, field_len(name.len()) + field_len(value_len), bytes);
        put_length(1, name.len(), bytes);
        bytes.extend_from_slice(name.as_bytes());
        put_length(2, value_len, bytes);
        put_value(value, bytes);
    }
}

fn put_value(value: &JsonValue<'_>, bytes: &mut Vec<u8>) {
    match value {
        JsonValue::Null => prost::encoding::int32::encode(1, &0, bytes),
        JsonValue::Number(number) => {
            prost::encoding::double::encode(2, &number.as_f64().unwrap_or(f64::NAN), bytes);
        }
        JsonValue::String(text) => put_bytes(3, text.as_bytes(), bytes),
        JsonValue::Bool(value) => prost::encoding::bool::encode(4, value, bytes),
        JsonValue::Object(members) => {
            put_length(5, struct_len(members), bytes);
            put_struct(members, bytes);
        }
        JsonValue::Array(values) => {
            put_length(6, list_len(values), bytes);
            for value in values {
                put_length(1, value_len(value), bytes);
                put_value(value, bytes);
            }
        }
    }
}

/// The length of an encoded Struct.
pub(super) fn struct_len(members: &JsonObject<'_>) -> usize {
    let entry = |(name, value): (&str, &JsonValue<'_>)| field_len(name.len()) + field_len(value_len(value));
    members.iter().map(|member| field_len(entry(member))).sum()
}

fn list_len(values: &[JsonValue<'_>]) -> usize {
    values.iter().map(|value| field_len(value_len(value))).sum()
}

fn value_len(value: &JsonValue<'_>) -> usize {
    match value {
        // A key of one byte, and a varint of one byte or a double of eight.
        JsonValue::Null | JsonValue::Bool(_) => 2,
        JsonValue::Number(_) => 9,
        JsonValue::String(text) => field_len(text.len()),
        JsonValue::Object(members) => field_len(struct_len(members)),
        JsonValue::Array(values) => field_len(list_len(values)),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use prost::Message as _;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_struct_is_encoded_as_the_message_would_be() {
        let long = "é".repeat(300);
        for value in [
            json!({}),
            json!({"": ""}),
            json!({"null": null, "yes": true, "no": false, "zero": 0, "half": 0.5, "big": 9_007_199_254_740_993_u64}),
            json!({"text": long, "empty": [], "none": {}, "nested": {"a": [1, "b", {"c": [null, [long]]}], "d": {"e": {}}}}),
            json!({long: {"deep": [[[[[["x"]]]]]]}}),
        ] {
            let text = value.to_string();
            let members = JsonObject::parse(&text).unwrap();
            let mut bytes = Vec::new();
            put_struct(&members, &mut bytes);
            assert_eq!(bytes.len(), struct_len(&members), "the length is known before");
            assert_eq!(Struct::decode(&*bytes).unwrap(), to_struct(&members));
        }
    }
}
