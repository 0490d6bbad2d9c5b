//! Issuing access tokens.

use std::{io::Write as _, sync::Arc};

use crate::{
    access::IssueGrant,
    clock::Clock,
    jose::SigningError,
    keys::KeyRing,
    model::{Actor, Algorithm, KeyId, TokenId, UnixTime, Violations},
    random::RandomError,
    spans,
};

/// What steers issuing.
#[derive(Debug, Clone)]
pub struct IssuePolicy {
    /// `iss`
    pub issuer: String,
    /// The longest token that is issued, in bytes: what verifying accepts.
    pub max_token_bytes: usize,
}

/// A token that was just issued. It has no `Debug`: it holds the token.
pub(crate) struct IssuedToken {
    /// The token.
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
    /// No key may sign with this algorithm, or with the default one.
    #[error("no key may sign{}", algorithm.map(|name| format!(" with {name}")).unwrap_or_default())]
    NoActiveKey {
        /// The client's own algorithm.
        algorithm: Option<Algorithm>,
    },
    /// What was asked for makes no token.
    #[error("the request makes no token")]
    Invalid(Violations),
    /// The key could not sign.
    #[error(transparent)]
    Signing(#[from] SigningError),
    /// No token id could be made.
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
        // No token outlives its key: who verifies it later must still find the key.
        let key_ends = key.expire_time.unwrap_or(UnixTime::MAX);
        let at_the_latest = grant.not_after().unwrap_or(UnixTime::MAX).min(key_ends);
        let expire_time = issue_time.plus(grant.ttl()).min(at_the_latest);
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
        let step = spans::step("sign");
        let token = key.sign(grant.token_type(), &payload)?;
        drop(step);
        if token.len() > self.policy.max_token_bytes {
            let (length, most) = (token.len(), self.policy.max_token_bytes);
            let description = format!("would make a token of {length} bytes; at most {most} are allowed");
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

    /// The payload: registered claims first, then those that were added, each exactly as it was given.
    fn payload(
        &self,
        grant: &IssueGrant,
        jwt_id: &TokenId,
        issue_time: UnixTime,
        not_before: UnixTime,
        expire_time: UnixTime,
    ) -> Vec<u8> {
        let mut json = Vec::with_capacity(384);
        json.extend_from_slice(b"{\"iss\":");
        push_text(&mut json, &self.policy.issuer);
        json.extend_from_slice(b",\"sub\":");
        push_text(&mut json, grant.subject());
        json.extend_from_slice(b",\"aud\":");
        match grant.audiences() {
            // RFC 7519 section 4.1.3: a single audience may be a bare string, and older readers expect it.
            [audience] => push_text(&mut json, audience),
            audiences => {
                for (index, audience) in audiences.iter().enumerate() {
                    json.push(if index == 0 { b'[' } else { b',' });
                    push_text(&mut json, audience);
                }
                json.push(b']');
            }
        }
        for (name, time) in [("exp", expire_time), ("nbf", not_before), ("iat", issue_time)] {
            // Writing to memory cannot fail.
            let _ = write!(json, ",\"{name}\":{}", time.seconds());
        }
        json.extend_from_slice(b",\"jti\":");
        push_text(&mut json, jwt_id.as_str());
        json.extend_from_slice(b",\"client_id\":");
        push_text(&mut json, grant.client_id().as_str());
        if !grant.scopes().is_empty() {
            json.extend_from_slice(b",\"scope\":");
            push_text(&mut json, &grant.scopes().join(" "));
        }
        if let Some(session_id) = grant.session_id() {
            json.extend_from_slice(b",\"sid\":");
            push_text(&mut json, session_id.as_str());
        }
        if let Some(origin_time) = grant.origin_time() {
            let _ = write!(json, ",\"orig_iat\":{}", origin_time.seconds());
        }
        if let Some(actor) = grant.actor() {
            json.extend_from_slice(b",\"act\":");
            push_actor(&mut json, actor);
        }
        for (name, value) in grant.claims().members() {
            json.push(b',');
            push_text(&mut json, name);
            json.push(b':');
            json.extend_from_slice(value.as_bytes());
        }
        json.push(b'}');
        json
    }
}

/// Appends an actor and those before it, each inside the one after it (RFC 8693 section 4.1). One of another issuer has `iss`.
fn push_actor(json: &mut Vec<u8>, actor: &Actor) {
    json.extend_from_slice(b"{\"sub\":");
    push_text(json, &actor.subject);
    if let Some(issuer) = &actor.issuer {
        json.extend_from_slice(b",\"iss\":");
        push_text(json, issuer);
    }
    if let Some(before) = &actor.actor {
        json.extend_from_slice(b",\"act\":");
        push_actor(json, before);
    }
    json.push(b'}');
}

/// Appends `text` as a JSON string. Neither the text nor the memory can make it fail.
fn push_text(json: &mut Vec<u8>, text: &str) {
    let _ = serde_json::to_writer(json, text);
}
