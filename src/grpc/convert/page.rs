//! Pages of lists (AIP-158).

use crate::model::Violations;

/// Entries on a page when the request does not say.
const DEFAULT: u32 = 50;
/// Entries on a page at the most.
const LARGEST: u32 = 1000;

/// How many entries a page is to have.
pub(in crate::grpc) fn page_size(asked: i32, violations: &mut Violations) -> u32 {
    match u32::try_from(asked) {
        Ok(0) => DEFAULT,
        Ok(size) => size.min(LARGEST),
        Err(_) => {
            violations.add("page_size", "must not be negative");
            DEFAULT
        }
    }
}
