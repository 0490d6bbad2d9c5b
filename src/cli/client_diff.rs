//! What makes two versions of a client differ, field by field.

use serde_json::{Value, json};

use super::{client_view::document, output::plain};
use crate::{grpc::CLIENT_FIELDS, proto::v1::Client};

/// A field that differs.
pub(super) struct FieldDiff {
    /// `permissions.audiences`
    pub(super) path: &'static str,
    from: Value,
    to: Value,
}

/// Where two clients differ, each as the server shows it.
pub(super) fn diff(from: &Client, to: &Client) -> Vec<FieldDiff> {
    let (old, new) = (document(from), document(to));
    let at = |document: &Value, path: &str| {
        document.pointer(&format!("/{}", path.replace('.', "/"))).cloned().unwrap_or_default()
    };
    let differing = CLIENT_FIELDS.iter().filter(|field| field.differs(from, to));
    differing
        .map(|field| FieldDiff { path: field.path, from: at(&old, field.path), to: at(&new, field.path) })
        .collect()
}

impl FieldDiff {
    /// For programs.
    pub(super) fn json(&self) -> Value {
        json!({ "path": self.path, "from": self.from, "to": self.to })
    }

    /// For people: `permissions.audiences: + billing-*, - old`.
    pub(super) fn text(&self) -> String {
        let changes = match (&self.from, &self.to) {
            (Value::Array(from), Value::Array(to)) => {
                let added =
                    to.iter().filter(|item| !from.contains(item)).map(|item| format!("+ {}", short(item)));
                let gone =
                    from.iter().filter(|item| !to.contains(item)).map(|item| format!("- {}", short(item)));
                let changes: Vec<String> = added.chain(gone).collect();
                if changes.is_empty() { "in another order".to_owned() } else { changes.join(", ") }
            }
            (from, to) => format!("{} -> {}", short(from), short(to)),
        };
        format!("{}: {changes}", self.path)
    }
}

/// A value in a few words.
fn short(value: &Value) -> String {
    const MOST: usize = 160;
    let text = match value {
        Value::String(text) if text.is_empty() => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    };
    let cut: String = text.chars().take(MOST).collect();
    if cut.len() < text.len() { format!("{}…", plain(&cut)) } else { plain(&cut) }
}
