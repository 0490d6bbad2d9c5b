//! Length-Prefixed-Message (gRPC over HTTP/2): a byte that tells whether the message is compressed, four bytes of length, the message.

use bytes::{Buf as _, Bytes};
use prost::Message;

use super::status::CallError;

/// The length of the prefix.
pub(super) const PREFIX_LENGTH: usize = 5;

/// An empty buffer with room for a message of so many bytes, and its prefix in it.
pub(super) fn begin(length: usize) -> Vec<u8> {
    let mut buffer = Vec::with_capacity(PREFIX_LENGTH + length);
    buffer.resize(PREFIX_LENGTH, 0);
    buffer
}

/// Writes the length of the message into its prefix.
pub(super) fn finish(mut buffer: Vec<u8>) -> Bytes {
    let length = u32::try_from(buffer.len().saturating_sub(PREFIX_LENGTH)).unwrap_or(u32::MAX);
    if let Some(place) = buffer.get_mut(1..PREFIX_LENGTH) {
        place.copy_from_slice(&length.to_be_bytes());
    }
    buffer.into()
}

/// A message with its prefix.
pub(super) fn encode(message: &impl Message) -> Bytes {
    let mut buffer = begin(message.encoded_len());
    message.encode_raw(&mut buffer);
    finish(buffer)
}

/// A message without its prefix.
pub(super) fn decode<M: Message + Default>(message: Bytes) -> Result<M, CallError> {
    M::decode(message).map_err(|error| CallError::Undecodable(error.to_string()))
}

/// A message of our own, with its prefix.
pub(super) fn decode_own<M: Message + Default>(mut message: Bytes) -> Result<M, CallError> {
    message.advance(PREFIX_LENGTH.min(message.len()));
    M::decode(message).map_err(|_| CallError::Lost)
}
