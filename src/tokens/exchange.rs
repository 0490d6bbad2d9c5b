//! Exchanging tokens (RFC 8693): what comes of it never allows more, and never lives longer, than what was presented.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::{IssueError, IssuedToken, Issuer, Verifier, VerifyError};
use crate::{
    access::{
        ExchangeGrant, ForeignTokenError, IssueGrant, IssueRules, MAY_ACT, PolicyError, PresentedToken,
        TrustedIssuers,
    },
    clock::Clock,
    jose,
    model::{Actor, ExtraClaims, LONGEST_SUBJECT, Reason, Refusal, TokenClaims, Violations},
};

/// The longest chain of actors that a token may name.
const MOST_ACTORS: usize = 4;

/// Why no token was exchanged.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExchangeError {
    /// One of the tokens is refused.
    #[error("{field}: {refusal}")]
    Refused {
        /// Which.
        field: &'static str,
        /// Why.
        refusal: Refusal,
    },
    /// Nobody can say whether the tokens are good.
    #[error(transparent)]
    Unknown(VerifyError),
    /// The key of one of the tokens is not in memory. Whether it exists, only [a look-up](Exchanger::look_up) tells.
    #[error("the token's key is not in memory")]
    KeyNotInMemory(KeysOf),
    /// The keys of a trusted issuer could not be had.
    #[error("the keys of the trusted issuer `{0}` are not there")]
    IssuerKeys(String),
    /// The client may not have what would come of it.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// No token could be issued.
    #[error(transparent)]
    Issue(#[from] IssueError),
}

/// Keys that can be looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum KeysOf {
    /// Those in the store.
    Store,
    /// Those of the trusted issuer of this name.
    Issuer(String),
}

/// The tokens of an exchange, which are good.
pub(crate) struct PresentedTokens {
    subject: PresentedToken,
    actor: Option<PresentedToken>,
}

/// Exchanges tokens.
#[derive(Debug)]
pub struct Exchanger {
    verifier: Arc<Verifier>,
    trusted: Arc<TrustedIssuers>,
    issuer: Arc<Issuer>,
    clock: Arc<dyn Clock>,
}

impl Exchanger {
    /// Exchanges tokens that `verifier` takes, and those of `trusted` issuers.
    pub fn new(
        verifier: Arc<Verifier>,
        trusted: Arc<TrustedIssuers>,
        issuer: Arc<Issuer>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { verifier, trusted, issuer, clock }
    }

    /// Waits for a look-up of keys. The caller must hold no permit of work that needs memory alone.
    pub(crate) async fn look_up(&self, keys: &KeysOf) -> Result<(), ExchangeError> {
        match keys {
            KeysOf::Store => self.verifier.look_up_keys().await.map_err(ExchangeError::Unknown),
            KeysOf::Issuer(issuer) => {
                let fetched = self.trusted.fetch(issuer).await;
                fetched.map_err(|_| ExchangeError::IssuerKeys(issuer.clone()))
            }
        }
    }

    /// Checks the tokens that `grant` allows the client to exchange, from memory. `looked_up` are the keys that were looked up for
    /// these tokens: what is not among them now does not exist.
    pub(crate) fn presented_tokens(
        &self,
        grant: &ExchangeGrant,
        looked_up: &[KeysOf],
    ) -> Result<PresentedTokens, ExchangeError> {
        let actor = grant.actor_token();
        Ok(PresentedTokens {
            subject: self.presented("subject_token", grant.subject_token(), looked_up)?,
            actor: actor.map(|token| self.presented("actor_token", token, looked_up)).transpose()?,
        })
    }

    /// Permission for what comes of the tokens.
    pub(crate) fn check(
        &self,
        grant: ExchangeGrant,
        tokens: PresentedTokens,
        rules: &IssueRules,
    ) -> Result<IssueGrant, ExchangeError> {
        let PresentedTokens { subject, actor } = tokens;
        let acting = acting(&subject, actor.as_ref())?;
        let own_issuer = &self.verifier.policy().issuer;
        Ok(grant.issue_for(subject, actor.as_ref(), acting, own_issuer, rules)?)
    }

    /// Issues what comes of the tokens.
    pub(crate) fn issue(&self, grant: &IssueGrant) -> Result<IssuedToken, ExchangeError> {
        Ok(self.issuer.issue(grant)?)
    }

