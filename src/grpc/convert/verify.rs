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
    model::{Actor, TokenClaims, UnixTime, VerifyRequest, Violations},
    proto::v1,
    tokens::{EncodedClaims, Payload, VerifiedToken},
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

/// Encodes the claims of a token in each form that responses carry.
pub(crate) fn encode_claims(claims: &TokenClaims, payload: &Payload<'_>) -> EncodedClaims {
    let (claims_len, struct_len) = (token_claims_len(claims), json::struct_len(&payload.members));
    let claims_at = field_len(claims_len);
    let claims_json_at = claims_at + field_len(struct_len);
    let mut fields = Vec::with_capacity(claims_json_at + field_len(payload.text.len()));
    put_length(1, claims_len, &mut fields);
    put_token_claims(claims, &mut fields);
    put_length(2, struct_len, &mut fields);
    json::put_struct(&payload.members, &mut fields);
    put_bytes(3, payload.text.as_bytes(), &mut fields);
    EncodedClaims { fields: fields.into(), claims_at, claims_json_at }
}

impl EncodedClaims {
    /// Those of the encoded fields that are wanted.
    fn wanted(&self, fields: VerifiedFields) -> impl Iterator<Item = &[u8]> {
        let (token_claims, rest) = self.fields.split_at_checked(self.claims_at).unwrap_or_default();
        let claims_len = self.claims_json_at.saturating_sub(self.claims_at);
        let (claims, claims_json) = rest.split_at_checked(claims_len).unwrap_or_default();
        let wanted = [(1, token_claims), (2, claims), (3, claims_json)].into_iter();
        wanted.filter(move |(number, _)| fields.contain(*number)).map(|(_, bytes)| bytes)
    }
}

/// Appends the VerifyTokenResponse for a valid token. The claims were [encoded](encode_claims) when the token was first verified.
pub(in crate::grpc) fn encode_verified(
    verified: &VerifiedToken,
    fields: VerifiedFields,
    buffer: &mut Vec<u8>,
) {
    let VerifiedToken { token, audiences, cache_ttl } = verified;
    token.encoded.wanted(fields).for_each(|field| buffer.extend_from_slice(field));
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
    let claims = token.encoded.wanted(fields).map(<[u8]>::len);
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

/// Appends the registered claims as an encoded message, without building the message. Fields that are empty are absent (proto3).
fn put_token_claims(claims: &TokenClaims, buffer: &mut Vec<u8>) {
    let time = |number, time: Option<UnixTime>, buffer: &mut Vec<u8>| {
        if let Some(time) = time {
            prost::encoding::message::encode(number, &scalar::timestamp(time), buffer);
        }
    };
    put_text(1, &claims.issuer, buffer);
    put_text(2, &claims.subject, buffer);
    claims.audiences.iter().for_each(|audience| put_bytes(3, audience.as_bytes(), buffer));
    time(4, Some(claims.expire_time), buffer);
    time(5, claims.not_before_time, buffer);
    time(6, claims.issue_time, buffer);
    put_text(7, claims.jwt_id.as_deref().unwrap_or_default(), buffer);
    put_text(8, claims.client_id.as_deref().unwrap_or_default(), buffer);
    claims.scopes.iter().for_each(|scope| put_bytes(9, scope.as_bytes(), buffer));
    if let Some(acting) = &claims.actor {
        prost::encoding::message::encode(10, &actor(acting.clone(), &claims.issuer), buffer);
    }
}

fn put_text(number: u32, text: &str, buffer: &mut Vec<u8>) {
    if !text.is_empty() {
        put_bytes(number, text.as_bytes(), buffer);
    }
}

/// The length of the registered claims as [`put_token_claims`] appends them.
fn token_claims_len(claims: &TokenClaims) -> usize {
    let text = |text: &str| if text.is_empty() { 0 } else { field_len(text.len()) };
    let list = |texts: &[String]| texts.iter().map(|text| field_len(text.len())).sum::<usize>();
    let time = |time: UnixTime| field_len(scalar::timestamp(time).encoded_len());
    let times = [Some(claims.expire_time), claims.not_before_time, claims.issue_time];
    let acting = claims.actor.as_ref().map(|acting| actor(acting.clone(), &claims.issuer));
    [&claims.issuer, &claims.subject].map(|required| text(required)).iter().sum::<usize>()
        + [&claims.jwt_id, &claims.client_id]
            .map(|claim| text(claim.as_deref().unwrap_or_default()))
            .iter()
            .sum::<usize>()
        + list(&claims.audiences)
        + list(&claims.scopes)
        + times.into_iter().flatten().map(time).sum::<usize>()
        + acting.map_or(0, |acting| field_len(acting.encoded_len()))
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
    use crate::jose::JsonObject;

    #[test]
    fn registered_claims_are_encoded_as_the_message_would_be() {
        let time = UnixTime::from_seconds;
        let least = TokenClaims {
            issuer: "https://auth.example.com".to_owned(),
            subject: String::new(),
            audiences: vec!["orders".to_owned(), String::new()],
            expire_time: time(0),
            not_before_time: None,
            issue_time: None,
            jwt_id: None,
            client_id: None,
            scopes: Vec::new(),
            actor: None,
            session_id: None,
            origin_time: None,
        };
        let inner = Actor { issuer: None, subject: "a".to_owned(), actor: None };
        let all = TokenClaims {
            subject: "é".repeat(300),
            expire_time: UnixTime::MAX,
            not_before_time: Some(time(1)),
            issue_time: Some(time(1_700_000_000)),
            jwt_id: Some("id".to_owned()),
            client_id: Some(String::new()),
            scopes: vec!["x".repeat(200), "y".to_owned()],
            actor: Some(Actor {
                issuer: Some("i".to_owned()),
                subject: "b".to_owned(),
                actor: Some(Box::new(inner)),
            }),
            ..least.clone()
        };
        for claims in [least, all] {
            let payload = Payload { text: "{}", members: JsonObject::default() };
            let encoded = encode_claims(&claims, &payload);
            let response = v1::VerifyTokenResponse::decode(&*encoded.fields).unwrap();
            let lengths = encoded.wanted(VerifiedFields::ALL).map(<[u8]>::len).collect::<Vec<_>>();
            assert_eq!(lengths, [encoded.claims_at, 2, 4], "each field is by itself");
            assert_eq!(response.claims_json, "{}");
            assert_eq!(response.token_claims, Some(token_claims(claims)));
        }
    }

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
