//! Users for people and for programs.

use serde_json::{Value, json};

use super::{
    failure::Failure,
    json_text::indented,
    output::{plain, print},
    table::{row, table},
    time_text::timestamp,
};
use crate::proto::v1::User;

/// Prints a user as JSON.
pub(super) fn print_document(user: &User) -> Result<(), Failure> {
    print(&indented(&document(user)).map_err(|error| Failure::refused(error.to_string()))?)
}

/// The same with how many sessions the change ended.
pub(super) fn print_document_and_ended_sessions(user: &User, ended: i32) -> Result<(), Failure> {
    let document = document(user);
    let members = document.strip_suffix('}').unwrap_or_default();
    let whole = format!("{members},\"ended_sessions\":{ended}}}");
    print(&indented(&whole).map_err(|error| Failure::refused(error.to_string()))?)
}

/// Prints users as a JSON list.
pub(super) fn print_documents(users: &[User]) -> Result<(), Failure> {
    let documents: Vec<String> = users.iter().map(document).collect();
    let list = format!("[{}]", documents.join(","));
    print(&indented(&list).map_err(|error| Failure::refused(error.to_string()))?)
}

/// A user as JSON, its fields named as in the API. The claims are as they were stored: a parsed value might change their
/// numbers.
fn document(user: &User) -> String {
    let rest: Value = json!({
        "username": user.username,
        "disabled": user.disabled,
        "scopes": user.scopes,
        "etag": user.etag,
        "create_time": user.create_time.map(timestamp),
        "update_time": user.update_time.map(timestamp),
        "password_update_time": user.password_update_time.map(timestamp),
    });
    let rest = rest.to_string();
    let rest = rest.strip_prefix('{').unwrap_or_default();
    format!("{{\"user_id\":{},\"claims\":{},{rest}", json!(user.user_id), user.claims_json)
}

/// Users as a table.
pub(super) fn overview(users: &[User]) -> String {
    let mut rows = vec![row(["USER", "NAME", "STATE", "SCOPES", "PASSWORD SET", "UPDATED"])];
    rows.extend(users.iter().map(|user| {
        row([
            plain(&user.user_id),
            plain(&user.username),
            state(user).to_owned(),
            list(&user.scopes),
            user.password_update_time.map(timestamp).unwrap_or_default(),
            user.update_time.map(timestamp).unwrap_or_default(),
        ])
    }));
    table(&rows)
}

/// One user, a line a field.
pub(super) fn description(user: &User) -> String {
    table(&[
        row(["user", &plain(&user.user_id)]),
        row(["name", &plain(&user.username)]),
        row(["state", state(user)]),
        row(["scopes", &list(&user.scopes)]),
        row(["claims", &plain(&user.claims_json)]),
        row(["password set", &user.password_update_time.map(timestamp).unwrap_or_default()]),
        row(["created", &user.create_time.map(timestamp).unwrap_or_default()]),
        row(["updated", &user.update_time.map(timestamp).unwrap_or_default()]),
        row(["etag", &plain(&user.etag)]),
    ])
}

const fn state(user: &User) -> &'static str {
    if user.disabled { "disabled" } else { "enabled" }
}

fn list(texts: &[String]) -> String {
    if texts.is_empty() { "-".to_owned() } else { plain(&texts.join(" ")) }
}
