//! May this client revoke that?
//!
//! A client may always revoke its own: what it had issued, and what is about itself. Whose a token or a session is, is known only
//! when it was found; the grant decides then.

use std::sync::Arc;

use super::{
    Denial, DenialReason,
    check::{self, Check, Place, Verdict, listed},
    grant::words,
    line::{Line, List, Rule},
    policy::all,
};
use crate::model::{Client, Method, Pattern, RevokeTarget};

/// Something that may be revoked, if the grant says so of whom it belongs to. It has no `Debug`: it may hold a token.
pub(crate) struct RevokeGrant {
    client: Arc<Client>,
    method: Method,
    target: RevokeTarget,
}

/// To whom a token or a session belongs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Owner<'a> {
    /// Who had it issued, as far as it says.
    pub(crate) client_id: Option<&'a str>,
    /// Whom it is about.
    pub(crate) subject: &'a str,
}

/// Permission to revoke this target. Without a target, which is an invalid request, only the method is checked.
pub(crate) fn revoke(
    client: &Arc<Client>,
    method: Method,
    target: Option<RevokeTarget>,
) -> Result<Option<RevokeGrant>, Denial> {
    all(client, [check::method(client, method)])?;
    let Some(target) = target else { return Ok(None) };
    all(client, decided_at_once(client, method, &target))?;
    Ok(Some(RevokeGrant { client: Arc::clone(client), method, target }))
}

impl RevokeGrant {
    /// What is to be revoked.
    pub(crate) const fn target(&self) -> &RevokeTarget {
        &self.target
    }

    /// Whether it may be, belonging to `owner`. Answers by which line.
    pub(crate) fn allows(&self, owner: Owner<'_>) -> Result<String, Denial> {
        self.decide(of_owner(&self.client, self.method, &self.target, owner))
    }

    /// Whether it may be, whomever it belongs to. Answers by which line.
    pub(crate) fn allows_whatever_it_is(&self) -> Result<String, Denial> {
        self.decide(of_nobody(&self.client, self.method, &self.target))
    }

    /// What was decided at once, and by which line.
    pub(crate) fn policy(&self) -> String {
        words(&self.client, at_once(&self.client, self.method, &self.target))
    }

    fn decide(&self, check: Check<'_>) -> Result<String, Denial> {
        Denial::of(&check, &self.client).map_or_else(|| Ok(words(&self.client, [check])), Err)
    }
}

/// All that is looked at before anything was found.
pub(super) fn at_once<'a>(
    client: &'a Client,
    method: Method,
    target: &'a RevokeTarget,
) -> impl Iterator<Item = Check<'a>> {
    [check::method(client, method)].into_iter().chain(decided_at_once(client, method, target))
}

/// What was found, belonging to `owner`.
pub(super) fn of_owner<'a>(
    client: &Client,
    method: Method,
    target: &RevokeTarget,
    owner: Owner<'a>,
) -> Check<'a> {
    owned(client, method, place(target), owner.client_id, Some(owner.subject))
}

/// What was found, of which nobody here can say whose it is.
pub(super) fn of_nobody(client: &Client, method: Method, target: &RevokeTarget) -> Check<'static> {
    whatever(client, method, place(target))
}

/// What can be decided before anything was found.
fn decided_at_once<'a>(client: &'a Client, method: Method, target: &'a RevokeTarget) -> Option<Check<'a>> {
    let place = place(target);
    match target {
        RevokeTarget::Token(_) | RevokeTarget::Session(_) => None,
        // The owner of the target is unknown.
        RevokeTarget::JwtId(_) => Some(whatever(client, method, place)),
        RevokeTarget::Subject(subject, _) => Some(owned(client, method, place, None, Some(subject))),
        RevokeTarget::Client(client_id) => Some(owned(client, method, place, Some(client_id.as_str()), None)),
    }
}

/// Of that client or about that subject: either is enough, and so is the client's own id, or a role that has the method.
fn owned<'a>(
    client: &Client,
    method: Method,
    place: Place<'static>,
    client_id: Option<&'a str>,
    subject: Option<&'a str>,
) -> Check<'a> {
    let own = client.client_id.as_str();
    let own = (client_id == Some(own) || subject == Some(own)).then_some(Line::OwnId);
    let by_client = || client_id.and_then(|client_id| listed(client, List::RevokeClients, client_id));
    let by_subject = || subject.and_then(|subject| listed(client, List::RevokeSubjects, subject));
    Check {
        place,
        value: subject.or(client_id),
        rule: Rule::List(if subject.is_some() { List::RevokeSubjects } else { List::RevokeClients }),
        reason: DenialReason::Subject,
        verdict: Verdict::by(
            own.or_else(by_client).or_else(by_subject).or_else(|| check::by_role(client, method)),
        ),
    }
}

/// Whatever there is: that is what a bare `*` stands for and no other pattern, and a role that has the method.
fn whatever(client: &Client, method: Method, place: Place<'static>) -> Check<'static> {
    let mut patterns = client.settings.permissions.revoke_subjects.iter();
    let line = patterns.position(Pattern::is_any).map(|index| Line::Pattern(List::RevokeSubjects, index));
    let line = line.or_else(|| check::by_role(client, method));
    let rule = Rule::List(List::RevokeSubjects);
    Check { place, value: None, rule, reason: DenialReason::Subject, verdict: Verdict::by(line) }
}

const fn place(target: &RevokeTarget) -> Place<'static> {
    Place::Field(match target {
        RevokeTarget::Token(_) => "token",
        RevokeTarget::JwtId(_) => "jwt_id",
        RevokeTarget::Subject(..) => "subject",
        RevokeTarget::Client(_) => "client_id",
        RevokeTarget::Session(_) => "session_id",
    })
}
