//! The settings that steer the keys, which must fit each other.

use std::time::Duration;

use super::reader::Reader;
use crate::{
    keys::{RotationSchedule, ScheduleSettings},
    model::{Algorithm, Pattern, Ttl},
};

/// When keys are published, sign, retire and go.
pub(super) fn schedule(
    reader: &mut Reader<'_>,
    max_ttl: Option<Ttl>,
    max_leeway: Duration,
    jwks_max_age: Duration,
) -> Option<RotationSchedule> {
    let settings = ScheduleSettings {
        rotation_period: reader.duration("rotation_period"),
        publish_ahead: reader.duration("publish_ahead"),
        max_ttl: max_ttl?,
        retire_window: reader.is_given("retire_window").then(|| reader.duration("retire_window")),
        max_leeway,
        jwks_max_age,
        await_verifiers: reader.duration("await_verifiers"),
    };
    if !reader.problems.is_empty() {
        // What could not be read counts as zero here, and would be blamed for more than that.
        return None;
    }
    RotationSchedule::new(settings).map_err(|error| reader.wrong(error.setting, &error.problem)).ok()
}

/// What signs for which audiences.
pub(super) fn audience_algorithms(
    reader: &mut Reader<'_>,
    algorithms: &[Algorithm],
) -> Vec<(Pattern, Algorithm)> {
    let mut rules = Vec::new();
    for rule in reader.text("audience_algorithms").unwrap_or_default().split(',').map(str::trim) {
        if rule.is_empty() {
            continue;
        }
        let parsed =
            rule.rsplit_once('=').ok_or("must be AUDIENCE=NAME".to_owned()).and_then(|(audience, name)| {
                let pattern = Pattern::parse(audience.trim()).map_err(|error| error.to_string())?;
                let algorithm: Algorithm =
                    name.trim().parse().map_err(|_| format!("`{name}` is no algorithm"))?;
                if !algorithms.contains(&algorithm) {
                    return Err(format!("{algorithm} must stand in `algorithms` too"));
                }
                Ok((pattern, algorithm))
            });
        match parsed {
            Ok(rule) => rules.push(rule),
            Err(problem) => reader.wrong("audience_algorithms", &format!("`{rule}`: {problem}")),
        }
    }
    rules
}

/// The algorithms to keep keys for.
pub(super) fn algorithms(reader: &mut Reader<'_>) -> Vec<Algorithm> {
    let mut algorithms = Vec::new();
    for name in reader.text("algorithms").unwrap_or_default().split(',').map(str::trim) {
        match name.parse::<Algorithm>() {
            Ok(algorithm) if algorithms.contains(&algorithm) => {
                reader.wrong("algorithms", &format!("{name} is there twice"));
            }
            Ok(algorithm) => algorithms.push(algorithm),
            Err(_) => {
                let known = Algorithm::ALL.map(Algorithm::name).join(", ");
                reader.wrong("algorithms", &format!("`{name}` is none of {known}"));
            }
        }
    }
    algorithms
}
