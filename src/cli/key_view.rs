//! Keys for people and for programs.
//!
//! For people, what has passed is an instant and what is to come is said from now, so that a glance tells them apart.

use std::time::Duration;

use prost_types::Timestamp;
use serde_json::{Value, json};

use super::{
    output::plain,
    table::{row, table},
    time_text::{instant, instant_from, still, timestamp},
};
use crate::{
    model::UnixTime,
    proto::v1::{Key, KeyState, KeyUsage},
};

/// A key as JSON, its fields named as in the API; states and usages without the prefix of their enum.
pub(super) fn document(key: &Key) -> Value {
    let pending = key.state() == KeyState::Pending;
    json!({
        "key_id": key.key_id,
        "algorithm": key.algorithm,
        "state": key.state().as_str_name().trim_start_matches("KEY_STATE_"),
        "usage": key.usage().as_str_name().trim_start_matches("KEY_USAGE_"),
        "issuer": key.issuer,
        "create_time": key.create_time.map(timestamp),
        "publish_time": key.publish_time.map(timestamp),
        "activate_time": key.activate_time.map(timestamp),
        "retire_time": key.retire_time.map(timestamp),
        "expire_time": key.expire_time.map(timestamp),
        "verifiers_ready": pending.then_some(key.verifiers_ready),
        "verifiers_total": pending.then_some(key.verifiers_total),
        "revoke_time": key.revoke_time.map(timestamp),
        "revoke_reason": key.revoke_reason,
        "revoked_by": key.revoked_by,
        "problem": key.problem,
    })
}

/// All keys as a table, those of an algorithm together; below it what happens next, and what else is to be known.
pub(super) fn timeline(keys: &[Key], now: UnixTime) -> String {
    let mut keys: Vec<&Key> = keys.iter().collect();
    // Stable: within an algorithm they stay in the order of their age.
    keys.sort_by_key(|key| &key.algorithm);
    let mut rows = vec![row([
        "KEY",
        "ALGORITHM",
        "STATE",
        "USE",
        "PUBLISHED",
        "SIGNS FROM",
        "RETIRES",
        "TOKENS UNTIL",
        "VERIFIERS",
    ])];
    rows.extend(keys.iter().map(|key| cells(key, now)));
    let mut text = table(&rows);
    section(&mut text, "next", &steps(&keys, now));
    section(&mut text, "notes", &keys.iter().flat_map(|key| notes(key)).collect::<Vec<_>>());
    text
}

/// Where a key stands, in a sentence.
pub(super) fn station(key: &Key, now: UnixTime) -> String {
    let (id, algorithm) = (plain(&key.key_id), plain(&key.algorithm));
    match key.state() {
        KeyState::Pending => match key.activate_time.map(time) {
            Some(from) => {
                format!(
                    "key {id} is pending: it signs {algorithm} from {} at the earliest",
                    instant_from(from, now)
                )
            }
            None => format!("key {id} is pending: it signs {algorithm} when it is its turn"),
        },
        KeyState::Active => format!("key {id} signs {algorithm} now"),
        KeyState::Retired => match key.usage() {
            KeyUsage::VerifyOnly => format!("key {id} verifies {algorithm}, and never signs"),
            _ => format!("key {id} is retired: it verifies the {algorithm} tokens that it signed"),
        },
        KeyState::Revoked => format!("key {id} is revoked: its tokens are refused"),
        KeyState::Unspecified => format!("key {id} is in a state that this tokend does not know"),
    }
}

/// What a rotation did, or when it is to be: of the next key to sign and the one before it.
pub(super) fn rotation(keys: &[Key], now: UnixTime) -> String {
    let (next, before) = (keys.first(), keys.get(1));
    let next_station = next.map(|key| station(key, now)).unwrap_or_default();
    let pending = next.is_some_and(|key| key.state() == KeyState::Pending);
    match before.map(|key| (plain(&key.key_id), key.expire_time.map(time))) {
        Some((id, _)) if pending => format!("{next_station}; until then {id} does"),
        Some((id, Some(until))) => {
            format!("{next_station}; the tokens of {id} live until {} at the longest", instant(until))
        }
        _ => next_station,
    }
}

