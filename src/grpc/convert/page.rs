//! Pages of lists (AIP-158).

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use prost::Message;

use crate::model::Violations;

/// The number of entries on a page when the request does not say one.
const DEFAULT_SIZE: u32 = 50;
/// The largest number of entries on a page.
const MAX_SIZE: u32 = 1000;

/// The most bytes that the entries of a page take: by default, gRPC clients accept responses of 4 MiB.
const MAX_BYTES: usize = 2 * 1024 * 1024;

pub(super) const INVALID_TOKEN: &str = "must be the `next_page_token` of the previous page";

/// The page that a request asks for.
#[derive(Debug)]
pub(in crate::grpc) struct Page<T> {
    /// The last entry of the previous page.
    pub(in crate::grpc) after: Option<T>,
    /// The largest number of entries.
    pub(in crate::grpc) size: u32,
}

/// Reads `page_size` and `page_token`; `parse` reads the id of the previous page's last entry.
pub(in crate::grpc) fn page<T, E>(
    size: i32,
    token: &str,
    parse: impl FnOnce(&str) -> Result<T, E>,
    violations: &mut Violations,
) -> Page<T> {
    let decode = || parse(&String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?).ok();
    let size = page_size(size, violations);
    let after =
        if token.is_empty() { None } else { violations.check("page_token", decode().ok_or(INVALID_TOKEN)) };
    Page { after, size }
}

/// Reads `page_size`.
pub(super) fn page_size(size: i32, violations: &mut Violations) -> u32 {
    match u32::try_from(size) {
        Ok(0) => DEFAULT_SIZE,
        Ok(size) => size.min(MAX_SIZE),
        Err(_) => {
            violations.add("page_size", "must not be negative");
            DEFAULT_SIZE
        }
    }
}

/// The `next_page_token` that [`page`] reads: the id of the last entry, or nothing on the last page.
pub(in crate::grpc) fn next_page_token(last_id: Option<impl AsRef<[u8]>>) -> String {
    last_id.map(|id| URL_SAFE_NO_PAD.encode(id)).unwrap_or_default()
}

/// Shortens a page to [`MAX_BYTES`], but to no less than one entry. Returns the id of its last entry if another page follows.
pub(in crate::grpc) fn fit_page<M: Message>(
    page: &mut Vec<M>,
    more: bool,
    id: impl FnOnce(&M) -> &str,
) -> Option<String> {
    let mut bytes_left = MAX_BYTES;
    let fitting = page.iter().take_while(|entry| {
        let left = bytes_left.checked_sub(entry.encoded_len());
        bytes_left = left.unwrap_or_default();
        left.is_some()
    });
    let fitting = fitting.count().max(1);
    let more = more || fitting < page.len();
    page.truncate(fitting);
    page.last().filter(|_| more).map(|last| id(last).to_owned())
}
