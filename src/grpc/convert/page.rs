//! Pages of lists (AIP-158).

use prost::Message;

use crate::model::Violations;

/// Entries on a page when the request does not say.
const DEFAULT: u32 = 50;
/// Entries on a page at the most.
const LARGEST: u32 = 1000;

/// What the entries of a page take at the most, in octets: gRPC clients take answers of 4 MiB, unless they are told otherwise.
const ROOM: usize = 2 * 1024 * 1024;

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

/// Leaves the entries on a page that there is room for, at least one. Answers the id of the last one, from which the next page
/// goes on; none if there is no other page.
pub(in crate::grpc) fn cut<M: Message>(
    page: &mut Vec<M>,
    more: bool,
    id: impl FnOnce(&M) -> &str,
) -> Option<String> {
    let mut room = ROOM;
    let fitting = page.iter().take_while(|entry| {
        let left = room.checked_sub(entry.encoded_len());
        room = left.unwrap_or_default();
        left.is_some()
    });
    let fitting = fitting.count().max(1);
    let more = more || fitting < page.len();
    page.truncate(fitting);
    page.last().filter(|_| more).map(|last| id(last).to_owned())
}
