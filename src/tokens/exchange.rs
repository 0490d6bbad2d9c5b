//! Token exchange (RFC 8693). A new token never allows more, and never lives longer, than the presented tokens.

use std::sync::Arc;

use serde_json::Value;

use super::{IssueError, IssuedToken, Issuer, Verifier, VerifyError};
use crate::{
    access::{
        ExchangeGrant, IssueGrant, IssueRules, IssuerTokenError, MAY_ACT, PolicyError, PresentedToken,
        TrustedIssuers,
    },
    clock::Clock,
    jose::{self, JsonObject, JsonValue},
    model::{Actor, ExtraClaims, InvalidToken, LONGEST_SUBJECT, Reason, TokenClaims, Violations},
};

/// The longest chain of actors in a token.
const MAX_ACTORS: usize = 4;

/// Why an exchange failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExchangeError {
    #[error("{field}: {refusal}")]
    Refused {
        /// The field of the token.
        field: &'static str,
        /// The reason.
        refusal: InvalidToken,
    },
    #[error(transparent)]
    Unknown(VerifyError),
    /// The key of a token is not in memory; [a look-up](Exchanger::look_up) may find it.
    #[error("the token's key is not in memory")]
    KeyNotInMemory(KeysOf),
    #[error("the keys of the trusted issuer `{0}` are not available")]
    IssuerKeys(String),
    #[error(transparent)]
    Policy(#[from] PolicyError),
    #[error(transparent)]
    Issue(#[from] IssueError),
}

/// Keys that can be looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum KeysOf {
    Store,
    /// The keys of the trusted issuer with this name.
    Issuer(String),
}

/// The valid tokens of an exchange.
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
    /// Exchanges tokens that `verifier` accepts, and tokens of `trusted` issuers.
    pub fn new(
        verifier: Arc<Verifier>,
        trusted: Arc<TrustedIssuers>,
        issuer: Arc<Issuer>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { verifier, trusted, issuer, clock }
    }

    /// Waits for a look-up of keys. The caller must hold no permit of a class that reads memory only.
    pub(crate) async fn look_up(&self, keys: &KeysOf) -> Result<(), ExchangeError> {
        match keys {
            KeysOf::Store => self.verifier.look_up_keys().await.map_err(ExchangeError::Unknown),
            KeysOf::Issuer(issuer) => {
                let fetched = self.trusted.fetch(issuer).await;
                fetched.map_err(|_| ExchangeError::IssuerKeys(issuer.clone()))
            }
        }
    }

    /// Verifies the tokens of `grant`, from memory. A key that is missing from the `looked_up` keys does not exist.
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

    /// Permission to issue the new token.
    pub(crate) fn check(
        &self,
        grant: ExchangeGrant,
        tokens: PresentedTokens,
        rules: &IssueRules,
    ) -> Result<IssueGrant, ExchangeError> {
        let PresentedTokens { subject, actor } = tokens;
        let act = act_claim(&subject, actor.as_ref())?;
        let own_issuer = &self.verifier.policy().issuer;
        Ok(grant.issue_for(subject, actor.as_ref(), act, own_issuer, rules)?)
    }

    pub(crate) fn issue(&self, grant: &IssueGrant) -> Result<IssuedToken, ExchangeError> {
        Ok(self.issuer.issue(grant)?)
    }

    /// Verifies the token in `field`: with the keys of the trusted issuer that it names, or else like VerifyToken.
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
            .verify(text, policy.max_token_bytes, policy.leeway, now, is_fetched)
            .map_err(|error| match error {
                IssuerTokenError::Refused(refusal) => refused(refusal),
                IssuerTokenError::KeyNotInMemory(issuer) => {
                    ExchangeError::KeyNotInMemory(KeysOf::Issuer(issuer))
                }
                IssuerTokenError::KeysUnavailable(issuer) => ExchangeError::IssuerKeys(issuer),
            })?;
        let (claims, members, extra, is_own) = match foreign {
            Some(token) => {
                // Single tokens of another issuer can be revoked here, by `jti`.
                self.verifier
                    .check_revoked(&token.claims, false, self.verifier.now())
                    .map_err(not_verified)?;
                (token.claims, token.members, ExtraClaims::default(), false)
            }
            None => self.verified(text).map_err(not_verified)?,
        };
        // The new token inherits the actor, so that a malformed actor must not be ignored.
        if claims.actor.is_none() && matches!(members.get("act"), Some(JsonValue::Object(_))) {
            let detail = "the token's actor (`act`) is not an object with a subject";
            return Err(refused(InvalidToken::new(Reason::ClaimInvalid, detail)));
        }
        if claims.subject.is_empty() {
            let detail = "the token names no subject (`sub`)";
            return Err(refused(InvalidToken::new(Reason::ClaimInvalid, detail)));
        }
        let token = self.identified(claims, is_own).map_err(refused)?;
        let token =
            PresentedToken { may_act: members.get(MAY_ACT).cloned().map(Value::from), extra, ..token };
        // Without leeway: the new token expires with the presented one.
        if token.claims.expire_time <= now {
            return Err(refused(InvalidToken::expired(token.claims.expire_time)));
        }
        // RFC 7800: such a token needs a proof of possession, which an exchange does not have.
        if members.get("cnf").is_some() {
            let detail = "the token is bound to a key (`cnf`), and cannot be exchanged";
            return Err(refused(InvalidToken::new(Reason::BindingMismatch, detail)));
        }
        if token.subject.len() > LONGEST_SUBJECT || token.subject.chars().any(char::is_control) {
            let detail = "the token's subject is longer than 255 bytes, or holds control characters";
            return Err(refused(InvalidToken::new(Reason::ClaimInvalid, detail)));
        }
        Ok(token)
    }

    /// Converts the identities to the form of this issuer's tokens: a subject of another issuer gets that issuer's prefix, and an actor
    /// of another issuer gets `iss`.
    fn identified(&self, mut claims: TokenClaims, is_own: bool) -> Result<PresentedToken, InvalidToken> {
        let subject = if is_own {
            claims.subject.clone()
        } else {
            self.trusted.local_subject(&claims.issuer, &claims.subject)
        };
        if !is_own && let Some(actor) = claims.actor.take() {
            let actor = actor.of_issuer(&claims.issuer);
            // Another issuer must not claim that a subject of this issuer acted.
            let own = Some(self.verifier.policy().issuer.as_str());
            if actor.chain().any(|actor| actor.issuer.as_deref() == own) {
                let detail = "the token is of another issuer, and names an actor (`act`) of this one";
                return Err(InvalidToken::new(Reason::ClaimInvalid, detail));
            }
            claims.actor = Some(actor);
        }
        Ok(PresentedToken { subject, claims, may_act: None, extra: ExtraClaims::default(), is_own })
    }

    /// Verifies a token like VerifyToken, for any audience.
    fn verified(
        &self,
        text: &str,
    ) -> Result<(TokenClaims, JsonObject<'static>, ExtraClaims, bool), VerifyError> {
        let token = self
            .verifier
            .examine(text, |_, payload| (payload.members.into_owned(), payload.text.to_owned()))?;
        self.verifier.check_good(&token)?;
        let (members, text) = token.payload;
        let extra = if token.is_own { extra_claims(&text)? } else { ExtraClaims::default() };
        Ok((token.claims, members, extra, token.is_own))
    }
}

