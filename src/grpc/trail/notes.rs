//! What the steps of a call note.

use std::sync::Arc;

use super::{
    aside::Notes,
    rules::Audited,
    scope::{Refusal, Trail},
};
use crate::{
    access::{Caller, IssueGrant, IssueRules, PolicyError, RegistryError, RevokeGrant},
    audit::{AuditUnavailable, Target, Text},
    grpc::{
        admission::{LaneName, Place},
        status::CallError,
    },
    model::{
        ClientId, ExchangeRequest, IssueRequest, KeyId, RevocationTarget, RevokeTarget, SessionId, UserId,
        foreign_prefix,
    },
    tokens::{ExchangeError, IssuedToken, LoginError, MadeRevocation, RevokeError, SessionError},
};

/// The caller is known: notes who, and takes the call on or refuses it for how much there is to do.
pub(in crate::grpc) async fn admit(caller: &Caller) -> Result<(), CallError> {
    let client = caller.client();
    let noted = Trail::with(|trail| {
        let traffic = trail.admission.traffic(&client.client_id);
        trail.caller = Some((caller.clone(), Arc::clone(&traffic)));
        let blocked = trail.blocked && trail.rules.audited == Audited::Always;
        (Arc::clone(&trail.admission), traffic, trail.rules.lane, blocked)
    });
    if let Some((admission, traffic, lane, blocked)) = noted {
        if blocked {
            return Err(AuditUnavailable.into());
        }
        let admitted = admission.admit(client, &traffic, lane).await?;
        Trail::with(|trail| trail.admitted = Some(admitted));
    }
    Ok(())
}

/// The call is of another kind than its method said, and goes on in that one's lane. The place that it had is free before it waits
/// for the other.
pub(in crate::grpc) async fn change_lane(lane: LaneName) -> Result<(), CallError> {
    if put(None).is_some()
        && let Some(admission) = Trail::with(|trail| Arc::clone(&trail.admission))
    {
        put(admission.place(Some(lane)).await?);
    }
    Ok(())
}

/// Gives up the call's place in its lane: it is about to wait for something that limits its waiting calls by itself.
pub(in crate::grpc) fn leave_lane() {
    put(None);
}

fn put(place: Option<Place>) -> Option<()> {
    Trail::with(|trail| trail.admitted.as_mut().map(|admitted| admitted.put(place))).flatten()
}

/// A token is asked for, in a request of which all is well-formed.
pub(in crate::grpc) fn asked(request: &IssueRequest) {
    Trail::note(|details| {
        details.subject = request.subject.as_deref().map(Text::of);
        details.audiences = texts(&request.audiences);
    });
}

/// A token is to be exchanged for one of these audiences, in a request of which all is well-formed.
pub(in crate::grpc) fn asked_to_exchange(request: &ExchangeRequest) {
    Trail::note(|details| details.audiences = texts(&request.audiences));
}

/// A token was issued.
pub(in crate::grpc) fn token(grant: &IssueGrant, rules: &IssueRules, issued: &IssuedToken) {
    if let Some(traffic) = Trail::traffic() {
        traffic.issued();
    }
    Trail::note(|details| {
        details.subject.get_or_insert_with(|| Text::of(grant.subject()));
        details.actor = grant.actor().map(|actor| match &actor.issuer {
            Some(issuer) => Text::of(&(foreign_prefix(issuer) + &actor.subject)),
            None => Text::of(&actor.subject),
        });
        if details.audiences.is_empty() {
            details.audiences = texts(grant.audiences());
        }
        details.policy = Some(Text::of(&grant.policy(rules)));
        if let Some(session_id) = grant.session_id() {
            details.target(Target::Session(Text::of(session_id.as_str())));
        }
        details.scopes = texts(grant.scopes());
        details.jti = Some(Text::of(issued.jwt_id.as_str()));
        details.kid = Some(Text::of(issued.key_id.as_str()));
        details.exp = Some(issued.expire_time.seconds());
    });
}

/// This client is to be changed, or was. Noted before the change where it is known then: nobody may learn how that ended.
pub(in crate::grpc) fn client(client_id: &ClientId) {
    target(|| Target::Client(Text::of(client_id.as_str())));
}

/// This user is to be changed, or was.
pub(in crate::grpc) fn user(user_id: &UserId) {
    target(|| Target::User(Text::of(user_id.as_str())));
}

/// This session is to be changed, or was.
pub(in crate::grpc) fn session(session_id: &SessionId) {
    target(|| Target::Session(Text::of(session_id.as_str())));
}