fn cells(key: &Key, now: UnixTime) -> Vec<String> {
    let state = key.state();
    let verifiers = match state {
        KeyState::Pending => format!("{} of {}", key.verifiers_ready, key.verifiers_total),
        _ => nothing(),
    };
    row([
        plain(&key.key_id),
        plain(&key.algorithm),
        word(state.as_str_name(), "KEY_STATE_"),
        match key.usage() {
            KeyUsage::SignAndVerify => "sign".to_owned(),
            KeyUsage::VerifyOnly => "verify".to_owned(),
            KeyUsage::Unspecified => nothing(),
        },
        cell(key.publish_time, now),
        // A plan that is overdue has not happened: the state tells, not the time.
        if state == KeyState::Pending {
            planned(key.activate_time, now)
        } else {
            cell(key.activate_time, now)
        },
        if state == KeyState::Active { planned(key.retire_time, now) } else { cell(key.retire_time, now) },
        if state == KeyState::Revoked { nothing() } else { cell(key.expire_time, now) },
        verifiers,
    ])
}

/// The rotations that are planned, each with its instant, the next one first.
fn steps(keys: &[&Key], now: UnixTime) -> Vec<String> {
    let mut planned: Vec<(UnixTime, &Key)> = keys
        .iter()
        .filter(|key| key.state() == KeyState::Pending)
        .filter_map(|key| Some((time(key.activate_time?), *key)))
        .collect();
    planned.sort_by_key(|(at, _)| *at);
    let said = planned.into_iter().map(|(at, next)| {
        let former =
            keys.iter().find(|key| key.state() == KeyState::Active && key.algorithm == next.algorithm);
        let place = former.map(|key| format!(" in place of {}", plain(&key.key_id))).unwrap_or_default();
        let from = if at > now { instant(at) } else { "now due".to_owned() };
        format!("{from}: {} signs {}{place}", plain(&next.key_id), plain(&next.algorithm))
    });
    said.collect()
}

/// What a table has no column for.
fn notes(key: &Key) -> Vec<String> {
    let mut notes = Vec::new();
    let mut note = |text: String| notes.push(format!("{}: {text}", plain(&key.key_id)));
    if !key.issuer.is_empty() {
        note(format!("verifies tokens of {} only", plain(&key.issuer)));
    }
    if !key.problem.is_empty() {
        note(format!("CANNOT SIGN: {}", plain(&key.problem)));
    }
    if let Some(at) = key.revoke_time {
        let (by, why) = (plain(&key.revoked_by), plain(&key.revoke_reason));
        note(format!("revoked {} by {by}: {why}", timestamp(at)));
    }
    notes
}

/// Adds lines under a heading, if there are any.
fn section(text: &mut String, heading: &str, lines: &[String]) {
    if !lines.is_empty() {
        text.push_str(&format!("\n\n{heading}\n  {}", lines.join("\n  ")));
    }
}

/// A time that has passed as an instant, one to come from now.
fn cell(at: Option<Timestamp>, now: UnixTime) -> String {
    match at.map(time) {
        None => nothing(),
        Some(at) if at > now => ahead(at.since(now)),
        Some(at) => instant(at),
    }
}

/// The time of what has not happened yet.
fn planned(at: Option<Timestamp>, now: UnixTime) -> String {
    match at.map(time) {
        None => nothing(),
        Some(at) if at > now => ahead(at.since(now)),
        Some(_) => "due".to_owned(),
    }
}

fn ahead(distance: Duration) -> String {
    format!("in {}", still(distance))
}

const fn time(timestamp: Timestamp) -> UnixTime {
    UnixTime::from_seconds(timestamp.seconds)
}

fn word(name: &str, prefix: &str) -> String {
    name.trim_start_matches(prefix).to_ascii_lowercase()
}

