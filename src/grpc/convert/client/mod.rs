//! Messages of ClientService.

mod authentication;
mod claim_condition;
mod fields;
mod names;
mod permissions;
mod settings;
mod update;

use std::time::Duration;

use crate::{
    grpc::convert::scalar,
    model::{Client, ClientId, ClientRecord, UnixTime, Violations},
    proto::v1,
};

pub(crate) use fields::CLIENT_FIELDS;
use fields::ClientField;
pub(in crate::grpc) use settings::{client_message, client_settings};
pub(in crate::grpc) use update::{client_update, version};

/// How long the former secrets stay valid when a request does not say.
const DEFAULT_OVERLAP: Duration = Duration::from_secs(24 * 60 * 60);
/// The longest time that the former secrets may stay valid.
const MAX_OVERLAP: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// Reads the id of a client.
pub(in crate::grpc) fn client_id(text: String, violations: &mut Violations) -> Option<ClientId> {
    violations.check("client_id", ClientId::parse(text))
}

/// Reads the optional id of a new client.
pub(in crate::grpc) fn optional_client_id(text: &str, violations: &mut Violations) -> Option<ClientId> {
    if text.is_empty() { None } else { violations.check("client.client_id", ClientId::parse(text)) }
}

/// Reads how long the former secrets stay valid.
pub(in crate::grpc) fn overlap(
    message: Option<prost_types::Duration>,
    violations: &mut Violations,
) -> Duration {
    let Some(message) = message else { return DEFAULT_OVERLAP };
    match scalar::duration(message).filter(|overlap| *overlap <= MAX_OVERLAP) {
        Some(overlap) => overlap,
        None => {
            violations.add("overlap", "must be a duration from zero to 90 days");
            DEFAULT_OVERLAP
        }
    }
}

/// Reads a client without a server, for the files of the command line.
///
/// # Errors
/// All violations, as the server would return them.
pub(crate) fn read_client(message: v1::Client) -> Result<Client, Violations> {
    let mut violations = Violations::default();
    let client_id = violations.check("client.client_id", ClientId::parse(message.client_id.as_str()));
    let settings = client_settings(message).also(violations).into_result()?;
    // Without an id there is a violation.
    let client_id = client_id.ok_or_else(|| Violations::of("client.client_id", "must be given"))?;
    let never = UnixTime::from_seconds(0);
    Ok(Client { client_id, settings, create_time: never, update_time: never, revision: 0, mac: None })
}

/// Converts a client without its secrets, as the server does.
pub(crate) fn shown_client(client: Client) -> v1::Client {
    client_message(ClientRecord { client, secrets: Vec::new() })
}
