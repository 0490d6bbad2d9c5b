//! The record of a call in progress.

use std::sync::Arc;

use crate::{
    access::Authenticated,
    admission::ClientTraffic,
    audit::{Items, Policy, Target, Text},
};

/// The parts of a call's context that change while it runs.
#[derive(Debug, Default)]
pub(super) struct Record {
    pub(super) caller: Option<(Authenticated, Arc<ClientTraffic>)>,
    pub(super) admitted: bool,
    pub(super) refusal: Option<Refusal>,
    /// The notes; most methods that only read write none.
    pub(super) notes: Option<Box<Notes>>,
}

/// The error that is sent to the caller.
#[derive(Debug, Clone)]
pub(super) struct Refusal {
    pub(super) reason: &'static str,
    pub(super) field: Option<Text>,
    pub(super) policy: Option<Policy>,
    /// Whether the cause is an overload or a failing audit log, and not the request.
    pub(super) overload: bool,
}

/// Notes for the audit event.
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
    /// The permissions that allow the call.
    pub(super) policy: Option<Policy>,
    pub(super) ended_sessions: Option<u64>,
    pub(super) items: Items,
    /// Whether the response is that of an earlier request with the same `request_id`.
    pub(super) repeated: bool,
}

impl Notes {
    /// Adds a target, unless it is noted already.
    pub(super) fn add_target(&mut self, target: Target) {
        if !self.targets.contains(&target) {
            self.targets.push(target);
        }
    }

    /// Adds the notes of `others` where these have none.
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
        // `others` were written after the action, and name more permissions.
        self.policy = others.policy.clone().or(self.policy.take());
        self.exp = self.exp.or(others.exp);
        self.ended_sessions = self.ended_sessions.or(others.ended_sessions);
        for (own, other) in [(&mut self.audiences, &others.audiences), (&mut self.scopes, &others.scopes)] {
            if own.is_empty() {
                own.clone_from(other);
            }
        }
        for target in &others.targets {
            self.add_target(target.clone());
        }
    }

    /// The approximate number of bytes of memory.
    pub(in crate::grpc) fn bytes(&self) -> usize {
        // Some sixteen permissions, or their text; the patterns are shared with the client.
        const POLICY_BYTES: usize = 2048;
        let texts = [&self.subject, &self.actor, &self.jti, &self.kid, &self.cause];
        let lists = [&self.audiences, &self.scopes].into_iter().flatten();
        let texts = texts.into_iter().flatten().chain(lists);
        let targets = self.targets.len() * size_of::<Target>();
        size_of::<Self>() + POLICY_BYTES + targets + texts.map(Text::bytes).sum::<usize>()
    }
}
