//! What the steps of a call note for the audit log.

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
    /// A token is asked for, in a request of which all is well-formed.
    pub(in crate::grpc) fn asked(&self, request: &IssueRequest) {
        self.note(|notes| {
            notes.subject = request.subject.as_deref().map(Text::of);
            notes.audiences = texts(&request.audiences);
        });
    }

    /// A token is to be exchanged for one of these audiences, in a request of which all is well-formed.
    pub(in crate::grpc) fn asked_to_exchange(&self, request: &ExchangeRequest) {
        self.note(|notes| notes.audiences = texts(&request.audiences));
    }

    /// A token was issued.
    pub(in crate::grpc) fn token(&self, grant: &IssueGrant, rules: &IssueRules, issued: &IssuedToken) {
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
                notes.target(Target::Session(Text::of(session_id.as_str())));
            }
            notes.scopes = texts(grant.scopes());
            notes.jti = Some(Text::of(issued.jwt_id.as_str()));
            notes.kid = Some(Text::of(issued.key_id.as_str()));
            notes.exp = Some(issued.expire_time.seconds());
            notes.policy = Some(Policy(grant.policy(rules)));
        });
    }

    /// This client is to be changed, or was. Noted before the change where it is known then, because the caller may disconnect before the change ends.
    pub(in crate::grpc) fn client(&self, client_id: &ClientId) {
        self.target(|| Target::Client(Text::of(client_id.as_str())));
    }

    /// This user is to be changed, or was.
    pub(in crate::grpc) fn user(&self, user_id: &UserId) {
        self.target(|| Target::User(Text::of(user_id.as_str())));
    }

    /// This session is to be changed, or was.
    pub(in crate::grpc) fn session(&self, session_id: &SessionId) {
        self.target(|| Target::Session(Text::of(session_id.as_str())));
    }

    /// The call is about this subject.
    pub(in crate::grpc) fn subject(&self, subject: &str) {
        self.note(|notes| notes.subject = Some(Text::of(subject)));
    }

    /// An administrative method is allowed by these lines.
    pub(in crate::grpc) fn allowed(&self, policy: String) {
        self.note(|notes| notes.policy = Some(Policy(Arc::new(policy))));
    }

    /// This key is to be changed, or was.
    pub(in crate::grpc) fn key(&self, key_id: &KeyId) {
        self.target(|| Target::Key(Text::of(key_id.as_str())));
    }

    /// That is to be revoked, which the client may name so. Of a token, only its id is ever written down, when that is known.
    pub(in crate::grpc) fn asked_to_revoke(&self, grant: &RevokeGrant) {
        match grant.target() {
            RevokeTarget::Token(_) => {}
            RevokeTarget::JwtId(jwt_id) => self.target(|| Target::Token(Text::of(jwt_id))),
            RevokeTarget::Session(session_id) => {
                self.target(|| Target::Session(Text::of(session_id.as_str())));
            }
            RevokeTarget::Subject(subject, _) => self.target(|| Target::Subject(Text::of(subject))),
            RevokeTarget::Client(client_id) => self.client(client_id),
        }
        self.note(|notes| notes.policy = Some(Policy(Arc::new(grant.policy()))));
    }

    /// That was revoked.
    pub(in crate::grpc) fn revoked(&self, made: &MadeRevocation) {
        match &made.target {
            RevocationTarget::Token(jwt_id) => self.target(|| Target::Token(Text::of(jwt_id))),
            RevocationTarget::Session(session_id) => {
                self.target(|| Target::Session(Text::of(session_id.as_str())));
            }
            RevocationTarget::Subject(subject, _) => self.target(|| Target::Subject(Text::of(subject))),
            RevocationTarget::Client(client_id, _) => self.client(client_id),
            RevocationTarget::Everything(_) => {}
        }
        self.note(|notes| notes.policy = Some(Policy(Arc::new(made.policy.clone()))));
    }

    /// So many sessions ended with what was changed; nothing is noted of none.
    pub(in crate::grpc) fn ended_sessions(&self, count: u64) {
        self.note(|notes| notes.ended_sessions = Some(count).filter(|count| *count > 0));
    }

    /// The response is that of an earlier request, which noted this; nothing was done again.
    pub(in crate::grpc) fn repeated(&self, earlier: &Notes) {
        self.note(|notes| {
            notes.add(earlier);
            notes.repeated = true;
        });
    }

    /// What was noted so far.
    pub(in crate::grpc) fn notes(&self) -> Notes {
        self.record().notes.as_deref().cloned().unwrap_or_default()
    }

    /// Why something is changed, as the caller says.
    pub(in crate::grpc) fn cause(&self, cause: &str) {
        self.note(|notes| notes.cause = Some(cause).filter(|cause| !cause.is_empty()).map(Text::of));
    }

    /// The call is refused, or failed.
    pub(in crate::grpc) fn refused(&self, reason: &'static str, error: &CallError, field: Option<&str>) {
        let field = field.filter(|_| self.is_audited()).map(Text::of);
        let line = deciding_line(error).filter(|_| self.is_audited());
        let policy = line.map(|line| Policy(Arc::new(line.to_owned())));
        let overload = error.is_overload();
        self.record().refusal = Some(Refusal { reason, field, policy, overload });
    }

    /// One item of a batch is refused.
    pub(in crate::grpc) fn item_refused(&self, reason: &'static str) {
        self.note(|notes| *notes.items.entry(reason).or_default() += 1);
    }

    fn target(&self, target: impl FnOnce() -> Target) {
        self.note(|notes| notes.target(target()));
    }
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

fn texts(raw: &[String]) -> Vec<Text> {
    raw.iter().map(|raw| Text::of(raw)).collect()
}
