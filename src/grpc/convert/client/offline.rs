//! The same reading for those who ask no server: the command line looks at files with it.

use super::settings::{client_message, client_settings};
use crate::{
    model::{Client, ClientId, ClientRecord, UnixTime, Violations},
    proto::v1,
};

/// A client as the server would register it.
///
/// # Errors
/// Everything for which the server would refuse it.
pub(crate) fn read_client(message: v1::Client) -> Result<Client, Violations> {
    let mut violations = Violations::default();
    let client_id = violations.check("client.client_id", ClientId::parse(message.client_id.as_str()));
    let settings = client_settings(message).also(violations).into_result()?;
    // Without an id there is a violation.
    let client_id = client_id.ok_or_else(|| Violations::of("client.client_id", "must be given"))?;
    let never = UnixTime::from_seconds(0);
    Ok(Client { client_id, settings, create_time: never, update_time: never, revision: 0, mac: None })
}

/// A client as the server would answer it, without its secrets.
pub(crate) fn shown_client(client: Client) -> v1::Client {
    client_message(ClientRecord { client, secrets: Vec::new() })
}
