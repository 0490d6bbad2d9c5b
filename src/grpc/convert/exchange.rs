//! Messages of ExchangeToken.

use super::{Checked, scalar};
use crate::{
    model::{ExchangeRequest, Violations},
    proto::v1,
};

/// The supported token types (RFC 8693 section 3): all tokens are JWTs, and are used as access tokens.
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

/// Reads an ExchangeTokenRequest. The second value is the requested token type.
pub(in crate::grpc) fn exchange_request(
    message: v1::ExchangeTokenRequest,
) -> (Checked<ExchangeRequest>, String) {
    let mut violations = Violations::default();
    required(&message.subject_token, "subject_token", &mut violations);
    token_type(&message.subject_token_type, "subject_token_type", &mut violations);
    // One without the other is a mistake, and must not count as a request without an actor.
    let is_acting = !message.actor_token.is_empty() || !message.actor_token_type.is_empty();
    if is_acting {
        required(&message.actor_token, "actor_token", &mut violations);
        token_type(&message.actor_token_type, "actor_token_type", &mut violations);
    }
    let mut requested = message.requested_token_type;
    if requested.is_empty() {
        ACCESS_TOKEN.clone_into(&mut requested);
    }
    token_type(&requested, "requested_token_type", &mut violations);
    scalar::check_audiences(&message.audiences, "audiences", &mut violations);
    scalar::check_scopes(&message.scopes, "scopes", &mut violations);
    scalar::request_id(&message.request_id, &mut violations);
    let value = ExchangeRequest {
        subject_token: message.subject_token,
        actor_token: is_acting.then_some(message.actor_token),
        audiences: message.audiences,
        scopes: message.scopes,
        ttl: scalar::ttl(message.ttl, "ttl", &mut violations),
    };
    (Checked { value, violations }, requested)
}

fn required(token: &str, field: &str, violations: &mut Violations) {
    if token.is_empty() {
        violations.add(field, "must not be empty");
    }
}

fn token_type(name: &str, field: &str, violations: &mut Violations) {
    if ![ACCESS_TOKEN, JWT].contains(&name) {
        violations.add(field, format!("must be `{ACCESS_TOKEN}` or `{JWT}`"));
    }
}
