//! Calls to a server, and its errors as text.

use clap::Args;
use tonic::{Response, Status};
use tonic_types::StatusExt as _;

use super::{AuthenticatedChannel, Connection, describe, unreachable};
use crate::cli::{
    error::CliError,
    output::{Output, escaped},
};

/// The metadata of a rejected token that is worth printing.
const METADATA: [&str; 3] = ["token_audiences", "expected_audiences", "expire_time"];

/// The flags of a command that calls a server.
#[derive(Args)]
pub(in crate::cli) struct RemoteFlags {
    #[command(flatten)]
    pub(in crate::cli) output: Output,
    #[command(flatten)]
    pub(in crate::cli) connection: Connection,
}

impl RemoteFlags {
    pub(in crate::cli) fn is_json(&self) -> bool {
        self.output.is_json()
    }

    /// Makes one call. Its closure gets a channel that carries the credential.
    pub(in crate::cli) fn unary<T>(
        &self,
        call: impl AsyncFnOnce(AuthenticatedChannel) -> Result<Response<T>, Status>,
    ) -> Result<T, CliError> {
        self.call(async |channel| response(call(channel).await))
    }

    /// Makes several calls.
    pub(in crate::cli) fn call<T>(
        &self,
        calls: impl AsyncFnOnce(AuthenticatedChannel) -> Result<T, CliError>,
    ) -> Result<T, CliError> {
        self.connection.call(calls)
    }
}

impl Connection {
    /// Makes calls to the server. Their closure gets a channel that carries the credential.
    pub(in crate::cli) fn call<T>(
        &self,
        calls: impl AsyncFnOnce(AuthenticatedChannel) -> Result<T, CliError>,
    ) -> Result<T, CliError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let target = self.target()?;
            match calls(self.open(&target)?).await {
                Err(CliError::NoResponse(cause)) => {
                    Err(CliError::Failed(unreachable::reason(&target.address, &target.origin, &cause).await))
                }
                outcome => outcome,
            }
        })
    }
}

/// Reads all pages of a list. `page` takes a page token, and returns the items with the next token.
pub(in crate::cli) async fn all_pages<T>(
    mut page: impl AsyncFnMut(String) -> Result<(Vec<T>, String), CliError>,
) -> Result<Vec<T>, CliError> {
    let (mut items, mut page_token) = (Vec::new(), String::new());
    loop {
        let (more, next) = page(page_token).await?;
        items.extend(more);
        page_token = next;
        if page_token.is_empty() {
            return Ok(items);
        }
    }
}

/// The response of a call, or its error.
pub(in crate::cli) fn response<T>(response: Result<Response<T>, Status>) -> Result<T, CliError> {
    response.map(Response::into_inner).map_err(|status| {
        // Every error of a server has an ErrorInfo.
        let is_of_server = status.get_error_details().error_info().is_some();
        let text = error_text(&status);
        if is_of_server { CliError::Failed(text) } else { CliError::NoResponse(text) }
    })
}

/// `reason: message`, and a line for each violation. The texts come from the server, and are escaped.
fn error_text(status: &Status) -> String {
    let details = status.get_error_details();
    let Some(info) = details.error_info() else {
        let cause = std::error::Error::source(status)
            .map(|cause| format!(": {}", describe(cause)))
            .unwrap_or_default();
        return format!("{:?}: {}", status.code(), escaped(&format!("{}{cause}", status.message())));
    };
    let mut text = format!("{}: {}", escaped(&info.reason), escaped(status.message()));
    let violations = details.bad_request().map(|bad| bad.field_violations.as_slice()).unwrap_or_default();
    let lines = violations.iter().map(|violation| format!("{}: {}", violation.field, violation.description));
    // The message of a denial contains all of its metadata.
    let metadata =
        METADATA.into_iter().filter_map(|name| Some(format!("{name}: {}", info.metadata.get(name)?)));
    for line in lines.filter(|line| line != status.message()).chain(metadata) {
        text.push_str(&format!("\n  {}", escaped(&line)));
    }
    text
}

#[cfg(test)]
mod tests {
    use tonic::{Code, Status};
    use tonic_types::{ErrorDetails, StatusExt as _};

    use super::error_text;

    #[test]
    fn errors_have_reason_message_and_fields() {
        let mut one = ErrorDetails::new();
        one.set_error_info("FIELD_INVALID", "tokend", []);
        one.add_bad_request_violation("ttl", "must be at least one second");
        let message = "ttl: must be at least one second";
        let status = Status::with_error_details(Code::InvalidArgument, message, one);
        assert_eq!(error_text(&status), format!("FIELD_INVALID: {message}"));
        let mut expired = ErrorDetails::new();
        let at = ("expire_time".to_owned(), "2030-01-01T00:00:00Z\n".to_owned());
        expired.set_error_info("TOKEN_EXPIRED", "tokend", [at]);
        let status = Status::with_error_details(Code::InvalidArgument, "the token has expired", expired);
        assert_eq!(
            error_text(&status),
            "TOKEN_EXPIRED: the token has expired\n  expire_time: 2030-01-01T00:00:00Z\\n"
        );
        let mut details = ErrorDetails::new();
        details.set_error_info("FIELD_INVALID", "tokend", [("a".to_owned(), "b".to_owned())]);
        details.add_bad_request_violation("ttl", "must be at least one second");
        let status = Status::with_error_details(Code::InvalidArgument, "the request is malformed", details);
        assert_eq!(
            error_text(&status),
            "FIELD_INVALID: the request is malformed\n  ttl: must be at least one second"
        );
        assert_eq!(error_text(&Status::unavailable("gone\u{1b}")), "Unavailable: gone\\u{1b}");
    }
}
