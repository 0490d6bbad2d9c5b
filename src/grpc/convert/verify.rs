//! VerifyToken's messages.

use std::time::Duration;

use super::{Checked, json, scalar};
use crate::{
    model::{Actor, TokenClaims, VerifyRequest, Violations},
    proto::v1,
    tokens::VerifiedToken,
};

/// Reads a VerifyTokenRequest.
pub(in crate::grpc) fn verify_request(
    message: v1::VerifyTokenRequest,
    max_leeway: Duration,
) -> Checked<VerifyRequest> {
    let mut violations = Violations::default();
    scalar::check_audiences(&message.audiences, "audiences", &mut violations);
    scalar::check_scopes(&message.required_scopes, "required_scopes", &mut violations);
    let leeway = message.leeway.and_then(|leeway| {
        let leeway = scalar::duration(leeway).filter(|leeway| *leeway <= max_leeway);
        if leeway.is_none() {
            let seconds = max_leeway.as_secs();
            violations.add("leeway", format!("must be a duration from zero to {seconds} seconds"));
        }
        leeway
    });
    scalar::check_issuers(&message.issuers, "issuers", &mut violations);
    let value = VerifyRequest {
        token: message.token,
        issuers: message.issuers,
        audiences: message.audiences,
        required_scopes: message.required_scopes,
        leeway,
    };
    Checked { value, violations }
}

/// The answer for a token that may be trusted.
pub(crate) fn verified_answer(verified: VerifiedToken) -> v1::VerifyTokenResponse {
    let token = verified.token;
    v1::VerifyTokenResponse {
        token_claims: Some(token_claims(token.claims.clone())),
        claims: Some(json::to_struct(token.members.clone())),
        claims_json: token.payload.clone(),
        audiences: verified.audiences,
        key_id: token.key_id().as_str().to_owned(),
        cache_ttl: Some(scalar::duration_message(verified.cache_ttl)),
    }
}

/// The registered claims as a message.
pub(super) fn token_claims(claims: TokenClaims) -> v1::TokenClaims {
    let actor = claims.actor.map(|acting| actor(acting, &claims.issuer));
    v1::TokenClaims {
        actor,
        issuer: claims.issuer,
        subject: claims.subject,
        audiences: claims.audiences,
        expire_time: Some(scalar::instant_message(claims.expire_time)),
        not_before_time: claims.not_before_time.map(scalar::instant_message),
        issue_time: claims.issue_time.map(scalar::instant_message),
        jwt_id: claims.jwt_id.unwrap_or_default(),
        client_id: claims.client_id.unwrap_or_default(),
        scopes: claims.scopes,
    }
}

/// An actor as a message. `issuer` is the token's: an actor without one of its own is a subject of that issuer.
fn actor(acting: Actor, issuer: &str) -> v1::Actor {
    v1::Actor {
        subject: acting.subject,
        issuer: acting.issuer.unwrap_or_else(|| issuer.to_owned()),
        actor: acting.actor.map(|before| Box::new(actor(*before, issuer))),
    }
}
