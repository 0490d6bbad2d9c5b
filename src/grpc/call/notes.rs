//! The notes of a call for its audit event.

use std::sync::Arc;

use super::{CallContext, Notes, record::Refusal};
use crate::{
    access::{IssueGrant, IssueRules, PolicyError, RegistryError, RevokeGrant},
    audit::{Policy, Target, Text},
    grpc::status::CallError,
    model::{
        ClientId, ExchangeRequest, IssueRequest, KeyId, RevocationTarget, RevokeTarget, SessionId, UserId,
        foreign_prefix,
    },
    tokens::{ExchangeError, IssuedToken, LoginError, MadeRevocation, RevokeError, SessionError},
};

impl CallContext {
    /// Notes the subject and the audiences of a valid IssueTokenRequest.
    pub(in crate::grpc) fn note_issue_request(&self, request: &IssueRequest) {
        self.note(|notes| {
            notes.subject = request.subject.as_deref().map(Text::of);
            notes.audiences = texts(&request.audiences);
        });
    }

    /// Notes the audiences of a valid ExchangeTokenRequest.
    pub(in crate::grpc) fn note_exchange_request(&self, request: &ExchangeRequest) {
        self.note(|notes| notes.audiences = texts(&request.audiences));
    }

    /// Notes an issued token.
    pub(in crate::grpc) fn note_token(&self, grant: &IssueGrant, rules: &IssueRules, issued: &IssuedToken) {
        if let Some((_, traffic)) = &self.record().caller {
            traffic.issued();
        }
        self.note(|notes| {
            notes.subject.get_or_insert_with(|| Text::of(grant.subject()));
            notes.actor = grant.actor().map(|actor| match &actor.issuer {
                Some(issuer) => Text::of(&(foreign_prefix(issuer) + &actor.subject)),
                None => Text::of(&actor.subject),
            });
            if notes.audiences.is_empty() {
                notes.audiences = texts(grant.audiences());
            }
            if let Some(session_id) = grant.session_id() {
                notes.add_target(Target::Session(Text::of(session_id.as_str())));
            }
            notes.scopes = texts(grant.scopes());
            notes.jti = Some(Text::of(issued.jwt_id.as_str()));
            notes.kid = Some(Text::of(issued.key_id.as_str()));
            notes.exp = Some(issued.expire_time.seconds());
            notes.policy = Some(Policy(grant.policy(rules)));
        });
    }

    /// Notes the client that the call changes. Call it before the change where the id is known: the caller may disconnect before the change
    /// ends.
    pub(in crate::grpc) fn note_client(&self, client_id: &ClientId) {
        self.note_target(|| Target::Client(Text::of(client_id.as_str())));
    }

    /// Notes the user that the call changes.
    pub(in crate::grpc) fn note_user(&self, user_id: &UserId) {
        self.note_target(|| Target::User(Text::of(user_id.as_str())));
    }

    /// Notes the session that the call changes.
    pub(in crate::grpc) fn note_session(&self, session_id: &SessionId) {
        self.note_target(|| Target::Session(Text::of(session_id.as_str())));
    }

    /// Notes the subject of the call.
    pub(in crate::grpc) fn note_subject(&self, subject: &str) {
        self.note(|notes| notes.subject = Some(Text::of(subject)));
    }

    /// Notes the permissions that allow the call.
    pub(in crate::grpc) fn note_policy(&self, policy: String) {
        self.note(|notes| notes.policy = Some(Policy(Arc::new(policy))));
    }

    /// Notes the key that the call changes.
    pub(in crate::grpc) fn note_key(&self, key_id: &KeyId) {
        self.note_target(|| Target::Key(Text::of(key_id.as_str())));
    }

    /// Notes the target of an allowed revocation. A token is noted by its id only, once that is known.
    pub(in crate::grpc) fn note_revoke_request(&self, grant: &RevokeGrant) {
        match grant.target() {
            RevokeTarget::Token(_) => {}
            RevokeTarget::JwtId(jwt_id) => self.note_target(|| Target::Token(Text::of(jwt_id))),
            RevokeTarget::Session(session_id) => {
                self.note_target(|| Target::Session(Text::of(session_id.as_str())));
            }
            RevokeTarget::Subject(subject, _) => self.note_target(|| Target::Subject(Text::of(subject))),
            RevokeTarget::Client(client_id) => self.note_client(client_id),
        }
        self.note(|notes| notes.policy = Some(Policy(Arc::new(grant.policy()))));
    }

    /// Notes a revocation.
    pub(in crate::grpc) fn note_revocation(&self, made: &MadeRevocation) {
        match &made.target {
            RevocationTarget::Token(jwt_id) => self.note_target(|| Target::Token(Text::of(jwt_id))),
            RevocationTarget::Session(session_id) => {
                self.note_target(|| Target::Session(Text::of(session_id.as_str())));
            }
            RevocationTarget::Subject(subject, _) => self.note_target(|| Target::Subject(Text::of(subject))),
            RevocationTarget::Client(client_id, _) => self.note_client(client_id),
            RevocationTarget::Everything(_) => {}
        }
        self.note(|notes| notes.policy = Some(Policy(Arc::new(made.policy.clone()))));
    }

    /// Notes the number of sessions that the change ended, if there are any.
    pub(in crate::grpc) fn note_ended_sessions(&self, count: u64) {
        self.note(|notes| notes.ended_sessions = Some(count).filter(|count| *count > 0));
    }

    /// Notes that the response is that of an earlier request, and what that request noted.
    pub(in crate::grpc) fn note_repeated(&self, earlier: &Notes) {
        self.note(|notes| {
            notes.add(earlier);
            notes.repeated = true;
        });
    }

    /// Returns the notes so far.
    pub(in crate::grpc) fn notes(&self) -> Notes {
        self.record().notes.as_deref().cloned().unwrap_or_default()
    }

    /// Notes the reason that the caller gives for a change.
    pub(in crate::grpc) fn note_cause(&self, cause: &str) {
        self.note(|notes| notes.cause = Some(cause).filter(|cause| !cause.is_empty()).map(Text::of));
    }

    /// Records the error that is sent to the caller.
    pub(in crate::grpc) fn note_refusal(&self, reason: &'static str, error: &CallError, field: Option<&str>) {
        let field = field.filter(|_| self.is_audited()).map(Text::of);
        let line = deciding_line(error).filter(|_| self.is_audited());
        let policy = line.map(|line| Policy(Arc::new(line.to_owned())));
        let overload = error.is_overload();
        self.record().refusal = Some(Refusal { reason, field, policy, overload });
    }

    /// Notes a refused item of a batch.
    pub(in crate::grpc) fn note_item_refusal(&self, reason: &'static str) {
        self.note(|notes| *notes.items.entry(reason).or_default() += 1);
    }

    fn note_target(&self, target: impl FnOnce() -> Target) {
        self.note(|notes| notes.add_target(target()));
    }
}

/// The permission that denied the call, if one did. Most denials have none: no permission allows the call.
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

fn texts(raw: &[String]) -> Vec<Text> {
    raw.iter().map(|raw| Text::of(raw)).collect()
}
