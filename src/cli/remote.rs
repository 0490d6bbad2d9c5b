//! Calls to a server, and what its refusals say.

use std::future::Future;

use tonic::{Response, Status};
use tonic_types::StatusExt as _;

use super::{
    connection::{Caller, Connection, describe},
    failure::Failure,
    output::plain,
    unreachable,
};

/// What the metadata says of a refused token.
const TOLD: [&str; 3] = ["token_audiences", "expected_audiences", "expire_time"];

/// Makes one or more calls to the server: `calls` is given a channel that carries the credential.
pub(super) fn call<T, F: Future<Output = Result<T, Failure>>>(
    connection: &Connection,
    calls: impl FnOnce(Caller) -> F,
) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let target = connection.target()?;
        match calls(connection.open(&target)?).await {
            Err(Failure::Unanswered(cause)) => {
                Err(Failure::Refused(unreachable::reason(&target.address, &target.origin, &cause).await))
            }
            outcome => outcome,
        }
    })
}

/// The answer of a call, or its refusal in words.
pub(super) fn answer<T>(answer: Result<Response<T>, Status>) -> Result<T, Failure> {
    answer.map(Response::into_inner).map_err(|status| {
        // Every error of a server has an ErrorInfo.
        let is_answered = status.get_error_details().error_info().is_some();
        let text = refusal(&status);
        if is_answered { Failure::Refused(text) } else { Failure::Unanswered(text) }
    })
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
    let lines = violations.iter().map(|violation| format!("{}: {}", violation.field, violation.description));
    // The message of a denial holds all that its metadata says.
    let told = TOLD.into_iter().filter_map(|name| Some(format!("{name}: {}", info.metadata.get(name)?)));
    for line in lines.filter(|line| line != status.message()).chain(told) {
        text.push_str(&format!("\n  {}", plain(&line)));
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
        let mut one = ErrorDetails::new();
        one.set_error_info("FIELD_INVALID", "tokend", []);
        one.add_bad_request_violation("ttl", "must be at least one second");
        let message = "ttl: must be at least one second";
        let status = Status::with_error_details(Code::InvalidArgument, message, one);
        assert_eq!(refusal(&status), format!("FIELD_INVALID: {message}"));
        let mut expired = ErrorDetails::new();
        let at = ("expire_time".to_owned(), "2030-01-01T00:00:00Z\n".to_owned());
        expired.set_error_info("TOKEN_EXPIRED", "tokend", [at]);
        let status = Status::with_error_details(Code::InvalidArgument, "the token has expired", expired);
        assert_eq!(
            refusal(&status),
            "TOKEN_EXPIRED: the token has expired\n  expire_time: 2030-01-01T00:00:00Z\\n"
        );
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