/// The call is about this subject.
pub(in crate::grpc) fn subject(subject: &str) {
    Trail::note(|details| details.subject = Some(Text::of(subject)));
}

/// An administrative method is allowed by these lines.
pub(in crate::grpc) fn allowed(policy: &str) {
    Trail::note(|details| details.policy = Some(Text::of(policy)));
}

/// This key is to be changed, or was.
pub(in crate::grpc) fn key(key_id: &KeyId) {
    target(|| Target::Key(Text::of(key_id.as_str())));
}

/// That is to be revoked, which the client may name so. Of a token, only its id is ever written down, when that is known.
pub(in crate::grpc) fn asked_to_revoke(grant: &RevokeGrant) {
    match grant.target() {
        RevokeTarget::Token(_) => {}
        RevokeTarget::JwtId(jwt_id) => target(|| Target::Token(Text::of(jwt_id))),
        RevokeTarget::Session(session_id) => target(|| Target::Session(Text::of(session_id.as_str()))),
        RevokeTarget::Subject(subject, _) => target(|| Target::Subject(Text::of(subject))),
        RevokeTarget::Client(client_id) => client(client_id),
    }
    Trail::note(|details| details.policy = Some(Text::of(&grant.policy())));
}

/// That was revoked.
pub(in crate::grpc) fn revoked(made: &MadeRevocation) {
    match &made.target {
        RevocationTarget::Token(jwt_id) => target(|| Target::Token(Text::of(jwt_id))),
        RevocationTarget::Session(session_id) => target(|| Target::Session(Text::of(session_id.as_str()))),
        RevocationTarget::Subject(subject, _) => target(|| Target::Subject(Text::of(subject))),
        RevocationTarget::Client(client_id, _) => client(client_id),
        RevocationTarget::Everything(_) => {}
    }
    Trail::note(|details| details.policy = Some(Text::of(&made.policy)));
}

/// So many sessions ended with what was changed; nothing is noted of none.
pub(in crate::grpc) fn ended_sessions(count: u64) {
    Trail::note(|details| details.ended_sessions = Some(count).filter(|count| *count > 0));
}

/// What was noted aside of a call is this call's too.
pub(in crate::grpc) fn noted(notes: &Notes) {
    Trail::note(|details| details.add(&notes.0));
}

/// The answer was given before, and nothing was done for it again.
pub(in crate::grpc) fn repeated() {
    Trail::note(|details| details.repeated = true);
}

/// Why something is changed, as the caller says.
pub(in crate::grpc) fn cause(cause: &str) {
    Trail::note(|details| details.cause = Some(cause).filter(|cause| !cause.is_empty()).map(Text::of));
}

/// Whether it is known by now who calls.
pub(in crate::grpc) fn knows_its_caller() -> bool {
    Trail::with(|trail| trail.caller.is_some()).unwrap_or_default()
}

/// The call is refused, or failed.
pub(in crate::grpc) fn refused(reason: &'static str, error: &CallError, field: Option<&str>) {
    Trail::with(|trail| {
        let field = field.filter(|_| trail.audited).map(Text::of);
        let policy = deciding_line(error).filter(|_| trail.audited).map(Text::of);
        let undecided = matches!(error, CallError::Busy(_) | CallError::NoRoom(_) | CallError::Audit(_));
        trail.refusal = Some(Refusal { reason, field, policy, undecided });
    });
}

/// The line of the policy that denied the call, if one did: most often there is none that allows it.
fn deciding_line(error: &CallError) -> Option<&str> {
    match error {
        CallError::Policy(PolicyError::Denied(denial))
        | CallError::Registry(RegistryError::Denied(denial))
        | CallError::Login(LoginError::Denied(denial))
        | CallError::Exchange(ExchangeError::Policy(PolicyError::Denied(denial)))
        | CallError::Revoke(RevokeError::Denied(denial))
        | CallError::Session(SessionError::Policy(PolicyError::Denied(denial))) => denial.line.as_deref(),
        _ => None,
    }
}

/// One item of a batch is refused.
pub(in crate::grpc) fn item_refused(reason: &'static str) {
    Trail::note(|details| *details.items.entry(reason).or_default() += 1);
}

fn target(target: impl FnOnce() -> Target) {
    Trail::note(|details| details.target(target()));
}

fn texts(raw: &[String]) -> Vec<Text> {
    raw.iter().map(|raw| Text::of(raw)).collect()
}
