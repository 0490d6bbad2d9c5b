//! Keys as JSON and as text. Text shows past times as instants and future times as durations from now.

use std::time::Duration;

use prost_types::Timestamp;
use serde_json::Value;

use crate::{
    cli::{
        output::{escaped, joined, or_dash, row, table},
        time_text::{short, timestamp, with_distance},
    },
    keys::CLOCK_MARGIN,
    model::UnixTime,
    proto::v1::{Key, KeyState, KeyUsage, TrustedKey},
};

/// A key as JSON. Only a pending key has counts of verifiers.
pub(super) fn document(key: &Key) -> Value {
    let mut document = serde_json::to_value(key).unwrap_or_default();
    if key.state() != KeyState::Pending
        && let Some(members) = document.as_object_mut()
    {
        members.insert("verifiers_ready".to_owned(), Value::Null);
        members.insert("verifiers_total".to_owned(), Value::Null);
    }
    document
}

/// The keys of trusted issuers as a table.
pub(super) fn trusted_table(keys: &[TrustedKey]) -> String {
    let mut rows = vec![row(["ISSUER", "KEY", "ALGORITHMS", "PROBLEM"])];
    rows.extend(keys.iter().map(|key| {
        row([escaped(&key.issuer), or_dash(&key.key_id), joined(&key.algorithms), or_dash(&key.problem)])
    }));
    table(&rows)
}

/// All keys as a table, grouped by algorithm; then the planned rotations, and notes.
pub(super) fn timeline(keys: &[Key], now: UnixTime) -> String {
    let mut keys: Vec<&Key> = keys.iter().collect();
    // A stable sort keeps the keys of an algorithm in the order of their age.
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
    section(&mut text, "next", &planned_rotations(&keys, now));
    section(&mut text, "notes", &keys.iter().flat_map(|key| notes(key, now)).collect::<Vec<_>>());
    text
}

/// The state of a key, in a sentence.
pub(super) fn state(key: &Key, now: UnixTime) -> String {
    let (id, algorithm) = (escaped(&key.key_id), escaped(&key.algorithm));
    match key.state() {
        KeyState::Pending => match key.activate_time.map(time) {
            Some(from) => {
                let from = with_distance(from, now);
                format!("key {id} is pending: it signs {algorithm} from {from} at the earliest")
            }
            None => format!("key {id} is pending: it signs {algorithm} after a rotation"),
        },
        KeyState::Active => format!("key {id} signs {algorithm} now"),
        KeyState::Retired => match key.usage() {
            KeyUsage::VerifyOnly => format!("key {id} verifies {algorithm}, and never signs"),
            _ => format!("key {id} is retired: it verifies the {algorithm} tokens that it signed"),
        },
        KeyState::Revoked => format!("key {id} is revoked: its tokens are rejected"),
        KeyState::Unspecified => format!("key {id} is in a state that this version of tokend does not know"),
    }
}

/// The result of a rotation, from the next signing key and the previous one.
pub(super) fn rotation(keys: &[Key], now: UnixTime) -> String {
    let (next, before) = (keys.first(), keys.get(1));
    let next_state = next.map(|key| state(key, now)).unwrap_or_default();
    let pending = next.is_some_and(|key| key.state() == KeyState::Pending);
    match before.map(|key| (escaped(&key.key_id), key.expire_time.map(time))) {
        Some((id, _)) if pending => format!("{next_state}; until then {id} signs"),
        Some((id, Some(until))) => {
            format!("{next_state}; tokens of {id} are valid until {until} at the latest")
        }
        _ => next_state,
    }
}

