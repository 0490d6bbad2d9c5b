//! Errors that tonic answers itself.

use tonic::{Code, Status};

use super::CallError;

/// Converts an error that tonic answered itself, so that every error carries an `ErrorInfo`. Returns nothing for a success, and for an
/// error of this server.
pub(in crate::grpc) fn from_tonic(headers: &http::HeaderMap) -> Option<CallError> {
    if !headers.contains_key("grpc-status") || headers.contains_key("grpc-status-details-bin") {
        return None;
    }
    let status = Status::from_header_map(headers)?;
    match status.code() {
        // tonic's message is empty for an unknown method, and not for an unknown compression.
        Code::Unimplemented if status.message().is_empty() => Some(CallError::MethodUnknown),
        Code::Unimplemented => Some(CallError::Compressed),
        // From tonic's codec: a message over the limit, or one that does not decode.
        Code::OutOfRange | Code::ResourceExhausted => Some(CallError::RequestTooLarge),
        Code::Internal | Code::InvalidArgument => Some(CallError::Undecodable(status.message().to_owned())),
        _ => None,
    }
}
