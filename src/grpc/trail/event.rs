//! From a call's trail to its event.

use tonic::Code;

use super::{
    rules::Audited,
    scope::{Call, Refusal, Trail},
};
use crate::{
    audit::{Event, Outcome, Text},
    grpc::{admission::ResultClass, metrics::code_name},
};

/// The event of a call that was answered, if it leaves one.
pub(super) fn answered(call: &Call<'_>, trail: &mut Trail, code: Code) -> Option<Event> {
    let refused = code != Code::Ok;
    // That says nothing of the caller; it is counted.
    let undecided = trail.refusal.as_ref().is_some_and(|refusal| refusal.undecided);
    let wanted = match trail.rules.audited {
        Audited::Always => !undecided,
        Audited::Refusals => refused && !undecided || !trail.details.items.is_empty(),
        Audited::Never => false,
    };
    let outcome = if refused { Outcome::Refused } else { Outcome::Ok };
    wanted.then(|| event(call, trail, outcome, code))
}

/// The event of a call whose caller went away, if it may have done something.
pub(super) fn abandoned(call: &Call<'_>, trail: &mut Trail) -> Option<Event> {
    // The permit of a call with an action beside it went with the action.
    let was_admitted = trail.admitted.is_some() || trail.aside.is_some();
    let wanted = trail.rules.audited == Audited::Always && was_admitted;
    wanted.then(|| event(call, trail, Outcome::Abandoned, Code::Cancelled))
}

/// How the metrics by client count it.
pub(super) const fn class(code: Code, refusal: Option<&Refusal>) -> ResultClass {
    match code {
        Code::Ok => ResultClass::Ok,
        Code::Internal | Code::Unavailable | Code::DeadlineExceeded | Code::Unknown | Code::DataLoss => {
            ResultClass::Failed
        }
        _ => match refusal {
            Some(Refusal { undecided: true, .. }) => ResultClass::Limited,
            _ => ResultClass::Refused,
        },
    }
}

fn event(call: &Call<'_>, trail: &mut Trail, outcome: Outcome, code: Code) -> Event {
    let mut details = std::mem::take(&mut trail.details);
    if let Some(aside) = trail.aside.take() {
        // Where the call ends before what was begun for it: that may be done all the same.
        aside.with(|noted| details.add(noted));
    }
    let refusal = trail.refusal.take().filter(|_| code != Code::Ok);
    let caller = trail.caller.as_ref().map(|(caller, _)| caller);
    let (reason, field, policy) = match refusal {
        Some(refusal) => (Some(refusal.reason), refusal.field, refusal.policy),
        None => (None, None, details.policy),
    };
    Event {
        method: call.method.trim_start_matches('/'),
        outcome,
        code: code_name(code),
        reason,
        field,
        policy,
        client_id: caller.map(|caller| Text::of(caller.client().client_id.as_str())),
        authentication: caller.map(|caller| caller.method().name()),
        peer: call.peer,
        request_id: Text::of(call.request_id.to_str().unwrap_or_default()),
        subject: details.subject,
        actor: details.actor,
        audiences: details.audiences,
        scopes: details.scopes,
        jti: details.jti,
        kid: details.kid,
        exp: details.exp,
        targets: details.targets,
        cause: details.cause,
        ended_sessions: details.ended_sessions,
        items: details.items,
        repeated: details.repeated,
    }
}