    /// The token in `field`, if it is good: by the keys of the trusted issuer that it names, or else by those that VerifyToken
    /// goes by.
    fn presented(
        &self,
        field: &'static str,
        text: &str,
        looked_up: &[KeysOf],
    ) -> Result<PresentedToken, ExchangeError> {
        let refused = |refusal| ExchangeError::Refused { field, refusal };
        let is_looked_up = |keys: &KeysOf| looked_up.contains(keys);
        let not_verified = |error| match error {
            VerifyError::KeyNotInMemory if !is_looked_up(&KeysOf::Store) => {
                ExchangeError::KeyNotInMemory(KeysOf::Store)
            }
            error => match error.after_lookup() {
                VerifyError::Refused(refusal) => refused(refusal),
                error => ExchangeError::Unknown(error),
            },
        };
        let (now, policy) = (self.clock.now(), self.verifier.policy());
        let is_fetched = |issuer: &str| is_looked_up(&KeysOf::Issuer(issuer.to_owned()));
        let foreign = self
            .trusted
            .token(text, policy.max_token_bytes, policy.leeway, now, is_fetched)
            .map_err(|error| match error {
                ForeignTokenError::Refused(refusal) => refused(refusal),
                ForeignTokenError::KeyNotInMemory(issuer) => {
                    ExchangeError::KeyNotInMemory(KeysOf::Issuer(issuer))
                }
                ForeignTokenError::KeysMissing(issuer) => ExchangeError::IssuerKeys(issuer),
            })?;
        let (claims, members, extra, is_own) = match foreign {
            Some(token) => {
                // Of another issuer's tokens, single ones are revoked here, by `jti`.
                self.verifier
                    .check_revoked(&token.claims, false, self.verifier.now())
                    .map_err(not_verified)?;
                (token.claims, token.members, ExtraClaims::default(), false)
            }
            None => self.verified(text).map_err(not_verified)?,
        };
        // Who acted before is handed on. An actor that cannot be read must not be lost.
        if claims.actor.is_none() && members.get("act").is_some_and(Value::is_object) {
            let detail = "the token's actor (`act`) is not an object with a subject";
            return Err(refused(Refusal::new(Reason::ClaimInvalid, detail)));
        }
        if claims.subject.is_empty() {
            let detail = "the token names no subject (`sub`)";
            return Err(refused(Refusal::new(Reason::ClaimInvalid, detail)));
        }
        let token = self.identified(claims, is_own).map_err(refused)?;
        let token = PresentedToken { may_act: members.get(MAY_ACT).cloned(), extra, ..token };
        // Leeway is for verifiers. What comes of the token ends when the token does, and that is now.
        if token.claims.expire_time <= now {
            return Err(refused(Refusal::expired(token.claims.expire_time)));
        }
        // RFC 7800: it is good only together with the proof of a key. The one who presents it here gives none.
        if members.contains_key("cnf") {
            let detail = "the token is bound to a key of its holder, and cannot be exchanged";
            return Err(refused(Refusal::new(Reason::BindingMismatch, detail)));
        }
        if token.subject.len() > LONGEST_SUBJECT || token.subject.chars().any(char::is_control) {
            let detail = "the token's subject is longer than 255 bytes, or holds control characters";
            return Err(refused(Refusal::new(Reason::ClaimInvalid, detail)));
        }
        Ok(token)
    }

    /// The token with each identity in it as this issuer's tokens name it: a subject of another issuer with that issuer's prefix, and
    /// an actor of another issuer with `iss`.
    fn identified(&self, mut claims: TokenClaims, is_own: bool) -> Result<PresentedToken, Refusal> {
        let subject = if is_own {
            claims.subject.clone()
        } else {
            self.trusted.local_subject(&claims.issuer, &claims.subject)
        };
        if !is_own && let Some(actor) = claims.actor.take() {
            let actor = actor.of_issuer(&claims.issuer);
            // Of this issuer's own subjects no other issuer can say that they acted.
            let own = Some(self.verifier.policy().issuer.as_str());
            if actor.chain().any(|actor| actor.issuer.as_deref() == own) {
                let detail = "the token is of another issuer, and names an actor (`act`) of this one";
                return Err(Refusal::new(Reason::ClaimInvalid, detail));
            }
            claims.actor = Some(actor);
        }
        Ok(PresentedToken { subject, claims, may_act: None, extra: ExtraClaims::default(), is_own })
    }

    /// A token that VerifyToken would take, for whomever it is, with every claim.
    fn verified(
        &self,
        text: &str,
    ) -> Result<(TokenClaims, Map<String, Value>, ExtraClaims, bool), VerifyError> {
        let token = self.verifier.examine(text)?;
        self.verifier.check_good(&token)?;
        let extra = if token.is_own { extra_claims(&token.payload)? } else { ExtraClaims::default() };
        Ok((token.claims, token.members, extra, token.is_own))
    }
}

/// The claims of a payload that tokend gives no meaning, each exactly as it was signed.
fn extra_claims(payload: &str) -> Result<ExtraClaims, Refusal> {
    let members = jose::object_members(payload)
        .map_err(|_| Refusal::new(Reason::Malformed, "the token's payload is not a strict JSON object"))?;
    let is_extra = |name: &str| name != MAY_ACT && !ExtraClaims::REGISTERED.contains(&name);
    Ok(ExtraClaims::from_members(members.into_iter().filter(|(name, _)| is_extra(name)).collect()))
}

/// Who acts, before whoever acted already (RFC 8693 section 4.1).
fn acting(subject: &PresentedToken, actor: Option<&PresentedToken>) -> Result<Option<Actor>, IssueError> {
    let invalid = |field: &str, description: String| IssueError::Invalid(Violations::of(field, description));
    let before = subject.claims.actor.clone();
    let (field, acting) = match actor {
        // Whose token it is would be told wrongly: its subject does not act, somebody does so for it.
        Some(actor) if actor.claims.actor.is_some() => {
            let description =
                "must be the actor's own token, and not one with which others act for it (`act`)";
            return Err(invalid("actor_token", description.to_owned()));
        }
        Some(actor) => {
            let claims = &actor.claims;
            let issuer = (!actor.is_own).then(|| claims.issuer.clone());
            (
                "actor_token",
                Some(Actor { issuer, subject: claims.subject.clone(), actor: before.map(Box::new) }),
            )
        }
        None => ("subject_token", before),
    };
    let depth = acting.iter().flat_map(Actor::chain).count();
    if depth > MOST_ACTORS {
        let description = format!("would make a chain of {depth} actors; at most {MOST_ACTORS} are allowed");
        return Err(invalid(field, description));
    }
    Ok(acting)
}
