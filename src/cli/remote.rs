//! Calls to a server, and what its refusals say.

use std::future::Future;

use tonic::{Response, Status};
use tonic_types::StatusExt as _;

use super::{
    connection::{Caller, Connection, describe},
    failure::Failure,
    output::plain,
};

/// Makes one or more calls to the server: `calls` is given a channel that carries the credential.
pub(super) fn call<T, F: Future<Output = Result<T, Failure>>>(
    connection: &Connection,
    calls: impl FnOnce(Caller) -> F,
) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async { calls(connection.open()?).await })
}

/// The answer of a call, or its refusal in words.
pub(super) fn answer<T>(answer: Result<Response<T>, Status>) -> Result<T, Failure> {
    answer.map(Response::into_inner).map_err(|status| Failure::Refused(refusal(&status)))
}

/// `reason: message`, and one line for each field that is wrong. The texts are the server's, so that control
/// characters are taken out of them.
fn refusal(status: &Status) -> String {
    let details = status.get_error_details();
    let Some(info) = details.error_info() else {
        let cause = std::error::Error::source(status)
            .map(|cause| format!(": {}", describe(cause)))
            .unwrap_or_default();
        return format!("{:?}: {}", status.code(), plain(&format!("{}{cause}", status.message())));
    };
    let mut text = format!("{}: {}", plain(&info.reason), plain(status.message()));
    let violations = details.bad_request().map(|bad| bad.field_violations.as_slice()).unwrap_or_default();
    for violation in violations {
        text.push_str(&format!("\n  {}: {}", plain(&violation.field), plain(&violation.description)));
    }
    text
}

#[cfg(test)]
mod tests {
    use tonic::{Code, Status};
    use tonic_types::{ErrorDetails, StatusExt as _};

    use super::refusal;

    #[test]
    fn refusals_say_reason_message_and_fields() {
        let mut details = ErrorDetails::new();
        details.set_error_info("FIELD_INVALID", "tokend", [("a".to_owned(), "b".to_owned())]);
        details.add_bad_request_violation("ttl", "must be at least one second");
        let status = Status::with_error_details(Code::InvalidArgument, "the request is malformed", details);
        assert_eq!(
            refusal(&status),
            "FIELD_INVALID: the request is malformed\n  ttl: must be at least one second"
        );
        assert_eq!(refusal(&Status::unavailable("gone\u{1b}")), "Unavailable: gone\\u{1b}");
    }
}
