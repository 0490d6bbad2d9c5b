//! What is noted of a call in a task that is not its own, because it goes on when the call's caller has gone.

use std::sync::{Arc, Mutex, PoisonError};

use super::scope::{Details, Trail};
use crate::{
    audit::{Target, Text},
    grpc::admission::{Admitted, ClientTraffic},
};

tokio::task_local! {
    static ASIDE: Aside;
}

/// The trail of a call beside the call.
#[derive(Debug)]
pub(in crate::grpc) struct Aside {
    audited: bool,
    traffic: Option<Arc<ClientTraffic>>,
    noted: Noted,
    /// The call's permit goes with the action, which may outlive the call: a caller that hangs up makes no room for another action.
    _admitted: Option<Admitted>,
}

/// What was noted aside so far, which the call sees too: its event may have to be written before the action ends.
#[derive(Debug, Clone, Default)]
pub(super) struct Noted(Arc<Mutex<Details>>);

impl Noted {
    pub(super) fn with<T>(&self, note: impl FnOnce(&mut Details) -> T) -> T {
        note(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What was noted there.
#[derive(Debug, Clone, Default)]
pub(in crate::grpc) struct Notes(pub(super) Details);

impl Aside {
    /// For an action of the call that this task serves.
    pub(in crate::grpc) fn of_call() -> Self {
        let noted = Noted::default();
        let of_call = Trail::with(|trail| {
            trail.aside = Some(noted.clone());
            (trail.audited, trail.admitted.take())
        });
        let (audited, admitted) = of_call.unwrap_or_default();
        Self { audited, traffic: Trail::traffic(), noted, _admitted: admitted }
    }

    /// Runs the action, in whichever task, and answers what it notes.
    pub(in crate::grpc) async fn run<T>(self, action: impl Future<Output = T>) -> (T, Notes) {
        let noted = self.noted.clone();
        let answer = ASIDE.scope(self, action).await;
        (answer, Notes(noted.with(|details| details.clone())))
    }

    /// Notes something, where details are wanted.
    pub(super) fn note(note: impl FnOnce(&mut Details)) {
        let _outside_of_any = ASIDE.try_with(|aside| {
            if aside.audited {
                aside.noted.with(note);
            }
        });
    }

    /// What the caller's traffic is counted by.
    pub(super) fn traffic() -> Option<Arc<ClientTraffic>> {
        ASIDE.try_with(|aside| aside.traffic.clone()).ok().flatten()
    }
}

impl Notes {
    /// How many octets they take, roughly.
    pub(in crate::grpc) fn bytes(&self) -> usize {
        self.0.bytes()
    }
}

impl Details {
    /// Takes in what `others` say and these do not.
    pub(super) fn add(&mut self, others: &Self) {
        let Self {
            subject,
            actor,
            audiences,
            scopes,
            jti,
            kid,
            exp,
            targets,
            cause,
            policy,
            ended_sessions,
            ..
        } = others;
        for (own, other) in [
            (&mut self.subject, subject),
            (&mut self.actor, actor),
            (&mut self.jti, jti),
            (&mut self.kid, kid),
            (&mut self.cause, cause),
        ] {
            *own = own.take().or_else(|| other.clone());
        }
        // What was decided in the action is more than what was decided before it.
        self.policy = policy.clone().or(self.policy.take());
        self.exp = self.exp.or(*exp);
        self.ended_sessions = self.ended_sessions.or(*ended_sessions);
        for (own, other) in [(&mut self.audiences, audiences), (&mut self.scopes, scopes)] {
            if own.is_empty() {
                own.clone_from(other);
            }
        }
        for target in targets {
            if !self.targets.contains(target) {
                self.targets.push(target.clone());
            }
        }
    }

    fn bytes(&self) -> usize {
        let texts = [&self.subject, &self.actor, &self.jti, &self.kid, &self.cause, &self.policy];
        let lists = [&self.audiences, &self.scopes].into_iter().flatten();
        let texts = texts.into_iter().flatten().chain(lists);
        let targets = self.targets.len() * size_of::<Target>();
        size_of::<Self>() + targets + texts.map(|text| size_of::<Text>() + text.as_str().len()).sum::<usize>()
    }
}
