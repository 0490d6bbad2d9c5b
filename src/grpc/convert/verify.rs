//! Messages of VerifyToken.

use std::time::Duration;

use bytes::Bytes;
use prost::{
    Message as _,
    encoding::{WireType, encode_key, encode_varint, encoded_len_varint},
};

use super::{Checked, json, scalar};
use crate::{
    grpc::framing,
    model::{Actor, TokenClaims, VerifyRequest, Violations},
    proto::v1,
    tokens::{EncodedClaims, ExaminedToken, VerifiedToken},
};

/// Reads a VerifyTokenRequest. The second value is the `read_mask`.
pub(in crate::grpc) fn verify_request(
    message: v1::VerifyTokenRequest,
    max_leeway: Duration,
) -> (Checked<VerifyRequest>, VerifiedFields) {
    let mut violations = Violations::default();
    let fields = VerifiedFields::of(message.read_mask.as_ref(), &mut violations);
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
    (Checked { value, violations }, fields)
}

/// The fields of a VerifyTokenResponse, as a set of their numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::grpc) struct VerifiedFields(u8);

impl VerifiedFields {
    /// Every field.
    pub(in crate::grpc) const ALL: Self = Self(u8::MAX);

    const NAMES: [(u32, &'static str); 6] = [
        (1, "token_claims"),
        (2, "claims"),
        (3, "claims_json"),
        (4, "audiences"),
        (5, "key_id"),
        (6, "cache_ttl"),
    ];

    fn of(mask: Option<&prost_types::FieldMask>, violations: &mut Violations) -> Self {
        let Some(mask) = mask.filter(|mask| !mask.paths.is_empty()) else { return Self::ALL };
        let mut fields = Self(0);
        for path in &mask.paths {
            match Self::NAMES.iter().find(|(_, name)| name == path) {
                Some((number, _)) => fields.0 |= 1 << number,
                None => violations.add("read_mask", "must name fields of VerifyTokenResponse"),
            }
        }
        fields
    }

    const fn contain(self, number: u32) -> bool {
        self.0 & (1 << number) != 0
    }
}

/// Encodes the claims of a token in the three forms of responses.
pub(crate) fn encode_claims(token: &ExaminedToken) -> EncodedClaims {
    EncodedClaims {
        token_claims: token_claims(token.claims.clone()).encode_to_vec().into(),
        claims: json::encode_struct(&token.members).into(),
        claims_json: token.payload.as_bytes().into(),
    }
}

/// Appends the VerifyTokenResponse for a valid token. The claims were [encoded](encode_claims) when the token was first verified.
pub(in crate::grpc) fn encode_verified(
    verified: &VerifiedToken,
    fields: VerifiedFields,
    buffer: &mut Vec<u8>,
) {
    let VerifiedToken { token, audiences, cache_ttl } = verified;
    let encoded = &token.encoded;
    for (number, claims) in [(1, &encoded.token_claims), (2, &encoded.claims), (3, &encoded.claims_json)] {
        if fields.contain(number) {
            put_bytes(number, claims, buffer);
        }
    }
    if fields.contain(4) {
        let matched = audiences.iter().filter_map(|index| token.claims.audiences.get(*index));
        matched.for_each(|audience| put_bytes(4, audience.as_bytes(), buffer));
    }
    if fields.contain(5) {
        put_bytes(5, token.key_id().as_str().as_bytes(), buffer);
    }
    if fields.contain(6) {
        prost::encoding::message::encode(6, &scalar::duration_message(*cache_ttl), buffer);
    }
}

/// The framed VerifyTokenResponse for a valid token.
pub(in crate::grpc) fn verified_response(verified: &VerifiedToken, fields: VerifiedFields) -> Bytes {
    let mut buffer = framing::begin(verified_len(verified, fields));
    encode_verified(verified, fields, &mut buffer);
    framing::finish(buffer)
}

/// The number of bytes that [`encode_verified`] appends.
pub(in crate::grpc) fn verified_len(verified: &VerifiedToken, fields: VerifiedFields) -> usize {
    let VerifiedToken { token, audiences, cache_ttl } = verified;
    let EncodedClaims { token_claims, claims, claims_json } = &token.encoded;
    let claims = [(1, token_claims), (2, claims), (3, claims_json)].into_iter();
    let claims =
        claims.filter(|(number, _)| fields.contain(*number)).map(|(_, bytes)| field_len(bytes.len()));
    let matched = audiences.iter().filter_map(|index| token.claims.audiences.get(*index));
    let audiences = matched.filter(|_| fields.contain(4)).map(|audience| field_len(audience.len()));
    let key_id = fields.contain(5).then(|| field_len(token.key_id().as_str().len()));
    let cache_ttl = fields.contain(6).then(|| field_len(scalar::duration_message(*cache_ttl).encoded_len()));
    claims.chain(audiences).chain(key_id).chain(cache_ttl).sum()
}

/// The length of a length-delimited field whose number is below 16.
pub(in crate::grpc) fn field_len(length: usize) -> usize {
    1 + encoded_len_varint(u64::try_from(length).unwrap_or(u64::MAX)) + length
}

/// Appends a length-delimited field: text, or an encoded message.
pub(in crate::grpc) fn put_bytes(number: u32, bytes: &[u8], buffer: &mut Vec<u8>) {
    put_length(number, bytes.len(), buffer);
    buffer.extend_from_slice(bytes);
}

/// Appends the key and the length of a length-delimited field.
pub(in crate::grpc) fn put_length(number: u32, length: usize, buffer: &mut Vec<u8>) {
    encode_key(number, WireType::LengthDelimited, buffer);
    encode_varint(u64::try_from(length).unwrap_or(u64::MAX), buffer);
}

/// Converts the registered claims.
pub(super) fn token_claims(claims: TokenClaims) -> v1::TokenClaims {
    let actor = claims.actor.map(|acting| actor(acting, &claims.issuer));
    v1::TokenClaims {
        actor,
        issuer: claims.issuer,
        subject: claims.subject,
        audiences: claims.audiences,
        expire_time: Some(scalar::timestamp(claims.expire_time)),
        not_before_time: claims.not_before_time.map(scalar::timestamp),
        issue_time: claims.issue_time.map(scalar::timestamp),
        jwt_id: claims.jwt_id.unwrap_or_default(),
        client_id: claims.client_id.unwrap_or_default(),
        scopes: claims.scopes,
    }
}

/// Converts an actor. An actor without an issuer is a subject of `issuer`, the token's.
fn actor(acting: Actor, issuer: &str) -> v1::Actor {
    v1::Actor {
        subject: acting.subject,
        issuer: acting.issuer.unwrap_or_else(|| issuer.to_owned()),
        actor: acting.actor.map(|before| Box::new(actor(*before, issuer))),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_mask_may_name_fields_of_the_response_only() {
        let of = |paths: &[&str]| {
            let mask =
                prost_types::FieldMask { paths: paths.iter().map(|path| (*path).to_owned()).collect() };
            let mut violations = Violations::default();
            let fields = VerifiedFields::of(Some(&mask), &mut violations);
            violations.into_result().map(|()| fields)
        };
        assert_eq!(of(&[]).unwrap(), VerifiedFields(u8::MAX));
        assert_eq!(of(&["claims_json", "cache_ttl"]).unwrap(), VerifiedFields(1 << 3 | 1 << 6));
        for wrong in ["", "*", "claims.sub", "tokenClaims", "other"] {
            assert!(of(&["claims", wrong]).is_err(), "{wrong}");
        }
    }
}