fn nothing() -> String {
    "-".to_owned()
}

#[cfg(test)]
#[expect(clippy::indexing_slicing, reason = "tests fail by panicking")]
mod tests {
    use super::{document, rotation, station, timeline};
    use crate::{
        model::UnixTime,
        proto::v1::{Key, KeyState, KeyUsage},
    };

    const DAY: i64 = 86_400;
    const NOW: i64 = 1_900_000_000;

    fn at(seconds: i64) -> Option<prost_types::Timestamp> {
        Some(prost_types::Timestamp { seconds, nanos: 0 })
    }

    fn key(key_id: &str, state: KeyState) -> Key {
        Key {
            key_id: key_id.to_owned(),
            algorithm: "ES256".to_owned(),
            state: state.into(),
            usage: KeyUsage::SignAndVerify.into(),
            create_time: at(NOW - 40 * DAY),
            publish_time: at(NOW - 40 * DAY),
            ..Key::default()
        }
    }

    /// What an algorithm has a while after a rotation.
    fn usual() -> [Key; 3] {
        let former = Key {
            activate_time: at(NOW - 30 * DAY),
            retire_time: at(NOW - 90),
            expire_time: at(NOW + DAY - 90),
            ..key("0ld-CplHvWxADXiJgycn13iXw_BjzoQe9bhOYdRR91w", KeyState::Retired)
        };
        let active = Key {
            activate_time: at(NOW - 90),
            retire_time: at(NOW + 30 * DAY - 90),
            expire_time: at(NOW + 31 * DAY - 90),
            ..key("mYagCplHvWxADXiJgycn13iXw_BjzoQe9bhOYdRR91w", KeyState::Active)
        };
        let next = Key {
            activate_time: at(NOW + 30 * DAY - 90),
            verifiers_ready: 2,
            verifiers_total: 3,
            ..key("next_plHvWxADXiJgycn13iXw_BjzoQe9bhOYdRR91w", KeyState::Pending)
        };
        [former, active, next]
    }

    #[test]
    fn the_usual_timeline_fits_a_terminal_and_says_what_is_next() {
        let text = timeline(&usual(), UnixTime::from_seconds(NOW));
        let lines: Vec<&str> = text.lines().collect();
        let expected = [
            "KEY                                          ALGORITHM  STATE    USE   PUBLISHED             SIGNS FROM            RETIRES               TOKENS UNTIL  VERIFIERS",
            "0ld-CplHvWxADXiJgycn13iXw_BjzoQe9bhOYdRR91w  ES256      retired  sign  2030-02-05T17:46:40Z  2030-02-15T17:46:40Z  2030-03-17T17:45:10Z  in 23h 58m    -",
            "mYagCplHvWxADXiJgycn13iXw_BjzoQe9bhOYdRR91w  ES256      active   sign  2030-02-05T17:46:40Z  2030-03-17T17:45:10Z  in 29d 23h            in 30d 23h    -",
            "next_plHvWxADXiJgycn13iXw_BjzoQe9bhOYdRR91w  ES256      pending  sign  2030-02-05T17:46:40Z  in 29d 23h            -                     -             2 of 3",
            "",
            "next",
            "  2030-04-16T17:45:10Z: next_plHvWxADXiJgycn13iXw_BjzoQe9bhOYdRR91w signs ES256 in place of \
             mYagCplHvWxADXiJgycn13iXw_BjzoQe9bhOYdRR91w",
        ];
        assert_eq!(lines, expected);
        assert!(lines.iter().all(|line| line.chars().count() <= 160), "{text}");
    }

