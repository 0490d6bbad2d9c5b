//! `google.protobuf.Struct` and JSON.

use prost_types::{ListValue, Struct, Value as Protobuf, value::Kind};
use serde_json::{Map, Number, Value};

use crate::jose::MAX_DEPTH;

/// 2^53: up to here every integer is a double of its own.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// The members of a Struct with their values as JSON text.
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

/// A double as JSON: without a fraction it is written as the integer that it is.
fn number(value: f64) -> Option<Number> {
    if value.fract() == 0.0 && value.abs() <= EXACT {
        #[expect(clippy::cast_possible_truncation, reason = "whole and within the range of i64")]
        let integer = value as i64;
        return Some(integer.into());
    }
    Number::from_f64(value)
}

/// A JSON object as a Struct. Integers beyond 2^53 lose digits here; `claims_json` has them.
pub(super) fn to_struct(members: Map<String, Value>) -> Struct {
    Struct { fields: members.into_iter().map(|(name, value)| (name, to_protobuf(value))).collect() }
}

fn to_protobuf(value: Value) -> Protobuf {
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(value) => Kind::BoolValue(value),
        Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or(f64::NAN)),
        Value::String(text) => Kind::StringValue(text),
        Value::Array(values) => {
            Kind::ListValue(ListValue { values: values.into_iter().map(to_protobuf).collect() })
        }
        Value::Object(members) => Kind::StructValue(to_struct(members)),
    };
    Protobuf { kind: Some(kind) }
}
