//! SessionService's messages.

use super::{page, scalar};
use crate::{
    model::{ClientId, Session, SessionFilter, SessionId, Violations},
    proto::v1,
};

/// Sessions that are to be listed.
pub(in crate::grpc) struct SessionPage {
    /// Which.
    pub(in crate::grpc) filter: SessionFilter,
    /// Those after this one only.
    pub(in crate::grpc) after: Option<SessionId>,
    /// How many.
    pub(in crate::grpc) size: u32,
}

/// Reads a ListSessionsRequest.
pub(in crate::grpc) fn session_page(message: v1::ListSessionsRequest) -> Result<SessionPage, Violations> {
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
        // A page begins after the last session of the one before.
        token => {
            let start = SessionId::parse(token).map_err(|_| "must be the `next_page_token` of a page before");
            violations.check("page_token", start)
        }
    };
    violations.into_result()?;
    Ok(SessionPage { filter: SessionFilter { subject, client_id }, after, size })
}

/// A session as a message.
pub(in crate::grpc) fn session_message(session: Session) -> v1::Session {
    v1::Session {
        session_id: session.session_id.as_str().to_owned(),
        subject: session.subject,
        client_id: session.client_id.into(),
        audiences: session.scope.audiences,
        scopes: session.scope.scopes,
        create_time: Some(scalar::instant_message(session.create_time)),
        refresh_time: Some(scalar::instant_message(session.refresh_time)),
        idle_expire_time: Some(scalar::instant_message(session.idle_expire_time)),
        expire_time: Some(scalar::instant_message(session.expire_time)),
        user_id: session.user_id.map(|user_id| user_id.as_str().to_owned()).unwrap_or_default(),
    }
}
