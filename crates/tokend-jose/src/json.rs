//! Strict JSON (RFC 8259): an error is what two readers could understand differently. That is duplicate members at any depth (RFC 7519
//! section 4 allows to reject them), trailing bytes, invalid UTF-8, lone surrogates and deep nesting.

use std::{borrow::Cow, cell::Cell, fmt};

use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value, value::RawValue};

/// The depth to which objects and arrays may be nested, the outermost counted.
pub const MAX_DEPTH: usize = 32;

/// Why a text is not one strict JSON object.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct JsonError(String);

/// A JSON value. Its strings are borrowed from the text, if they hold no escapes.
#[derive(Debug, Clone, PartialEq)]
pub enum JsonValue<'t> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number that an integer of 64 bits or a double can hold.
    Number(Number),
    /// A string, without its quotes and escapes.
    String(Cow<'t, str>),
    /// An array.
    Array(Vec<Self>),
    /// An object.
    Object(JsonObject<'t>),
}

impl JsonValue<'_> {
    /// The string's text, if it is a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The value without its text.
    pub fn into_owned(self) -> JsonValue<'static> {
        match self {
            Self::Null => JsonValue::Null,
            Self::Bool(value) => JsonValue::Bool(value),
            Self::Number(number) => JsonValue::Number(number),
            Self::String(text) => JsonValue::String(text.into_owned().into()),
            Self::Array(values) => JsonValue::Array(values.into_iter().map(JsonValue::into_owned).collect()),
            Self::Object(members) => JsonValue::Object(members.into_owned()),
        }
    }
}

/// The members of a JSON object in the order of the text. No name occurs twice.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct JsonObject<'t>(Vec<(Cow<'t, str>, JsonValue<'t>)>);

impl<'t> JsonObject<'t> {
    /// Reads one JSON object.
    ///
    /// # Errors
    /// When `text` is anything else, or not strict.
    pub fn parse(text: &'t str) -> Result<Self, JsonError> {
        Self::read(serde_json::Deserializer::from_str(text))
    }

    fn read<R: serde_json::de::Read<'t>>(mut reader: serde_json::Deserializer<R>) -> Result<Self, JsonError> {
        let depth = Cell::new(0);
        let value = Strict { depth: &depth }.deserialize(&mut reader).map_err(|error| explain(&error))?;
        reader.end().map_err(|error| explain(&error))?;
        match value {
            JsonValue::Object(members) => Ok(members),
            _ => Err(JsonError("must be a JSON object".to_owned())),
        }
    }

    /// The value of the member with this name.
    pub fn get(&self, name: &str) -> Option<&JsonValue<'t>> {
        self.0.iter().find(|(other, _)| other == name).map(|(_, value)| value)
    }

    /// The value that a JSON pointer (RFC 6901) refers to. The object itself, whose pointer is empty, is not a value.
    pub fn pointer(&self, pointer: &str) -> Option<&JsonValue<'t>> {
        let mut tokens =
            pointer.strip_prefix('/')?.split('/').map(|token| token.replace("~1", "/").replace("~0", "~"));
        let outermost = self.get(&tokens.next()?)?;
        tokens.try_fold(outermost, |value, token| match value {
            JsonValue::Object(members) => members.get(&token),
            JsonValue::Array(values) => values.get(array_index(&token)?),
            _ => None,
        })
    }

    /// The object without its text.
    pub fn into_owned(self) -> JsonObject<'static> {
        let member =
            |(name, value): (Cow<'t, str>, JsonValue<'t>)| (name.into_owned().into(), value.into_owned());
        JsonObject(self.0.into_iter().map(member).collect())
    }

    /// The members.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &JsonValue<'t>)> {
        self.0.iter().map(|(name, value)| (&**name, value))
    }

    /// The number of members.
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no members.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn names_a_member_twice(&self) -> bool {
        // Few names are compared fastest pair by pair. Many are sorted, so that the cost does not grow with the square.
        const FEW: usize = 16;
        let names = || self.0.iter().map(|(name, _)| &**name);
        if self.0.len() <= FEW {
            return names().enumerate().any(|(index, name)| names().take(index).any(|before| before == name));
        }
        let mut sorted: Vec<&str> = names().collect();
        sorted.sort_unstable();
        sorted.windows(2).any(|pair| pair.first() == pair.last())
    }
}

/// Reads an array index of a JSON pointer (RFC 6901 section 4): digits alone, without leading zeros.
pub fn array_index(token: &str) -> Option<usize> {
    let is_index = token == "0" || !token.starts_with('0') && token.bytes().all(|byte| byte.is_ascii_digit());
    token.parse().ok().filter(|_| is_index)
}

impl From<JsonObject<'_>> for Map<String, Value> {
    fn from(object: JsonObject<'_>) -> Self {
        object.0.into_iter().map(|(name, value)| (name.into_owned(), value.into())).collect()
    }
}

impl From<JsonValue<'_>> for Value {
    fn from(value: JsonValue<'_>) -> Self {
        match value {
            JsonValue::Null => Self::Null,
            JsonValue::Bool(value) => Self::Bool(value),
            JsonValue::Number(number) => Self::Number(number),
            JsonValue::String(text) => Self::String(text.into_owned()),
            JsonValue::Array(values) => values.into_iter().collect(),
            JsonValue::Object(members) => Self::Object(members.into()),
        }
    }
}

/// Reads one JSON object whose members outlive its text.
///
/// # Errors
/// When the bytes are anything else, or not strict.
pub fn object(bytes: &[u8]) -> Result<Map<String, Value>, JsonError> {
    JsonObject::read(serde_json::Deserializer::from_slice(bytes)).map(Into::into)
}