/// The extra claims of a payload, with their exact JSON.
fn extra_claims(payload: &str) -> Result<ExtraClaims, InvalidToken> {
    let members = jose::object_members(payload).map_err(|_| {
        InvalidToken::new(Reason::Malformed, "the token's payload is not a strict JSON object")
    })?;
    let is_extra = |name: &str| name != MAY_ACT && !ExtraClaims::REGISTERED.contains(&name);
    Ok(ExtraClaims::from_members(members.into_iter().filter(|(name, _)| is_extra(name)).collect()))
}

/// The claim `act` of the new token: the actor, with the earlier actors inside (RFC 8693 section 4.1).
fn act_claim(subject: &PresentedToken, actor: Option<&PresentedToken>) -> Result<Option<Actor>, IssueError> {
    let invalid = |field: &str, description: String| IssueError::Invalid(Violations::of(field, description));
    let earlier = subject.claims.actor.clone();
    let (field, act) = match actor {
        // The subject of such a token does not act itself.
        Some(actor) if actor.claims.actor.is_some() => {
            let description = "must be the actor's own token, without an actor of its own (`act`)";
            return Err(invalid("actor_token", description.to_owned()));
        }
        Some(actor) => {
            let claims = &actor.claims;
            let issuer = (!actor.is_own).then(|| claims.issuer.clone());
            (
                "actor_token",
                Some(Actor { issuer, subject: claims.subject.clone(), actor: earlier.map(Box::new) }),
            )
        }
        None => ("subject_token", earlier),
    };
    let depth = act.iter().flat_map(Actor::chain).count();
    if depth > MAX_ACTORS {
        let description = format!("would make a chain of {depth} actors; at most {MAX_ACTORS} are allowed");
        return Err(invalid(field, description));
    }
    Ok(act)
}
