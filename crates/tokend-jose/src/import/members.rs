//! JSON that may contain private keys: read strictly, erased when it is dropped.

use std::ops::Deref;

use serde_json::{Map, Value};
use zeroize::Zeroize as _;

use super::problem::{ImportError, Problem};
use crate::json;

/// The members of one JSON object.
pub(super) struct Members(Map<String, Value>);

impl Members {
    pub(super) fn parse(text: &str) -> Result<Self, ImportError> {
        // Tools on Windows begin a file with a byte order mark.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let members = json::object(text.as_bytes()).map_err(|error| Problem::Json(error.to_string()))?;
        Ok(Self(members))
    }
}

impl Deref for Members {
    type Target = Map<String, Value>;

    fn deref(&self) -> &Map<String, Value> {
        &self.0
    }
}

impl Drop for Members {
    fn drop(&mut self) {
        self.0.values_mut().for_each(wipe);
    }
}

fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(values) => values.iter_mut().for_each(wipe),
        Value::Object(members) => members.values_mut().for_each(wipe),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
