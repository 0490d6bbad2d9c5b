//! Callers by a JWT that they sign themselves: `private_key_jwt` (RFC 7523 section 3, OpenID Connect Core section 9).

use std::{sync::Arc, time::Duration};

use super::{
    CallerSettings,
    jwt::{SignedToken, UnprovenToken},
};
use crate::{
    access::snapshot::KnownClient,
    jose::{Decoys, SetLookup},
    model::{AssertionDigest, Client, ClientId, Reason, Refusal, UnixTime},
};

/// No `jti` is longer, in bytes.
const LONGEST_JWT_ID: usize = 256;

/// The types that an assertion may be of, besides none at all. An access token (`at+jwt`) is none, whoever signed it.
const TYPES: [&str; 2] = ["jwt", "client-authentication+jwt"];

/// By how much the clocks of replicas may differ: as long a used assertion is remembered beyond its end.
const REPLICA_CLOCKS: Duration = Duration::from_secs(60);

/// An assertion in which everything is good, and that may have been used before.
pub(super) struct Assertion {
    pub(super) client: Arc<Client>,
    /// What to remember of it, once it was used.
    pub(super) digest: AssertionDigest,
    /// Until when.
    pub(super) forget_time: UnixTime,
}

/// Checks everything but whether the assertion was used before. The signature comes first, whether there is a client and a
/// key or not: how long that takes tells nothing.
pub(super) fn check(
    token: UnprovenToken<'_>,
    known: Option<&Arc<KnownClient>>,
    decoys: &Decoys,
    settings: &CallerSettings,
    now: UnixTime,
) -> Result<Assertion, Refusal> {
    let algorithm = token.header.algorithm;
    let keys = known.and_then(|known| known.keys.as_deref());
    let lookup = keys.map_or(SetLookup::Unknown, |keys| keys.find(token.header.key_id.as_deref(), algorithm));
    let key = match &lookup {
        SetLookup::Found(key) => Some(*key),
        SetLookup::OtherAlgorithm | SetLookup::Unknown => None,
    };
    let signed = decoys.verify(key, algorithm, token.message(), token.signature());
    let known = known.ok_or(Refusal::new(
        Reason::KeyUnknown,
        "there is no client of that id, and no trusted issuer of that name",
    ))?;
    match lookup {
        _ if signed => {}
        SetLookup::Found(_) => {
            return Err(Refusal::new(Reason::SignatureInvalid, "the assertion's signature does not verify"));
        }
        SetLookup::OtherAlgorithm => {
            return Err(Refusal::new(
                Reason::AlgorithmNotAllowed,
                "the assertion's algorithm is not the algorithm of its key",
            ));
        }
        SetLookup::Unknown => {
            return Err(Refusal::new(
                Reason::KeyUnknown,
                "the assertion's key is none of the client's; without `kid` there must be exactly one",
            ));
        }
    }
    if token.header.token_type.as_deref().is_some_and(|name| !TYPES.contains(&name)) {
        return Err(Refusal::new(Reason::TypeMismatch, "the token is not of a type that assertions are of"));
    }
    let token = token.into_signed()?;
    check_claims(&token, &known.client.client_id, settings, now)?;
    let claims = &token.claims;
    let jwt_id = claims.jwt_id.as_deref().unwrap_or_default();
    if jwt_id.is_empty() || jwt_id.len() > LONGEST_JWT_ID {
        let detail = "the assertion's `jti` is missing or longer than 256 bytes";
        return Err(Refusal::new(Reason::ClaimInvalid, detail));
    }
    Ok(Assertion {
        client: Arc::clone(&known.client),
        digest: AssertionDigest::of(&known.client.client_id, jwt_id),
        forget_time: claims.expire_time.after(settings.leeway).after(REPLICA_CLOCKS),
    })
}

fn check_claims(
    token: &SignedToken,
    client_id: &ClientId,
    settings: &CallerSettings,
    now: UnixTime,
) -> Result<(), Refusal> {
    let claims = &token.claims;
    if claims.issuer != client_id.as_str() || claims.subject != client_id.as_str() {
        let detail = "the assertion's `iss` and `sub` are not both the client's id";
        return Err(Refusal::new(Reason::IssuerMismatch, detail));
    }
    // Exactly this server (RFC 7523 as updated against audience injection): a second reader could use it as well.
    if claims.audiences != [settings.issuer.as_str()] {
        let detail = "the assertion's `aud` is not exactly this server's issuer";
        return Err(Refusal::new(Reason::AudienceMismatch, detail));
    }
    token.check_times(now, settings.leeway)?;
    if claims.expire_time > now.after(settings.assertion_max_ttl).after(settings.leeway) {
        let detail = "the assertion's `exp` is further ahead than assertion_max_ttl";
        return Err(Refusal::new(Reason::ClaimInvalid, detail));
    }
    Ok(())
}
