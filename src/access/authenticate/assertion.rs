//! Client assertions: JWTs that clients sign themselves, `private_key_jwt` (RFC 7523 section 3, OpenID Connect Core section 9).

use std::{sync::Arc, time::Duration};

use super::CallerSettings;
use crate::{
    access::{
        jwt::{UnverifiedJwt, VerifiedJwt},
        snapshot::KnownClient,
    },
    jose::{DummyKeys, SetLookup},
    model::{AssertionDigest, Client, ClientId, InvalidToken, Reason, UnixTime},
};

/// The longest `jti`, in bytes.
const MAX_JWT_ID: usize = 256;

/// The accepted values of `typ`, which may also be absent. An access token (`at+jwt`) is not an assertion.
const TYPES: [&str; 2] = ["jwt", "client-authentication+jwt"];

/// The clock difference of replicas: used assertions are stored for so long after their expiry.
const REPLICA_CLOCKS: Duration = Duration::from_secs(60);

/// A valid assertion, which may have been used before.
pub(super) struct Assertion {
    pub(super) client: Arc<Client>,
    pub(super) digest: AssertionDigest,
    /// When a used assertion may be deleted from the store.
    pub(super) forget_time: UnixTime,
}

/// Checks everything except for an earlier use. The signature is verified first, with a dummy key if there is no client or key: the
/// response time does not tell which clients exist.
pub(super) fn check(
    token: UnverifiedJwt<'_>,
    known: Option<&Arc<KnownClient>>,
    dummy_keys: &DummyKeys,
    settings: &CallerSettings,
    now: UnixTime,
) -> Result<Assertion, InvalidToken> {
    let algorithm = token.header.algorithm;
    let keys = known.and_then(|known| known.keys.as_deref());
    let lookup = keys.map_or(SetLookup::Unknown, |keys| keys.find(token.header.key_id.as_deref(), algorithm));
    let key = match &lookup {
        SetLookup::Found(key) => Some(*key),
        SetLookup::OtherAlgorithm | SetLookup::Unknown => None,
    };
    let is_verified = dummy_keys.verify(key, algorithm, token.signing_input(), token.signature());
    let known = known.ok_or(InvalidToken::new(
        Reason::KeyUnknown,
        "there is no client with this id, and no trusted issuer with this name",
    ))?;
    if !is_verified {
        return Err(match lookup {
            SetLookup::Found(_) => {
                InvalidToken::new(Reason::SignatureInvalid, "the assertion's signature does not verify")
            }
            SetLookup::OtherAlgorithm => InvalidToken::new(
                Reason::AlgorithmNotAllowed,
                "the assertion's algorithm is not the algorithm of its key",
            ),
            SetLookup::Unknown => InvalidToken::new(
                Reason::KeyUnknown,
                "the assertion's key is not a key of the client; without `kid` there must be exactly one",
            ),
        });
    }
    if token.header.token_type.as_deref().is_some_and(|name| !TYPES.contains(&name)) {
        return Err(InvalidToken::new(Reason::TypeMismatch, "the token's type is not a type of assertions"));
    }
    let token = token.into_verified()?;
    check_claims(&token, &known.client.client_id, settings, now)?;
    let claims = &token.claims;
    let jwt_id = claims.jwt_id.as_deref().unwrap_or_default();
    if jwt_id.is_empty() || jwt_id.len() > MAX_JWT_ID {
        let detail = "the assertion's `jti` is missing or longer than 256 bytes";
        return Err(InvalidToken::new(Reason::ClaimInvalid, detail));
    }
    Ok(Assertion {
        client: Arc::clone(&known.client),
        digest: AssertionDigest::of(&known.client.client_id, jwt_id),
        forget_time: claims.expire_time.after(settings.leeway).after(REPLICA_CLOCKS),
    })
}

fn check_claims(
    token: &VerifiedJwt,
    client_id: &ClientId,
    settings: &CallerSettings,
    now: UnixTime,
) -> Result<(), InvalidToken> {
    let claims = &token.claims;
    if claims.issuer != client_id.as_str() || claims.subject != client_id.as_str() {
        let detail = "the assertion's `iss` and `sub` are not both the client's id";
        return Err(InvalidToken::new(Reason::IssuerMismatch, detail));
    }
    // No other audience (RFC 7523 as updated against audience injection): a second recipient could use the assertion too.
    if claims.audiences.is_empty()
        || !claims.audiences.iter().all(|audience| settings.audiences.contains(audience))
    {
        let detail = "the assertion's `aud` is not exactly this server's issuer or token endpoint";
        return Err(InvalidToken::new(Reason::AudienceMismatch, detail));
    }
    token.check_times(now, settings.leeway)?;
    if claims.expire_time > now.after(settings.assertion_max_ttl).after(settings.leeway) {
        let detail = "the assertion's `exp` is further ahead than assertion_max_ttl";
        return Err(InvalidToken::new(Reason::ClaimInvalid, detail));
    }
    Ok(())
}
