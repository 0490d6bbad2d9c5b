//! Issues access tokens.

use std::sync::Arc;

use serde::Serialize;

use crate::{
    access::IssueGrant,
    clock::Clock,
    jose::SigningError,
    keys::KeyRing,
    model::{Actor, Algorithm, KeyId, SessionId, TokenId, UnixTime, Violations},
    random::RandomError,
    spans,
};

/// Settings of issuing.
#[derive(Debug, Clone)]
pub struct IssuePolicy {
    /// `iss`
    pub issuer: String,
    /// The longest token in bytes, which verification accepts.
    pub max_token_bytes: usize,
}

/// A new token. It has no `Debug`, because it contains the token.
pub(crate) struct IssuedToken {
    pub(crate) token: String,
    /// `jti`
    pub(crate) jwt_id: TokenId,
    /// `kid`
    pub(crate) key_id: KeyId,
    /// `alg`
    pub(crate) algorithm: Algorithm,
    /// `iat`
    pub(crate) issue_time: UnixTime,
    /// `exp`
    pub(crate) expire_time: UnixTime,
}

/// Why no token was issued.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IssueError {
    #[error("no key may sign{}", algorithm.map(|name| format!(" with {name}")).unwrap_or_default())]
    NoActiveKey {
        /// The requested algorithm.
        algorithm: Option<Algorithm>,
    },
    #[error("the request does not result in a token")]
    Invalid(Violations),
    #[error(transparent)]
    Signing(#[from] SigningError),
    #[error(transparent)]
    Random(#[from] RandomError),
}

/// Issues tokens from memory.
#[derive(Debug)]
pub struct Issuer {
    policy: IssuePolicy,
    ring: Arc<KeyRing>,
    clock: Arc<dyn Clock>,
}

impl Issuer {
    /// Issues with the keys of `ring`.
    pub fn new(policy: IssuePolicy, ring: Arc<KeyRing>, clock: Arc<dyn Clock>) -> Self {
        Self { policy, ring, clock }
    }

    /// Issues the token that `grant` allows.
    pub(crate) fn issue(&self, grant: &IssueGrant) -> Result<IssuedToken, IssueError> {
        let algorithm = grant.algorithm();
        let key = self.ring.signing_key(algorithm).ok_or(IssueError::NoActiveKey { algorithm })?;
        let issue_time = self.clock.now();
        // No token outlives its key, which verifiers need.
        let key_expiry = key.expire_time.unwrap_or(UnixTime::MAX);
        let latest = grant.not_after().unwrap_or(UnixTime::MAX).min(key_expiry);
        let expire_time = issue_time.plus(grant.ttl()).min(latest);
        if expire_time <= issue_time {
            return Err(IssueError::NoActiveKey { algorithm });
        }
        let not_before = grant.not_before_time().unwrap_or(issue_time);
        if not_before >= expire_time {
            let description = "must lie before the token's expiry";
            return Err(IssueError::Invalid(Violations::of("not_before_time", description)));
        }
        let jwt_id = TokenId::generate()?;
        let payload = self.payload(grant, &jwt_id, issue_time, not_before, expire_time);
        let span = spans::step("sign");
        let token = key.sign(grant.token_type(), &payload)?;
        drop(span);
        if token.len() > self.policy.max_token_bytes {
            let (length, max) = (token.len(), self.policy.max_token_bytes);
            let description = format!("would make a token of {length} bytes; at most {max} are allowed");
            return Err(IssueError::Invalid(Violations::of("claims", description)));
        }
        Ok(IssuedToken {
            token,
            jwt_id,
            key_id: key.key_id.clone(),
            algorithm: key.algorithm,
            issue_time,
            expire_time,
        })
    }

    /// The payload: the registered claims first, then the extra claims with their exact JSON.
    fn payload(
        &self,
        grant: &IssueGrant,
        jwt_id: &TokenId,
        issue_time: UnixTime,
        not_before: UnixTime,
        expire_time: UnixTime,
    ) -> Vec<u8> {
        let claims = RegisteredClaims {
            iss: &self.policy.issuer,
            sub: grant.subject(),
            aud: match grant.audiences() {
                [audience] => Audience::One(audience),
                audiences => Audience::Several(audiences),
            },
            exp: expire_time.seconds(),
            nbf: not_before.seconds(),
            iat: issue_time.seconds(),
            jti: jwt_id.as_str(),
            client_id: grant.client_id().as_str(),
            scope: (!grant.scopes().is_empty()).then(|| grant.scopes().join(" ")),
            sid: grant.session_id().map(SessionId::as_str),
            orig_iat: grant.origin_time().map(UnixTime::seconds),
            act: grant.actor().map(ActClaim::of),
        };
        let mut json = Vec::with_capacity(384);
        push_json(&mut json, &claims);
        let extra = grant.claims().members();
        if !extra.is_empty() {
            json.pop();
            for (name, value) in extra {
                json.push(b',');
                push_json(&mut json, name);
                json.push(b':');
                json.extend_from_slice(value.as_bytes());
            }
            json.push(b'}');
        }
        json
    }
}

/// The registered claims, in the order of the payload.
#[derive(Serialize)]
struct RegisteredClaims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: Audience<'a>,
    exp: i64,
    nbf: i64,
    iat: i64,
    jti: &'a str,
    client_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    orig_iat: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    act: Option<ActClaim<'a>>,
}

/// RFC 7519 section 4.1.3: a single audience may be a string, which older readers expect.
#[derive(Serialize)]
#[serde(untagged)]
enum Audience<'a> {
    One(&'a str),
    Several(&'a [String]),
}

/// An actor with the earlier actors inside (RFC 8693 section 4.1).
#[derive(Serialize)]
struct ActClaim<'a> {
    sub: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    iss: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    act: Option<Box<Self>>,
}

impl<'a> ActClaim<'a> {
    fn of(actor: &'a Actor) -> Self {
        let act = actor.actor.as_deref().map(|actor| Box::new(Self::of(actor)));
        Self { sub: &actor.subject, iss: actor.issuer.as_deref(), act }
    }
}

/// Appends `value` as JSON, which cannot fail for texts and numbers in memory.
fn push_json(json: &mut Vec<u8>, value: &impl Serialize) {
    let _ = serde_json::to_writer(json, value);
}