/// Reads one JSON object for its outermost members, each with its value's own text, so that no number loses a digit.
///
/// # Errors
/// When `text` is anything else, or not strict.
pub fn object_members(text: &str) -> Result<Vec<(String, String)>, JsonError> {
    // The strict pass checks the whole text; the second one only splits it into members.
    JsonObject::parse(text)?;
    let Members(members) = serde_json::from_str(text).map_err(|error| explain(&error))?;
    Ok(members)
}

/// The description of serde_json without the position, and never with any of the text.
fn explain(error: &serde_json::Error) -> JsonError {
    let place = format!(" at line {} column {}", error.line(), error.column());
    let text = error.to_string();
    JsonError(match error.classify() {
        serde_json::error::Category::Data => text.trim_end_matches(&place).to_owned(),
        _ => format!("must be well-formed JSON: {text}"),
    })
}

/// Reads a value, and counts how deeply it is nested.
#[derive(Clone, Copy)]
struct Strict<'d> {
    depth: &'d Cell<usize>,
}

impl Strict<'_> {
    fn enter<E: serde::de::Error>(self) -> Result<(), E> {
        self.depth.set(self.depth.get() + 1);
        if self.depth.get() > MAX_DEPTH {
            return Err(E::custom(format_args!("must not be nested more than {MAX_DEPTH} deep")));
        }
        Ok(())
    }

    fn leave(self) {
        self.depth.set(self.depth.get().saturating_sub(1));
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = JsonValue<'de>;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<JsonValue<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = JsonValue<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<JsonValue<'de>, E> {
        Ok(JsonValue::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<JsonValue<'de>, E> {
        Ok(JsonValue::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<JsonValue<'de>, E> {
        Ok(JsonValue::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<JsonValue<'de>, E> {
        Ok(JsonValue::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<JsonValue<'de>, E> {
        Number::from_f64(value).map(JsonValue::Number).ok_or_else(|| E::custom("must hold finite numbers"))
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<JsonValue<'de>, E> {
        Ok(JsonValue::String(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<JsonValue<'de>, E> {
        Ok(JsonValue::String(value.to_owned().into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<JsonValue<'de>, A::Error> {
        self.enter()?;
        let mut values = Vec::new();
        while let Some(value) = sequence.next_element_seed(self)? {
            values.push(value);
        }
        self.leave();
        Ok(JsonValue::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<JsonValue<'de>, A::Error> {
        self.enter()?;
        let mut members = JsonObject::default();
        while let Some(name) = map.next_key_seed(Name)? {
            members.0.push((name, map.next_value_seed(self)?));
        }
        if members.names_a_member_twice() {
            return Err(A::Error::custom("must not name a member twice"));
        }
        self.leave();
        Ok(JsonValue::Object(members))
    }
}

/// Reads a member's name.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Cow<'de, str>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Cow<'de, str>, E> {
        Ok(name.into())
    }

    fn visit_str<E>(self, name: &str) -> Result<Cow<'de, str>, E> {
        Ok(name.to_owned().into())
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

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn strings_without_escapes_are_borrowed() {
        let object = JsonObject::parse(r#"{"a":"x","b\u0063":"y\n"}"#).unwrap();
        let borrowed = |text: &Cow<'_, str>| matches!(text, Cow::Borrowed(_));
        let found: Vec<_> = object.0.iter().map(|(name, value)| (borrowed(name), value.clone())).collect();
        let text = |text: &'static str| JsonValue::String(text.into());
        assert_eq!(found, [(true, text("x")), (false, text("y\n"))]);
        assert!(matches!(object.get("a"), Some(JsonValue::String(text)) if borrowed(text)));
        assert_eq!(Map::from(object.clone().into_owned()), Map::from(object));
    }

    #[test]
    fn a_member_that_comes_twice_is_found_among_few_and_among_many() {
        for count in [1, 2, 16, 17, 300] {
            let names: Vec<String> = (0..count).map(|number| format!("n{number}")).collect();
            let text = |names: &[String]| {
                let members: Vec<String> = names.iter().map(|name| format!("{name:?}:0")).collect();
                format!("{{{}}}", members.join(","))
            };
            assert_eq!(JsonObject::parse(&text(&names)).unwrap().len(), count);
            for (first, second) in [(0, count - 1), (count - 1, 0), (count / 2, count / 2)] {
                let mut twice = names.clone();
                twice.insert(first, names.get(second).cloned().unwrap());
                let error = JsonObject::parse(&text(&twice)).unwrap_err();
                assert_eq!(error.to_string(), "must not name a member twice");
            }
        }
    }

    #[test]
    fn a_pointer_refers_to_a_value() {
        let text = r#"{"":"empty","a/b":{"m~n":[["x"],true]},"list":["first",null],"o":{"0":1,"01":2}}"#;
        let object = JsonObject::parse(text).unwrap();
        for (pointer, value) in [
            ("/", Some(json!("empty"))),
            ("/a~1b/m~0n/0/0", Some(json!("x"))),
            ("/a~1b/m~0n/1", Some(json!(true))),
            ("/list/1", Some(json!(null))),
            ("/o/0", Some(json!(1))),
            ("/o/01", Some(json!(2))),
            ("", None),
            ("list", None),
            ("/list/2", None),
            ("/list/-", None),
            ("/list/", None),
            // RFC 6901 section 4: no sign, no leading zeros.
            ("/list/+1", None),
            ("/list/01", None),
            ("/list/00", None),
            ("/list/0/0", None),
            ("/missing", None),
        ] {
            assert_eq!(object.pointer(pointer).cloned().map(Value::from), value, "{pointer}");
        }
    }
}
