//! Length-Prefixed-Message (gRPC over HTTP/2): a compression flag of one byte, a length of four bytes, and the message.

use bytes::{Buf as _, Bytes};
use prost::Message;

use super::status::CallError;

/// The length of the prefix, in bytes.
pub(super) const PREFIX_LENGTH: usize = 5;

/// Returns a buffer with an empty prefix, and room for a message of `length` bytes.
pub(super) fn begin(length: usize) -> Vec<u8> {
    let mut buffer = Vec::with_capacity(PREFIX_LENGTH + length);
    buffer.resize(PREFIX_LENGTH, 0);
    buffer
}

/// Writes the length of the message into the prefix.
pub(super) fn finish(mut buffer: Vec<u8>) -> Bytes {
    let length = u32::try_from(buffer.len().saturating_sub(PREFIX_LENGTH)).unwrap_or(u32::MAX);
    if let Some(prefix) = buffer.get_mut(1..PREFIX_LENGTH) {
        prefix.copy_from_slice(&length.to_be_bytes());
    }
    buffer.into()
}

/// Encodes a message with its prefix.
pub(super) fn encode(message: &impl Message) -> Bytes {
    let mut buffer = begin(message.encoded_len());
    message.encode_raw(&mut buffer);
    finish(buffer)
}

/// Decodes a message without prefix.
pub(super) fn decode<M: Message + Default>(message: Bytes) -> Result<M, CallError> {
    M::decode(message).map_err(|error| CallError::Undecodable(error.to_string()))
}

/// Decodes a framed response that this server encoded.
pub(super) fn decode_response<M: Message + Default>(mut message: Bytes) -> Result<M, CallError> {
    message.advance(PREFIX_LENGTH.min(message.len()));
    M::decode(message).map_err(|_| CallError::Lost)
}
