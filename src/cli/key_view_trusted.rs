//! Keys of trusted issuers, for people and for programs; and keys of a set that cannot be used.

use serde_json::{Value, json};

use super::{
    output::{plain, talk},
    table::{row, table},
};
use crate::{
    jose::{Source, import},
    proto::v1::TrustedKey,
};

/// Names the keys of a client's JWK set that the server will skip. What is wrong with the whole set, the server says.
pub(super) fn name_skipped_keys(jwks_json: &str) {
    for key in import(Source::Jwk(jwks_json), None).iter().flat_map(|imported| &imported.skipped) {
        talk(&plain(&format!("skipped: {key}")));
    }
}

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
