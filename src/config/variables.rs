//! Variables that look like settings and are none.

use std::{collections::HashMap, ffi::OsString};

use super::{
    nearest::nearest,
    table::{Setting, settings},
};

/// Variables of the command line that are no settings.
const OTHERS: [&str; 7] = [
    "TOKEND_CONFIG",
    "TOKEND_ADDR",
    "TOKEND_CLIENT_SECRET",
    "TOKEND_CLIENT_SECRET_FILE",
    "TOKEND_CA_FILE",
    "TOKEND_CERT_FILE",
    "TOKEND_KEY_FILE",
];

/// A warning for each variable that begins with `TOKEND_` and sets nothing, in the order of their names.
pub(super) fn unknown(variables: &HashMap<OsString, OsString>) -> Vec<String> {
    let known: Vec<String> = settings()
        .flat_map(|setting: &Setting| [Some(setting.variable()), setting.file_variable()])
        .flatten()
        .chain(OTHERS.map(str::to_owned))
        .collect();
    let named = variables
        .iter()
        .filter_map(|(name, value)| Some((name.to_str()?, value.to_str().unwrap_or_default())));
    let mut unknown: Vec<&str> = named
        .filter(|(name, value)| {
            // Case decides: `tokend_issuer` sets nothing either.
            name.to_ascii_uppercase().starts_with("TOKEND_")
                && !known.iter().any(|known| known == name)
                && !is_of_kubernetes(name, value)
        })
        .map(|(name, _)| name)
        .collect();
    unknown.sort_unstable();
    let warning = |name: &str| match nearest(&name.to_ascii_uppercase(), known.iter().map(String::as_str)) {
        Some(near) => format!("the variable {name} sets nothing; did you mean {near}?"),
        None => format!("the variable {name} sets nothing: there is no such setting"),
    };
    unknown.into_iter().map(warning).collect()
}

/// Whether Kubernetes makes the variable for a Service: `TOKEND_SERVICE_HOST`, `TOKEND_PORT=tcp://…` and `TOKEND_PORT_50051_TCP_ADDR`
/// for one named tokend, `TOKEND_GRPC_SERVICE_HOST` for one named tokend-grpc.
fn is_of_kubernetes(name: &str, value: &str) -> bool {
    let is_protocol = |rest: &str| {
        let rest = rest.trim_start_matches(|character: char| character.is_ascii_digit());
        ["_TCP", "_UDP", "_SCTP"].into_iter().any(|protocol| rest.starts_with(protocol))
    };
    name.ends_with("_SERVICE_HOST")
        || name.ends_with("_SERVICE_PORT")
        || name.contains("_SERVICE_PORT_")
        || name.split("_PORT_").skip(1).any(is_protocol)
        || (name.ends_with("_PORT")
            && ["tcp://", "udp://", "sctp://"].into_iter().any(|scheme| value.starts_with(scheme)))
}
