//! What the framework answers by itself.

use tonic::{Code, Status};

use super::CallError;

/// What the framework answered by itself, in our words: every error carries an `ErrorInfo`. None when the answer is no
/// error, or one of ours.
pub(in crate::grpc) fn of_framework(headers: &http::HeaderMap) -> Option<CallError> {
    if !headers.contains_key("grpc-status") || headers.contains_key("grpc-status-details-bin") {
        return None;
    }
    let status = Status::from_header_map(headers)?;
    match status.code() {
        // tonic says nothing about an unknown method, and something about an unknown compression.
        Code::Unimplemented if status.message().is_empty() => Some(CallError::MethodUnknown),
        Code::Unimplemented => Some(CallError::Compressed),
        // tonic's codec: a message over the limit, and one that does not decode.
        Code::OutOfRange | Code::ResourceExhausted => Some(CallError::RequestTooLarge),
        Code::Internal | Code::InvalidArgument => Some(CallError::Undecodable(status.message().to_owned())),
        _ => None,
    }
}
