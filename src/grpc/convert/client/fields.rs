//! The settings of a client by their paths in an `update_mask` (AIP-161).

use crate::proto::v1;

/// A setting without fields of its own.
#[derive(Debug)]
pub(crate) struct ClientField {
    /// `permissions.audiences`
    pub(crate) path: &'static str,
    copy: fn(&v1::Client, &mut v1::Client),
}

macro_rules! field {
    ($outer:ident) => {
        ClientField { path: stringify!($outer), copy: |from, to| to.$outer.clone_from(&from.$outer) }
    };
    ($outer:ident . $($inner:ident).+) => {
        ClientField {
            path: concat!(stringify!($outer), $(".", stringify!($inner)),+),
            copy: |from, to| {
                let from = from.$outer.clone().unwrap_or_default();
                let to = to.$outer.get_or_insert_default();
                field!(@copy from to $($inner).+);
            },
        }
    };
    (@copy $from:ident $to:ident $outer:ident) => {
        $to.$outer.clone_from(&$from.$outer)
    };
    (@copy $from:ident $to:ident $outer:ident . $inner:ident) => {
        let from = $from.$outer.clone().unwrap_or_default();
        let to = $to.$outer.get_or_insert_default();
        to.$inner.clone_from(&from.$inner);
    };
}

/// All settings.
pub(crate) static CLIENT_FIELDS: [ClientField; 35] = [
    field!(display_name),
    field!(disabled),
    field!(default_audiences),
    field!(default_ttl),
    field!(token_type),
    field!(algorithm),
    field!(authentication.methods),
    field!(authentication.certificate.uris),
    field!(authentication.certificate.dns_names),
    field!(authentication.assertion_keys.jwks_json),
    field!(authentication.assertion_keys.jwks_file),
    field!(authentication.workload_identities),
    field!(authentication.unix_peer.uids),
    field!(authentication.unix_peer.gids),
    field!(permissions.methods),
    field!(permissions.audiences),
    field!(permissions.scopes),
    field!(permissions.subjects),
    field!(permissions.claims),
    field!(permissions.max_ttl),
    field!(permissions.verify_audiences),
    field!(permissions.claim_values),
    field!(permissions.login_usernames),
    field!(permissions.revoke_subjects),
    field!(permissions.revoke_clients),
    field!(permissions.exchange_subjects),
    field!(permissions.exchange_audiences),
    field!(permissions.exchange_issuers),
    field!(permissions.impersonate),
    field!(permissions.roles),
    field!(permissions.verify_issuers),
    field!(permissions.exchange_actors),
    field!(permissions.admin_clients),
    field!(limits.calls_per_second),
    field!(limits.concurrent_calls),
];

impl ClientField {
    /// Whether a path of a mask names this field, or a field around it.
    pub(super) fn is_in(&self, path: &str) -> bool {
        self.path.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }

    /// Whether the field is not empty.
    pub(super) fn is_set(&self, client: &v1::Client) -> bool {
        self.differs(client, &v1::Client::default())
    }

    /// Whether the two differ in this field.
    pub(crate) fn differs(&self, one: &v1::Client, other: &v1::Client) -> bool {
        let alone = |client| {
            let mut alone = v1::Client::default();
            self.copy(client, &mut alone);
            alone
        };
        alone(one) != alone(other)
    }

    /// Copies the field.
    pub(super) fn copy(&self, from: &v1::Client, to: &mut v1::Client) {
        (self.copy)(from, to);
    }
}
