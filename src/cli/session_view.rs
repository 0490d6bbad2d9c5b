//! Sessions for people and for programs.

use serde_json::{Value, json};

use super::{
    output::plain,
    table::{row, table},
    time_text::timestamp,
};
use crate::proto::v1::Session;

/// A session as JSON, its fields named as in the API.
pub(super) fn document(session: &Session) -> Value {
    json!({
        "session_id": session.session_id,
        "subject": session.subject,
        "client_id": session.client_id,
        "user_id": session.user_id,
        "audiences": session.audiences,
        "scopes": session.scopes,
        "create_time": session.create_time.map(timestamp),
        "refresh_time": session.refresh_time.map(timestamp),
        "idle_expire_time": session.idle_expire_time.map(timestamp),
        "expire_time": session.expire_time.map(timestamp),
    })
}

/// Sessions as a table.
pub(super) fn overview(sessions: &[Session]) -> String {
    let mut rows =
        vec![row(["SESSION", "SUBJECT", "CLIENT", "BEGAN", "REFRESHED", "ENDS", "AUDIENCES", "SCOPES"])];
    rows.extend(sessions.iter().map(|session| {
        row([
            plain(&session.session_id),
            plain(&session.subject),
            plain(&session.client_id),
            session.create_time.map(timestamp).unwrap_or_default(),
            session.refresh_time.map(timestamp).unwrap_or_default(),
            session.idle_expire_time.map(timestamp).unwrap_or_default(),
            list(&session.audiences),
            list(&session.scopes),
        ])
    }));
    table(&rows)
}

fn list(texts: &[String]) -> String {
    if texts.is_empty() { "-".to_owned() } else { plain(&texts.join(" ")) }
}
