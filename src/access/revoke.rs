//! Authorizes a revocation.
//!
//! A client may always revoke tokens and sessions that were issued to it or are about it. The owner of a token or a session is known
//! after its look-up; the grant decides then.

use std::sync::Arc;

use super::{
    Denial, DenialReason,
    check::{self, listed},
    decision::{Check, DecisionsText, Field, Verdict},
    policy::all,
    rule::{PatternList, Permission, Rule},
};
use crate::model::{Client, Method, Pattern, RevokeTarget};

/// Permission to revoke a target, if the grant allows its owner. It has no `Debug`, because it may contain a token.
pub(crate) struct RevokeGrant {
    client: Arc<Client>,
    method: Method,
    target: RevokeTarget,
}

/// The owner of a token or a session.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Owner<'a> {
    /// The client to which it was issued, if known.
    pub(crate) client_id: Option<&'a str>,
    pub(crate) subject: &'a str,
}

/// Permission to revoke a target. Without a target, which is an invalid request, only the method is checked.
pub(crate) fn revoke(
    client: &Arc<Client>,
    method: Method,
    target: Option<RevokeTarget>,
) -> Result<Option<RevokeGrant>, Denial> {
    all(client, [check::method(client, method)])?;
    let Some(target) = target else { return Ok(None) };
    all(client, check_target(client, method, &target))?;
    Ok(Some(RevokeGrant { client: Arc::clone(client), method, target }))
}

impl RevokeGrant {
    pub(crate) const fn target(&self) -> &RevokeTarget {
        &self.target
    }

    /// Checks the owner of the target. Returns the rule that allows the revocation.
    pub(crate) fn allows(&self, owner: Owner<'_>) -> Result<String, Denial> {
        self.decide(of_owner(&self.client, self.method, &self.target, owner))
    }

    /// Checks a target without a known owner. Returns the rule that allows the revocation.
    pub(crate) fn allows_any_owner(&self) -> Result<String, Denial> {
        self.decide(of_any_owner(&self.client, self.method, &self.target))
    }

    /// The decisions before the look-up of the target.
    pub(crate) fn policy(&self) -> String {
        DecisionsText::of(&self.client, at_once(&self.client, self.method, &self.target)).to_string()
    }

    fn decide(&self, check: Check<'_>) -> Result<String, Denial> {
        match Denial::of(&check, &self.client) {
            Some(denial) => Err(denial),
            None => Ok(DecisionsText::of(&self.client, [check]).to_string()),
        }
    }
}

/// The checks before the look-up of the target.
pub(super) fn at_once<'a>(
    client: &'a Client,
    method: Method,
    target: &'a RevokeTarget,
) -> impl Iterator<Item = Check<'a>> {
    [check::method(client, method)].into_iter().chain(check_target(client, method, target))
}

/// The check of a target with this owner.
pub(super) fn of_owner<'a>(
    client: &Client,
    method: Method,
    target: &RevokeTarget,
    owner: Owner<'a>,
) -> Check<'a> {
    check_owner(client, method, field(target), owner.client_id, Some(owner.subject))
}

/// The check of a target without a known owner.
pub(super) fn of_any_owner(client: &Client, method: Method, target: &RevokeTarget) -> Check<'static> {
    check_any_owner(client, method, field(target))
}

/// The check of a target that needs no look-up.
fn check_target<'a>(client: &'a Client, method: Method, target: &'a RevokeTarget) -> Option<Check<'a>> {
    let field = field(target);
    match target {
        RevokeTarget::Token(_) | RevokeTarget::Session(_) => None,
        RevokeTarget::JwtId(_) => Some(check_any_owner(client, method, field)),
        RevokeTarget::Subject(subject, _) => Some(check_owner(client, method, field, None, Some(subject))),
        RevokeTarget::Client(client_id) => {
            Some(check_owner(client, method, field, Some(client_id.as_str()), None))
        }
    }
}

/// Allows the revocation by the client's own id, the target's client or subject, or a role with the method.
fn check_owner<'a>(
    client: &Client,
    method: Method,
    field: Field<'static>,
    client_id: Option<&'a str>,
    subject: Option<&'a str>,
) -> Check<'a> {
    let own = client.client_id.as_str();
    let own = (client_id == Some(own) || subject == Some(own)).then_some(Rule::OwnId);
    let by_client = || client_id.and_then(|client_id| listed(client, PatternList::RevokeClients, client_id));
    let by_subject = || subject.and_then(|subject| listed(client, PatternList::RevokeSubjects, subject));
    Check {
        field,
        value: subject.or(client_id),
        permission: Permission::List(if subject.is_some() {
            PatternList::RevokeSubjects
        } else {
            PatternList::RevokeClients
        }),
        reason: DenialReason::Subject,
        verdict: Verdict::by(
            own.or_else(by_client).or_else(by_subject).or_else(|| check::by_role(client, method)),
        ),
    }
}

/// Allows the revocation by the pattern `*`, or a role with the method.
fn check_any_owner(client: &Client, method: Method, field: Field<'static>) -> Check<'static> {
    let mut patterns = client.settings.permissions.revoke_subjects.iter();
    let rule =
        patterns.position(Pattern::is_any).map(|index| Rule::Pattern(PatternList::RevokeSubjects, index));
    let rule = rule.or_else(|| check::by_role(client, method));
    let (permission, reason) = (Permission::List(PatternList::RevokeSubjects), DenialReason::Subject);
    Check { field, value: None, permission, reason, verdict: Verdict::by(rule) }
}

const fn field(target: &RevokeTarget) -> Field<'static> {
    Field::Name(match target {
        RevokeTarget::Token(_) => "token",
        RevokeTarget::JwtId(_) => "jwt_id",
        RevokeTarget::Subject(..) => "subject",
        RevokeTarget::Client(_) => "client_id",
        RevokeTarget::Session(_) => "session_id",
    })
}
