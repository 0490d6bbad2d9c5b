//! What was noted of a call so far.

use std::sync::Arc;

use crate::{
    access::Authenticated,
    admission::ClientTraffic,
    audit::{Items, Policy, Target, Text},
};

/// What is known of a call.
#[derive(Debug, Default)]
pub(super) struct Record {
    pub(super) caller: Option<(Authenticated, Arc<ClientTraffic>)>,
    pub(super) admitted: bool,
    pub(super) refusal: Option<Refusal>,
    /// What the method noted; most methods that only read note nothing.
    pub(super) notes: Option<Box<Notes>>,
}

/// The error that the caller was sent.
#[derive(Debug, Clone)]
pub(super) struct Refusal {
    pub(super) reason: &'static str,
    pub(super) field: Option<Text>,
    pub(super) policy: Option<Policy>,
    /// Whether it says nothing about the request: the server is overloaded, or the audit log fails.
    pub(super) overload: bool,
}

/// What methods note for the audit log.
#[derive(Debug, Clone, Default)]
pub(in crate::grpc) struct Notes {
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
    pub(super) policy: Option<Policy>,
    pub(super) ended_sessions: Option<u64>,
    pub(super) items: Items,
    /// Whether the response is that of an earlier request with the same `request_id`.
    pub(super) repeated: bool,
}

impl Notes {
    /// Notes a target once.
    pub(super) fn target(&mut self, target: Target) {
        if !self.targets.contains(&target) {
            self.targets.push(target);
        }
    }

    /// Adds what `others` say and these do not.
    pub(super) fn add(&mut self, others: &Self) {
        for (own, other) in [
            (&mut self.subject, &others.subject),
            (&mut self.actor, &others.actor),
            (&mut self.jti, &others.jti),
            (&mut self.kid, &others.kid),
            (&mut self.cause, &others.cause),
        ] {
            *own = own.take().or_else(|| other.clone());
        }
        // What was decided in the action is more than what was decided before it.
        self.policy = others.policy.clone().or(self.policy.take());
        self.exp = self.exp.or(others.exp);
        self.ended_sessions = self.ended_sessions.or(others.ended_sessions);
        for (own, other) in [(&mut self.audiences, &others.audiences), (&mut self.scopes, &others.scopes)] {
            if own.is_empty() {
                own.clone_from(other);
            }
        }
        for target in &others.targets {
            self.target(target.clone());
        }
    }

    /// About how many bytes of memory they take.
    pub(in crate::grpc) fn bytes(&self) -> usize {
        // Some sixteen lines, or their text; the permissions that they name are shared with the client.
        const OF_THE_POLICY: usize = 2048;
        let texts = [&self.subject, &self.actor, &self.jti, &self.kid, &self.cause];
        let lists = [&self.audiences, &self.scopes].into_iter().flatten();
        let texts = texts.into_iter().flatten().chain(lists);
        let targets = self.targets.len() * size_of::<Target>();
        size_of::<Self>() + OF_THE_POLICY + targets + texts.map(Text::bytes).sum::<usize>()
    }
}
