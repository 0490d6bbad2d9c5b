//! How messages are written as JSON and read from TOML: what the serde attributes of `build.rs` name. Fields keep their names
//! of the API, instants and durations are text, enum values are names without the prefix of their enum.

use prost_types::{Duration, Timestamp};
use serde::{Serialize, Serializer, ser::Error as _};
use serde_json::value::RawValue;

use super::v1::{KeyState, KeyUsage};
use crate::model::UnixTime;

pub(crate) fn timestamp<S: Serializer>(time: &Option<Timestamp>, to: S) -> Result<S::Ok, S::Error> {
    time.map(|time| UnixTime::from_seconds(time.seconds).to_string()).serialize(to)
}

pub(crate) fn seconds<S: Serializer>(duration: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
    duration.map(|duration| duration.seconds).serialize(to)
}

/// JSON text as it is: a parsed value might change its numbers.
pub(crate) fn raw<S: Serializer>(json: &str, to: S) -> Result<S::Ok, S::Error> {
    RawValue::from_string(json.to_owned()).map_err(S::Error::custom)?.serialize(to)
}

pub(crate) fn key_state<S: Serializer>(state: &i32, to: S) -> Result<S::Ok, S::Error> {
    let state = KeyState::try_from(*state).unwrap_or_default();
    state.as_str_name().trim_start_matches("KEY_STATE_").serialize(to)
}

pub(crate) fn key_usage<S: Serializer>(usage: &i32, to: S) -> Result<S::Ok, S::Error> {
    let usage = KeyUsage::try_from(*usage).unwrap_or_default();
    usage.as_str_name().trim_start_matches("KEY_USAGE_").serialize(to)
}

/// A message that is absent, with all its fields: programs find each of them.
pub(crate) fn or_default<T: Serialize + Default, S: Serializer>(
    message: &Option<T>,
    to: S,
) -> Result<S::Ok, S::Error> {
    match message {
        Some(message) => message.serialize(to),
        None => T::default().serialize(to),
    }
}

/// `1h 30m`
pub(crate) mod duration {
    use prost_types::Duration;
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer, de::Error as _};

    pub(crate) fn serialize<S: Serializer>(duration: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
        let text = |duration| match std::time::Duration::try_from(duration) {
            Ok(duration) => humantime::format_duration(duration).to_string(),
            Err(_) => "negative".to_owned(),
        };
        duration.map(text).serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
        let Some(text) = Option::<String>::deserialize(from)? else { return Ok(None) };
        let duration = humantime::parse_duration(&text).map_err(D::Error::custom)?;
        Duration::try_from(duration).map(Some).map_err(D::Error::custom)
    }
}

/// `["client_secret"]`
pub(crate) mod authentication_methods {
    use serde::{Deserialize as _, Deserializer, Serializer};

    use crate::proto::v1::AuthenticationMethod;

    const PREFIX: &str = "AUTHENTICATION_METHOD_";

    pub(crate) fn serialize<S: Serializer>(methods: &[i32], to: S) -> Result<S::Ok, S::Error> {
        let name = |method: &i32| {
            let method = AuthenticationMethod::try_from(*method).unwrap_or_default();
            method.as_str_name().trim_start_matches(PREFIX).to_ascii_lowercase()
        };
        to.collect_seq(methods.iter().map(name))
    }

    /// An unknown name becomes `UNSPECIFIED`, which the check of a client rejects with all names that are valid.
    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<i32>, D::Error> {
        let method = |name: String| {
            let upper = name.to_ascii_uppercase();
            let known = AuthenticationMethod::from_str_name(&format!("{PREFIX}{upper}"));
            known.filter(|_| name == name.to_ascii_lowercase()).unwrap_or_default().into()
        };
        Ok(Vec::<String>::deserialize(from)?.into_iter().map(method).collect())
    }
}