fn cells(key: &Key, now: UnixTime) -> Vec<String> {
    let state = key.state();
    let verifiers = match state {
        KeyState::Pending => format!("{} of {}", key.verifiers_ready, key.verifiers_total),
        _ => nothing(),
    };
    row([
        escaped(&key.key_id),
        escaped(&key.algorithm),
        state.as_str_name().trim_start_matches("KEY_STATE_").to_ascii_lowercase(),
        match key.usage() {
            KeyUsage::SignAndVerify => "sign".to_owned(),
            KeyUsage::VerifyOnly => "verify".to_owned(),
            KeyUsage::Unspecified => nothing(),
        },
        cell(key.publish_time, now),
        // The state decides, not the time: an overdue change has not happened yet.
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

/// The planned rotations, each with its instant, the next one first.
fn planned_rotations(keys: &[&Key], now: UnixTime) -> Vec<String> {
    let mut planned: Vec<(UnixTime, &Key)> = keys
        .iter()
        .filter(|key| key.state() == KeyState::Pending)
        .filter_map(|key| Some((time(key.activate_time?), *key)))
        .collect();
    planned.sort_by_key(|(at, _)| *at);
    let lines = planned.into_iter().map(|(at, next)| {
        let former =
            keys.iter().find(|key| key.state() == KeyState::Active && key.algorithm == next.algorithm);
        let place = former.map(|key| format!(" in place of {}", escaped(&key.key_id))).unwrap_or_default();
        let from = if at > now { at.to_string() } else { "now due".to_owned() };
        format!("{from}: {} signs {}{place}", escaped(&next.key_id), escaped(&next.algorithm))
    });
    lines.collect()
}

/// What has no column in the table.
fn notes(key: &Key, now: UnixTime) -> Vec<String> {
    let mut notes = Vec::new();
    let mut note = |text: String| notes.push(format!("{}: {text}", escaped(&key.key_id)));
    if !key.issuer.is_empty() {
        note(format!("verifies tokens of {} only", escaped(&key.issuer)));
    }
    if let Some(at) = key.create_time.map(time).filter(|at| *at > now.after(CLOCK_MARGIN)) {
        note(format!("CREATED IN THE FUTURE, {at}: the server's clock was wrong, or yours is"));
    }
    if !key.problem.is_empty() {
        note(format!("CANNOT SIGN: {}", escaped(&key.problem)));
    }
    if let Some(at) = key.revoke_time {
        let (by, why) = (escaped(&key.revoked_by), escaped(&key.revoke_reason));
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

/// A past time as an instant, a future time from now.
fn cell(at: Option<Timestamp>, now: UnixTime) -> String {
    match at.map(time) {
        None => nothing(),
        Some(at) if at > now => ahead(at.since(now)),
        Some(at) => at.to_string(),
    }
}

/// The time of a change that has not happened yet.
fn planned(at: Option<Timestamp>, now: UnixTime) -> String {
    match at.map(time) {
        None => nothing(),
        Some(at) if at > now => ahead(at.since(now)),
        Some(_) => "due".to_owned(),
    }
}

fn ahead(distance: Duration) -> String {
    format!("in {}", short(distance))
}

const fn time(timestamp: Timestamp) -> UnixTime {
    UnixTime::from_seconds(timestamp.seconds)
}

fn nothing() -> String {
    "-".to_owned()
}

#[cfg(test)]
#[expect(clippy::indexing_slicing, reason = "tests fail by panicking")]
mod tests {
    use serde_json::Value;

    use super::{document, rotation, state, timeline};
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

    /// The keys of an algorithm some time after a rotation.
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
    fn the_usual_timeline_fits_a_terminal_and_names_the_next_rotation() {
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
    fn exceptions_have_notes() {
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
        let ahead =
            Key { create_time: at(NOW + 3650 * DAY), publish_time: None, ..key("a", KeyState::Active) };
        let ahead = timeline(&[ahead], UnixTime::from_seconds(NOW));
        assert!(
            ahead.ends_with("notes\n  a: CREATED IN THE FUTURE, 2040-03-14T17:46:40Z: the server's clock was wrong, or yours is"),
            "{ahead}"
        );
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
    fn only_a_pending_key_has_counts_of_verifiers() {
        let [_, active, next] = usual().map(|key| document(&key));
        assert_eq!((&next["state"], &next["verifiers_total"]), (&"PENDING".into(), &3.into()));
        assert_eq!((&active["state"], &active["verifiers_total"]), (&"ACTIVE".into(), &Value::Null));
        assert_eq!((&active["usage"], &next["retire_time"]), (&"SIGN_AND_VERIFY".into(), &Value::Null));
        assert_eq!(next["activate_time"], "2030-04-16T17:45:10Z");
    }

    #[test]
    fn rotations_name_the_signing_key_and_the_instant() {
        let now = UnixTime::from_seconds(NOW);
        let [former, active, next] = usual();
        assert_eq!(
            rotation(&[active.clone(), former], now),
            "key mYagCplHvWxADXiJgycn13iXw_BjzoQe9bhOYdRR91w signs ES256 now; tokens of \
             0ld-CplHvWxADXiJgycn13iXw_BjzoQe9bhOYdRR91w are valid until 2030-03-18T17:45:10Z at the latest"
        );
        assert_eq!(
            rotation(&[Key { activate_time: at(NOW + 60), ..next }, active], now),
            "key next_plHvWxADXiJgycn13iXw_BjzoQe9bhOYdRR91w is pending: it signs ES256 from 2030-03-17T17:47:40Z (in 1m) \
             at the earliest; until then mYagCplHvWxADXiJgycn13iXw_BjzoQe9bhOYdRR91w signs"
        );
        assert_eq!(rotation(&[key("k", KeyState::Active)], now), "key k signs ES256 now");
        let verifies = Key { usage: KeyUsage::VerifyOnly.into(), ..key("k", KeyState::Retired) };
        assert_eq!(state(&verifies, now), "key k verifies ES256, and never signs");
    }
}
