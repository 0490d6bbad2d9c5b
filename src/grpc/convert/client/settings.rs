//! The settings of a client.

use std::num::NonZeroU32;

use super::{authentication, permissions, update::etag};
use crate::{
    grpc::convert::{Checked, scalar},
    model::{ClientLimits, ClientRecord, ClientSettings, SecretRecord, Violations, any_match},
    proto::v1,
};

/// The longest display name, in characters.
const MAX_NAME: usize = 128;

/// Reads the settings of a client.
pub(in crate::grpc) fn client_settings(message: v1::Client) -> Checked<ClientSettings> {
    let mut violations = Violations::default();
    if message.display_name.chars().count() > MAX_NAME || message.display_name.chars().any(char::is_control) {
        violations.add("display_name", "must be at most 128 characters without control characters");
    }
    let permissions = permissions::read(message.permissions.unwrap_or_default(), &mut violations);
    scalar::check_audiences(&message.default_audiences, "default_audiences", &mut violations);
    for (index, audience) in message.default_audiences.iter().enumerate() {
        if !any_match(&permissions.audiences, audience) {
            let description = "must be among `permissions.audiences`";
            violations.add(format!("default_audiences[{index}]"), description);
        }
    }
    let default_ttl = scalar::ttl(message.default_ttl, "default_ttl", &mut violations);
    if default_ttl.is_some_and(|ttl| ttl > permissions.max_ttl) {
        violations.add("default_ttl", "must not be longer than `permissions.max_ttl`");
    }
    let token_type = Some(message.token_type).filter(|text| !text.is_empty());
    let token_type = token_type.and_then(|text| violations.check("token_type", text.parse()));
    let algorithm = Some(message.algorithm).filter(|text| !text.is_empty());
    let algorithm = algorithm.and_then(|text| violations.check("algorithm", text.parse()));
    let value = ClientSettings {
        display_name: message.display_name,
        disabled: message.disabled,
        default_audiences: message.default_audiences,
        default_ttl,
        token_type: token_type.unwrap_or_default(),
        algorithm,
        permissions,
        authentication: authentication::read(message.authentication.unwrap_or_default(), &mut violations),
        limits: limits(message.limits.unwrap_or_default(), &mut violations),
    };
    Checked { value, violations: violations.prefixed("client.") }
}

fn limits(message: v1::ClientLimits, violations: &mut Violations) -> ClientLimits {
    let mut limit = |number: i32, field: &str| {
        let number = u32::try_from(number);
        if number.is_err() {
            violations.add(field, "must not be negative; zero means the server's own setting");
        }
        NonZeroU32::new(number.unwrap_or_default())
    };
    ClientLimits {
        calls_per_second: limit(message.calls_per_second, "limits.calls_per_second"),
        concurrent_calls: limit(message.concurrent_calls, "limits.concurrent_calls"),
    }
}

/// Converts a client.
pub(in crate::grpc) fn client_message(record: ClientRecord) -> v1::Client {
    let ClientRecord { client, secrets } = record;
    let version = client.version();
    let effective_default_ttl = client.settings.effective_default_ttl();
    let mut message = settings_message(client.settings);
    message.default_ttl = Some(scalar::duration_message(effective_default_ttl.into()));
    message.etag = etag(version);
    message.client_id = client.client_id.into();
    message.create_time = Some(scalar::timestamp(client.create_time));
    message.update_time = Some(scalar::timestamp(client.update_time));
    let authentication = message.authentication.get_or_insert_default();
    authentication.client_secrets = secrets.into_iter().map(secret_message).collect();
    message
}

/// Converts the settings alone; [`client_settings`] reads them.
pub(super) fn settings_message(settings: ClientSettings) -> v1::Client {
    let limit = |limit: Option<NonZeroU32>| {
        limit.map(|limit| i32::try_from(limit.get()).unwrap_or(i32::MAX)).unwrap_or_default()
    };
    let ClientLimits { calls_per_second, concurrent_calls } = settings.limits;
    let limits = v1::ClientLimits {
        calls_per_second: limit(calls_per_second),
        concurrent_calls: limit(concurrent_calls),
    };
    v1::Client {
        display_name: settings.display_name,
        disabled: settings.disabled,
        default_audiences: settings.default_audiences,
        default_ttl: settings.default_ttl.map(|ttl| scalar::duration_message(ttl.into())),
        token_type: settings.token_type.name().to_owned(),
        algorithm: settings.algorithm.map(|algorithm| algorithm.name().to_owned()).unwrap_or_default(),
        authentication: Some(authentication::message(settings.authentication)),
        permissions: Some(permissions::message(settings.permissions)),
        limits: Some(limits).filter(|_| !settings.limits.is_default()),
        ..v1::Client::default()
    }
}

fn secret_message(secret: SecretRecord) -> v1::ClientSecret {
    v1::ClientSecret {
        secret_id: secret.secret_id,
        create_time: Some(scalar::timestamp(secret.create_time)),
        expire_time: secret.expire_time.map(scalar::timestamp),
    }
}
