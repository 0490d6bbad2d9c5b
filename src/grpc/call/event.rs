//! The audit event of a call.

use tonic::Code;

use super::{
    CallContext,
    record::{Record, Refusal},
};
use crate::{
    admission::ResultClass,
    audit::{Event, Outcome, Text},
    grpc::{methods::Audited, metrics::code_name},
};

/// The event of an answered call, if it leaves one.
pub(super) fn answered(call: &CallContext, record: &mut Record, code: Code) -> Option<Event> {
    let refused = code != Code::Ok;
    // Rejections for overload are counted, and leave no event.
    let overload = record.refusal.as_ref().is_some_and(|refusal| refusal.overload);
    let wanted = match call.method.audited {
        Audited::Always => !overload,
        Audited::Refusals => {
            refused && !overload || record.notes.as_ref().is_some_and(|notes| !notes.items.is_empty())
        }
        Audited::Never => false,
    };
    let outcome = if refused { Outcome::Refused } else { Outcome::Ok };
    wanted.then(|| event(call, record, outcome, code))
}

/// The event of a call whose caller disconnected, if the call may have changed something.
pub(super) fn abandoned(call: &CallContext, record: &mut Record) -> Option<Event> {
    let wanted = call.method.audited == Audited::Always && record.admitted;
    wanted.then(|| event(call, record, Outcome::Abandoned, Code::Cancelled))
}

/// The class under which the metrics by client count the result.
pub(super) const fn class(code: Code, refusal: Option<&Refusal>) -> ResultClass {
    match code {
        Code::Ok => ResultClass::Ok,
        Code::Internal | Code::Unavailable | Code::DeadlineExceeded | Code::Unknown | Code::DataLoss => {
            ResultClass::Failed
        }
        _ => match refusal {
            Some(Refusal { overload: true, .. }) => ResultClass::Limited,
            _ => ResultClass::Refused,
        },
    }
}

fn event(call: &CallContext, record: &mut Record, outcome: Outcome, code: Code) -> Event {
    let notes = record.notes.take().map(|notes| *notes).unwrap_or_default();
    let refusal = record.refusal.take().filter(|_| code != Code::Ok);
    let caller = record.caller.as_ref().map(|(caller, _)| caller);
    let (reason, field, policy) = match refusal {
        Some(refusal) => (Some(refusal.reason), refusal.field, refusal.policy),
        None => (None, None, notes.policy),
    };
    Event {
        method: call.method.path.trim_start_matches('/'),
        outcome,
        code: code_name(code),
        reason,
        field,
        policy,
        client_id: caller.map(|caller| Text::of(caller.client_id().as_str())),
        authentication: caller.map(|caller| caller.method().name()),
        peer: call.address(),
        request_id: Text::of(call.request_id.to_str().unwrap_or_default()),
        subject: notes.subject,
        actor: notes.actor,
        audiences: notes.audiences,
        scopes: notes.scopes,
        jti: notes.jti,
        kid: notes.kid,
        exp: notes.exp,
        targets: notes.targets,
        cause: notes.cause,
        ended_sessions: notes.ended_sessions,
        items: notes.items,
        repeated: notes.repeated,
    }
}
