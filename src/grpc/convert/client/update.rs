//! UpdateClient.

use prost_types::FieldMask;

use super::{
    CLIENT_FIELDS, ClientField,
    settings::{client_settings, settings_message},
};
use crate::{
    grpc::convert::scalar,
    model::{ClientId, ClientSettings, ClientVersion, UnixTime, Violations},
    proto::v1,
};

/// The changes of an UpdateClientRequest.
#[derive(Debug)]
pub(in crate::grpc) struct ClientUpdate {
    /// The client's id.
    pub(in crate::grpc) client_id: ClientId,
    /// The version that the client must still have, if the request names one.
    pub(in crate::grpc) base: Option<ClientVersion>,
    fields: Vec<&'static ClientField>,
    wanted: v1::Client,
}

impl ClientUpdate {
    /// Applies the changes to `current`. The result must be valid as a whole.
    pub(in crate::grpc) fn apply(&self, current: &ClientSettings) -> Result<ClientSettings, Violations> {
        let mut client = settings_message(current.clone());
        for field in &self.fields {
            field.copy(&self.wanted, &mut client);
        }
        client_settings(client).into_result()
    }
}

/// Reads an UpdateClientRequest.
pub(in crate::grpc) fn client_update(message: v1::UpdateClientRequest) -> Result<ClientUpdate, Violations> {
    let mut violations = Violations::default();
    scalar::request_id(&message.request_id, &mut violations);
    let wanted = message.client.unwrap_or_default();
    let client_id = violations.check("client.client_id", ClientId::parse(wanted.client_id.as_str()));
    let base = version(&wanted.etag, "client.etag", &mut violations);
    let fields = fields(message.update_mask.unwrap_or_default(), &wanted, &mut violations);
    violations.into_result()?;
    // Without an id there is a violation.
    let client_id = client_id.ok_or_else(|| Violations::of("client.client_id", "must be given"))?;
    Ok(ClientUpdate { client_id, base, fields, wanted })
}

/// The fields that the mask names; without a mask, those that are not empty.
fn fields(mask: FieldMask, wanted: &v1::Client, violations: &mut Violations) -> Vec<&'static ClientField> {
    const MASK: &str = "update_mask";
    /// More than there are fields, groups of fields included.
    const MAX_PATHS: usize = 64;
    let select =
        |chosen: &dyn Fn(&ClientField) -> bool| CLIENT_FIELDS.iter().filter(|field| chosen(field)).collect();
    let paths = mask.paths;
    match paths.as_slice() {
        [] => {
            let set: Vec<_> = select(&|field| field.is_set(wanted));
            if set.is_empty() {
                violations.add(MASK, "must be given, for `client` holds nothing to change");
            }
            return set;
        }
        [all] if all == "*" => return select(&|_| true),
        paths if paths.len() > MAX_PATHS => {
            violations.add(MASK, format!("must hold at most {MAX_PATHS} paths"));
            return Vec::new();
        }
        _ => {}
    }
    for (index, path) in paths.iter().enumerate() {
        if path == "*" {
            violations.add(MASK, format!("paths[{index}]: `*` must stand alone"));
        } else if !CLIENT_FIELDS.iter().any(|field| field.is_in(path)) {
            let description =
                "must name a field that operators decide, such as `disabled` or `permissions.audiences`";
            violations.add(MASK, format!("paths[{index}]: {description}"));
        }
    }
    select(&|field| paths.iter().any(|path| field.is_in(path)))
}

/// The etag of a client.
pub(super) fn etag(version: ClientVersion) -> String {
    format!("\"{}-{}\"", version.create_time.seconds(), version.revision)
}

/// Reads an optional etag.
pub(in crate::grpc) fn version(
    etag: &str,
    field: &str,
    violations: &mut Violations,
) -> Option<ClientVersion> {
    if etag.is_empty() {
        return None;
    }
    let read = || {
        let (seconds, revision) = etag.strip_prefix('"')?.strip_suffix('"')?.rsplit_once('-')?;
        let create_time = UnixTime::from_seconds(seconds.parse().ok()?);
        Some(ClientVersion { create_time, revision: revision.parse().ok()? })
    };
    violations.check(field, read().ok_or("must be the `etag` of a client, with its quotation marks"))
}