    #[test]
    fn what_is_out_of_the_ordinary_is_noted() {
        let foreign = Key {
            usage: KeyUsage::VerifyOnly.into(),
            issuer: "https://other.example/\u{1b}[2J".to_owned(),
            publish_time: None,
            ..key("f", KeyState::Retired)
        };
        let broken = Key {
            problem: "the sealing key is lost".to_owned(),
            retire_time: at(NOW - 1),
            ..key("b", KeyState::Active)
        };
        let overdue = Key { activate_time: at(NOW - 1), ..key("o", KeyState::Pending) };
        let revoked = Key {
            retire_time: at(NOW - DAY),
            expire_time: at(NOW + DAY),
            revoke_time: at(NOW - DAY),
            revoked_by: "admin".to_owned(),
            revoke_reason: "found in a\nbackup".to_owned(),
            ..key("r", KeyState::Revoked)
        };
        let elsewhere = Key { algorithm: "EdDSA".to_owned(), ..key("e", KeyState::Active) };
        let text = timeline(&[foreign, elsewhere, broken, overdue, revoked], UnixTime::from_seconds(NOW));
        assert_eq!(
            text,
            "KEY  ALGORITHM  STATE    USE     PUBLISHED             SIGNS FROM  RETIRES               TOKENS UNTIL  VERIFIERS\n\
             f    ES256      retired  verify  -                     -           -                     -             -\n\
             b    ES256      active   sign    2030-02-05T17:46:40Z  -           due                   -             -\n\
             o    ES256      pending  sign    2030-02-05T17:46:40Z  due         -                     -             0 of 0\n\
             r    ES256      revoked  sign    2030-02-05T17:46:40Z  -           2030-03-16T17:46:40Z  -             -\n\
             e    EdDSA      active   sign    2030-02-05T17:46:40Z  -           -                     -             -\n\
             \nnext\n  now due: o signs ES256 in place of b\n\
             \nnotes\n  f: verifies tokens of https://other.example/\\u{1b}[2J only\n  \
             b: CANNOT SIGN: the sealing key is lost\n  \
             r: revoked 2030-03-16T17:46:40Z by admin: found in a\\nbackup"
        );
    }

    #[test]
    fn documents_have_the_names_of_the_api() {
        let [_, active, next] = usual();
        let expected = serde_json::json!({
            "key_id": "next_plHvWxADXiJgycn13iXw_BjzoQe9bhOYdRR91w",
            "algorithm": "ES256",
            "state": "PENDING",
            "usage": "SIGN_AND_VERIFY",
            "issuer": "",
            "create_time": "2030-02-05T17:46:40Z",
            "publish_time": "2030-02-05T17:46:40Z",
            "activate_time": "2030-04-16T17:45:10Z",
            "retire_time": null,
            "expire_time": null,
            "verifiers_ready": 2,
            "verifiers_total": 3,
            "revoke_time": null,
            "revoke_reason": "",
            "revoked_by": "",
            "problem": "",
        });
        assert_eq!(document(&next), expected);
        assert_eq!(document(&active)["verifiers_total"], serde_json::Value::Null);
    }

    #[test]
    fn rotations_say_who_signs_from_when() {
        let now = UnixTime::from_seconds(NOW);
        let [former, active, next] = usual();
        assert_eq!(
            rotation(&[active.clone(), former], now),
            "key mYagCplHvWxADXiJgycn13iXw_BjzoQe9bhOYdRR91w signs ES256 now; the tokens of \
             0ld-CplHvWxADXiJgycn13iXw_BjzoQe9bhOYdRR91w live until 2030-03-18T17:45:10Z at the longest"
        );
        assert_eq!(
            rotation(&[Key { activate_time: at(NOW + 60), ..next }, active], now),
            "key next_plHvWxADXiJgycn13iXw_BjzoQe9bhOYdRR91w is pending: it signs ES256 from 2030-03-17T17:47:40Z (in 1m) \
             at the earliest; until then mYagCplHvWxADXiJgycn13iXw_BjzoQe9bhOYdRR91w does"
        );
        assert_eq!(rotation(&[key("k", KeyState::Active)], now), "key k signs ES256 now");
        let verifies = Key { usage: KeyUsage::VerifyOnly.into(), ..key("k", KeyState::Retired) };
        assert_eq!(station(&verifies, now), "key k verifies ES256, and never signs");
    }
}
