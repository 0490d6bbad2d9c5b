//! Messages of SessionService.

use super::{
    page::{self, INVALID_TOKEN, Page},
    scalar,
};
use crate::{
    model::{ClientId, Session, SessionFilter, SessionId, Violations},
    proto::v1,
};

/// Reads a ListSessionsRequest: which sessions to list, and which page of them.
pub(in crate::grpc) fn list_sessions_request(
    message: v1::ListSessionsRequest,
) -> Result<(SessionFilter, Page<SessionId>), Violations> {
    let mut violations = Violations::default();
    let size = page::page_size(message.page_size, &mut violations);
    let subject = Some(message.subject).filter(|subject| !subject.is_empty());
    if let Some(subject) = &subject {
        scalar::check_text(subject, "subject", &mut violations);
    }
    let client_id = match message.client_id.as_str() {
        "" => None,
        text => violations.check("client_id", ClientId::parse(text)),
    };
    let after = match message.page_token.as_str() {
        "" => None,
        // Session ids are page tokens as they are.
        token => violations.check("page_token", SessionId::parse(token).map_err(|_| INVALID_TOKEN)),
    };
    violations.into_result()?;
    Ok((SessionFilter { subject, client_id }, Page { after, size }))
}

/// A session as a message.
pub(in crate::grpc) fn session_message(session: Session) -> v1::Session {
    v1::Session {
        session_id: session.session_id.as_str().to_owned(),
        subject: session.subject,
        client_id: session.client_id.into(),
        audiences: session.scope.audiences,
        scopes: session.scope.scopes,
        create_time: Some(scalar::timestamp(session.create_time)),
        refresh_time: Some(scalar::timestamp(session.refresh_time)),
        idle_expire_time: Some(scalar::timestamp(session.idle_expire_time)),
        expire_time: Some(scalar::timestamp(session.expire_time)),
        user_id: session.user_id.map(|user_id| user_id.as_str().to_owned()).unwrap_or_default(),
    }
}
