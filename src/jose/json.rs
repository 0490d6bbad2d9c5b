//! Strict JSON (RFC 8259): what two readers could understand differently is refused. Duplicate members at any depth
//! (RFC 7519 section 4 allows it), trailing bytes, invalid UTF-8, lone surrogates and deep nesting are errors.

use std::{cell::Cell, fmt};

use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value, value::RawValue};

/// How deeply objects and arrays may be nested, the outermost counted.
pub(crate) const MAX_DEPTH: usize = 32;

/// Why a text is not one strict JSON object.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct JsonError(String);

/// Reads one JSON object.
pub(crate) fn object(bytes: &[u8]) -> Result<Map<String, Value>, JsonError> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let depth = Cell::new(0);
    let value = Strict { depth: &depth }.deserialize(&mut reader).map_err(|error| explain(&error))?;
    reader.end().map_err(|error| explain(&error))?;
    match value {
        Value::Object(members) => Ok(members),
        _ => Err(JsonError("must be a JSON object".to_owned())),
    }
}

/// Reads one JSON object for its outermost members, each with its value's own text, so that no number loses a digit.
pub(crate) fn object_members(text: &str) -> Result<Vec<(String, String)>, JsonError> {
    // The strict pass proves the whole text; the second one only cuts it at the members.
    object(text.as_bytes())?;
    let Members(members) = serde_json::from_str(text).map_err(|error| explain(&error))?;
    Ok(members)
}

/// serde_json's words without the position, and never with any of the text.
fn explain(error: &serde_json::Error) -> JsonError {
    let place = format!(" at line {} column {}", error.line(), error.column());
    let text = error.to_string();
    JsonError(match error.classify() {
        serde_json::error::Category::Data => text.trim_end_matches(&place).to_owned(),
        _ => format!("must be well-formed JSON: {text}"),
    })
}

struct Strict<'d> {
    depth: &'d Cell<usize>,
}

impl Strict<'_> {
    fn enter<E: serde::de::Error>(&self) -> Result<(), E> {
        self.depth.set(self.depth.get() + 1);
        if self.depth.get() > MAX_DEPTH {
            return Err(E::custom(format_args!("must not be nested more than {MAX_DEPTH} deep")));
        }
        Ok(())
    }

    fn leave(&self) {
        self.depth.set(self.depth.get().saturating_sub(1));
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        serde_json::Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| E::custom("must hold finite numbers"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Value, A::Error> {
        self.enter()?;
        let mut values = Vec::new();
        while let Some(value) = sequence.next_element_seed(Strict { depth: self.depth })? {
            values.push(value);
        }
        self.leave();
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        self.enter()?;
        let mut members = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            if members.contains_key(&name) {
                return Err(A::Error::custom("must not name a member twice"));
            }
            let value = map.next_value_seed(Strict { depth: self.depth })?;
            members.insert(name, value);
        }
        self.leave();
        Ok(Value::Object(members))
    }
}

/// The members of an object with their values' texts.
struct Members(Vec<(String, String)>);

impl<'de> serde::Deserialize<'de> for Members {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, &RawValue>()? {
                    members.push((name, value.get().to_owned()));
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Reader)
    }
}
