//! Exchanging tokens (RFC 8693): what comes of it never allows more, and never lives longer, than what was presented.

use std::sync::Arc;

use super::{IssueError, IssuedToken, Issuer, Verifier, VerifyError};
use crate::{
    access::{
        ExchangeGrant, ForeignTokenError, IssueGrant, IssueRules, MAY_ACT, PolicyError, PresentedToken,
        TrustedIssuers,
    },
    clock::Clock,
    jose,
    model::{Actor, ExtraClaims, Reason, Refusal, Violations},
};

/// The longest chain of actors that a token may name.
const MOST_ACTORS: usize = 4;
/// The longest subject that is taken over, in bytes: as long as one may be that is asked for.
const LONGEST_SUBJECT: usize = 255;

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
        let (now, leeway) = (self.clock.now(), self.verifier.policy().leeway);
        let is_fetched = |issuer: &str| is_looked_up(&KeysOf::Issuer(issuer.to_owned()));
        let foreign = self.trusted.token(text, leeway, now, is_fetched).map_err(|error| match error {
            ForeignTokenError::Refused(refusal) => refused(refusal),
            ForeignTokenError::KeyNotInMemory(issuer) => {
                ExchangeError::KeyNotInMemory(KeysOf::Issuer(issuer))
            }
            ForeignTokenError::KeysMissing(issuer) => ExchangeError::IssuerKeys(issuer),
        })?;
        let (token, members) = match foreign {
            Some(token) => {
                // Of another issuer's tokens, single ones are revoked here, by `jti`.
                self.verifier.check_revoked(&token.claims, false).map_err(not_verified)?;
                let may_act = token.members.get(MAY_ACT).cloned();
                let (extra, is_own) = (ExtraClaims::default(), false);
                (PresentedToken { claims: token.claims, may_act, extra, is_own }, token.members)
            }
            None => self.verified(text).map_err(not_verified)?,
        };
        // Leeway is for verifiers. What comes of the token ends when the token does, and that is now.
        if token.claims.expire_time <= now {
            return Err(refused(Refusal::new(Reason::Expired, "the token has expired")));
        }
        // RFC 7800: it is good only together with the proof of a key. The one who presents it here gives none.
        if members.contains_key("cnf") {
            let detail = "the token is bound to a key of its holder, and cannot be exchanged";
            return Err(refused(Refusal::new(Reason::BindingMismatch, detail)));
        }
        let subject = &token.claims.subject;
        if subject.len() > LONGEST_SUBJECT || subject.chars().any(char::is_control) {
            let detail = "the token's subject is longer than 255 bytes, or holds control characters";
            return Err(refused(Refusal::new(Reason::ClaimInvalid, detail)));
        }
        Ok(token)
    }

    /// A token that VerifyToken would take, for whomever it is, with every claim.
    fn verified(
        &self,
        text: &str,
    ) -> Result<(PresentedToken, serde_json::Map<String, serde_json::Value>), VerifyError> {
        let token = self.verifier.examine(text)?;
        self.verifier.check_good(&token)?;
        let extra = if token.is_own { extra_claims(&token.payload)? } else { ExtraClaims::default() };
        let may_act = token.members.get(MAY_ACT).cloned();
        Ok((PresentedToken { claims: token.claims, may_act, extra, is_own: token.is_own }, token.members))
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
            let subject = actor.claims.subject.clone();
            ("actor_token", Some(Actor { subject, actor: before.map(Box::new) }))
        }
        None => ("subject_token", before),
    };
    let depth = std::iter::successors(acting.as_ref(), |actor| actor.actor.as_deref()).count();
    if depth > MOST_ACTORS {
        let description = format!("would make a chain of {depth} actors; at most {MOST_ACTORS} are allowed");
        return Err(invalid(field, description));
    }
    Ok(acting)
}
