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
    for rule in audience_rules(reader.text("audience_algorithms").unwrap_or_default()) {
        match rule {
            Ok((pattern, algorithm)) if !algorithms.contains(&algorithm) => {
                let problem = format!("`{pattern}={algorithm}`: {algorithm} must stand in `algorithms` too");
                reader.wrong("audience_algorithms", &problem);
            }
            Ok(rule) => rules.push(rule),
            Err(problem) => reader.wrong("audience_algorithms", &problem),
        }
    }
    rules
}

/// The rules in a text such as `audience_algorithms` has; of each that makes no sense, why.
pub(crate) fn audience_rules(text: &str) -> impl Iterator<Item = Result<(Pattern, Algorithm), String>> {
    text.split(',').map(str::trim).filter(|rule| !rule.is_empty()).map(|rule| {
        let (audience, name) =
            rule.rsplit_once('=').ok_or_else(|| format!("`{rule}`: must be AUDIENCE=NAME"))?;
        let pattern = Pattern::parse(audience.trim()).map_err(|error| format!("`{rule}`: {error}"))?;
        let algorithm = name.trim().parse().map_err(|_| format!("`{rule}`: `{name}` is no algorithm"))?;
        Ok((pattern, algorithm))
    })
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
