//! Streams that the HTTP/2 library resets without calling the service, because a request is malformed. RST_STREAM frames among the sent
//! bytes reveal them.

use std::sync::Arc;

use super::metrics::ListenMetrics;

/// The bytes of a frame's header (RFC 9113 section 4.1).
const HEADER: usize = 9;
const RST_STREAM: u8 = 3;
/// The error codes of a malformed request, and of one beyond the concurrent streams (RFC 9113 section 7). Other codes are of the
/// service and of timeouts.
const PROTOCOL_ERROR: u32 = 1;
const REFUSED_STREAM: u32 = 7;

/// Why the library reset a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reset {
    Malformed,
    Refused,
}

/// Reads the frames that a connection sends.
#[derive(Debug)]
pub(super) struct ResetScanner {
    metrics: Arc<ListenMetrics>,
    /// The header of the current frame and, of a RST_STREAM, its error code.
    head: [u8; HEADER + 4],
    /// Bytes of `head` that were sent.
    filled: usize,
    /// Bytes of the current frame that are skipped.
    remaining: usize,
}

impl ResetScanner {
    pub(super) const fn new(metrics: Arc<ListenMetrics>) -> Self {
        Self { metrics, head: [0; HEADER + 4], filled: 0, remaining: 0 }
    }

    /// Reads bytes that were sent, counts the resets in them, and logs the 1st, 2nd, 4th … of each kind.
    pub(super) fn sent(&mut self, bytes: &[u8]) {
        self.scan(bytes, |scanner, reset| {
            let count = scanner.metrics.reset(reset);
            match reset {
                Reset::Malformed if count.is_power_of_two() => tracing::info!(
                    count,
                    "requests were reset because they are malformed: an invalid `:authority` or `:path`, a missing pseudo-header, or a \
                     connection header"
                ),
                Reset::Refused if count.is_power_of_two() => tracing::info!(
                    count,
                    "requests were reset because their connection has max_concurrent_streams calls"
                ),
                Reset::Malformed | Reset::Refused => {}
            }
        });
    }

    fn scan(&mut self, mut bytes: &[u8], mut found: impl FnMut(&Self, Reset)) {
        while !bytes.is_empty() {
            if self.remaining > 0 {
                let skipped = self.remaining.min(bytes.len());
                self.remaining -= skipped;
                bytes = bytes.get(skipped..).unwrap_or_default();
                continue;
            }
            let (Some(next), Some((byte, rest))) = (self.head.get_mut(self.filled), bytes.split_first())
            else {
                return;
            };
            *next = *byte;
            bytes = rest;
            self.filled += 1;
            let [a, b, c, kind, _, _, _, _, _, code @ ..] = self.head;
            if self.filled == HEADER && kind != RST_STREAM {
                self.remaining = usize::try_from(u32::from_be_bytes([0, a, b, c])).unwrap_or(usize::MAX);
                self.filled = 0;
            } else if self.filled == self.head.len() {
                self.filled = 0;
                match u32::from_be_bytes(code) {
                    PROTOCOL_ERROR => found(self, Reset::Malformed),
                    REFUSED_STREAM => found(self, Reset::Refused),
                    _ => {}
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resets_are_found_wherever_the_bytes_are_split() {
        let frame = |kind: u8, payload: &[u8]| {
            let length = u8::try_from(payload.len()).unwrap_or_default();
            [&[0, 0, length, kind, 0, 0, 0, 0, 1][..], payload].concat()
        };
        // Data that looks like a reset, a reset by the service, and empty frames are none.
        let bytes = [
            frame(0, &frame(RST_STREAM, &[0, 0, 0, 1])),
            frame(RST_STREAM, &[0, 0, 0, 1]),
            frame(4, &[]),
            frame(RST_STREAM, &[0, 0, 0, 8]),
            frame(RST_STREAM, &[0, 0, 0, 7]),
        ]
        .concat();
        for size in 1..=bytes.len() {
            let mut scanner = ResetScanner::new(Arc::default());
            let mut found = Vec::new();
            bytes.chunks(size).for_each(|chunk| scanner.scan(chunk, |_, reset| found.push(reset)));
            assert_eq!(found, [Reset::Malformed, Reset::Refused], "{size}");
        }
    }
}
