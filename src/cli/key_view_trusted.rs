//! Keys of trusted issuers for people and for programs.

use serde_json::{Value, json};

use super::{
    output::plain,
    table::{row, table},
};
use crate::proto::v1::TrustedKey;

/// A key as JSON, its fields named as in the API.
pub(super) fn trusted_document(key: &TrustedKey) -> Value {
    json!({
        "issuer": key.issuer,
        "key_id": key.key_id,
        "algorithms": key.algorithms,
        "problem": key.problem,
    })
}

/// All keys as a table. What stands in it comes from other issuers.
pub(super) fn trusted_table(keys: &[TrustedKey]) -> String {
    let mut rows = vec![row(["ISSUER", "KEY", "ALGORITHMS", "PROBLEM"])];
    rows.extend(keys.iter().map(|key| {
        let or_dash = |text: String| if text.is_empty() { "-".to_owned() } else { plain(&text) };
        row([
            plain(&key.issuer),
            or_dash(key.key_id.clone()),
            or_dash(key.algorithms.join(" ")),
            or_dash(key.problem.clone()),
        ])
    }));
    table(&rows)
}
