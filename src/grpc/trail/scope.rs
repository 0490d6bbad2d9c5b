//! The trail of the call that this task serves.

use std::{cell::RefCell, net::IpAddr, sync::Arc};

use http::HeaderValue;
use tonic::Code;

use super::{
    aside::{Aside, Noted},
    event,
    rules::Rules,
};
use crate::{
    access::Caller,
    audit::{AuditLog, Event, Items, Target, Text},
    grpc::admission::{Admission, Admitted, ClientTraffic, ResultClass},
};

tokio::task_local! {
    static TRAIL: RefCell<Trail>;
}

/// What a call left behind so far.
#[derive(Debug)]
pub(in crate::grpc) struct Trail {
    pub(super) rules: Rules,
    /// Whether details are wanted.
    pub(super) audited: bool,
    /// Whether nothing may be begun now that leaves an event.
    pub(super) blocked: bool,
    pub(super) admission: Arc<Admission>,
    pub(super) caller: Option<(Caller, Arc<ClientTraffic>)>,
    pub(super) admitted: Option<Admitted>,
    pub(super) refusal: Option<Refusal>,
    pub(super) details: Details,
    /// What is noted beside the call, if anything is done there.
    pub(super) aside: Option<Noted>,
}

/// What the caller was told instead of an answer.
#[derive(Debug, Clone)]
pub(super) struct Refusal {
    pub(super) reason: &'static str,
    pub(super) field: Option<Text>,
    pub(super) policy: Option<Text>,
    /// For how much there is to do, or since the audit log fails, rather than for what was asked.
    pub(super) undecided: bool,
}

/// What the methods note.
#[derive(Debug, Clone, Default)]
pub(super) struct Details {
    pub(super) subject: Option<Text>,
    pub(super) actor: Option<Text>,
    pub(super) audiences: Vec<Text>,
    pub(super) scopes: Vec<Text>,
    pub(super) jti: Option<Text>,
    pub(super) kid: Option<Text>,
    pub(super) exp: Option<i64>,
    pub(super) targets: Vec<Target>,
    pub(super) cause: Option<Text>,
    /// The lines of the policy that allowed it.
    pub(super) policy: Option<Text>,
    pub(super) ended_sessions: Option<u64>,
    pub(super) items: Items,
    /// The answer was given before.
    pub(super) repeated: bool,
}

impl Details {
    /// Notes once that this was changed, or was to be.
    pub(super) fn target(&mut self, target: Target) {
        if !self.targets.contains(&target) {
            self.targets.push(target);
        }
    }
}

impl Trail {
    /// Runs something with the trail of this call. Outside of a call nothing is done.
    pub(super) fn with<T>(note: impl FnOnce(&mut Self) -> T) -> Option<T> {
        TRAIL.try_with(|trail| trail.try_borrow_mut().ok().map(|mut trail| note(&mut trail))).ok().flatten()
    }

    /// The same, where details are wanted; and [aside](Aside) of a call, with what is noted there.
    pub(super) fn note(note: impl FnOnce(&mut Details)) {
        let mut note = Some(note);
        let in_call = Self::with(|trail| {
            if let Some(note) = note.take().filter(|_| trail.audited) {
                note(&mut trail.details);
            }
        });
        if in_call.is_none()
            && let Some(note) = note
        {
            Aside::note(note);
        }
    }

    /// What the traffic of the caller is counted by, in the call and aside of it.
    pub(super) fn traffic() -> Option<Arc<ClientTraffic>> {
        let of_call = Self::with(|trail| trail.caller.as_ref().map(|(_, traffic)| Arc::clone(traffic)));
        of_call.flatten().or_else(Aside::traffic)
    }
}

/// One call as the edge sees it.
#[derive(Debug)]
pub(in crate::grpc) struct Call<'a> {
    pub(in crate::grpc) method: &'static str,
    pub(in crate::grpc) request_id: &'a HeaderValue,
    pub(in crate::grpc) peer: Option<IpAddr>,
    pub(in crate::grpc) audit: &'a AuditLog,
    pub(in crate::grpc) admission: &'a Arc<Admission>,
}

impl Call<'_> {
    /// Runs `answer` with a trail of its own, and answers what it left: the event to write before anybody is answered, if
    /// there is to be one. A call whose caller goes away in the middle leaves its event too.
    pub(in crate::grpc) async fn trace<T>(
        &self,
        answer: impl Future<Output = T>,
        code: impl Fn(&T) -> Code,
    ) -> (T, Option<Event>) {
        let trail = Trail {
            rules: Rules::of(self.method),
            audited: self.audit.is_on(),
            blocked: self.audit.is_blocked(),
            admission: Arc::clone(self.admission),
            caller: None,
            admitted: None,
            refusal: None,
            details: Details::default(),
            aside: None,
        };
        let traced = async {
            let open = Open { call: self, answered: false };
            let answer = answer.await;
            let event = open.end(code(&answer));
            (answer, event)
        };
        TRAIL.scope(RefCell::new(trail), traced).await
    }
}

/// A call that is not answered yet. Dropped with its future, it notes that nobody waited for the answer.
struct Open<'a> {
    call: &'a Call<'a>,
    answered: bool,
}

impl Open<'_> {
    fn end(mut self, code: Code) -> Option<Event> {
        self.answered = true;
        Trail::with(|trail| {
            // Its place is free from here on: the audit log may take its time.
            trail.admitted = None;
            let class = event::class(code, trail.refusal.as_ref());
            if let Some((_, traffic)) = &trail.caller {
                traffic.called(class);
            }
            trail.audited.then(|| event::answered(self.call, trail, code))?
        })?
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        if self.answered {
            return;
        }
        Trail::with(|trail| {
            if let Some((_, traffic)) = &trail.caller {
                traffic.called(ResultClass::Failed);
            }
            if trail.audited
                && let Some(event) = event::abandoned(self.call, trail)
            {
                self.call.audit.note(&event);
            }
        });
    }
}
