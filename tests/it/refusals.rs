//! What a call must end with.

use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// The answer of a call that must succeed.
#[track_caller]
pub fn accepted<T>(answer: Result<T, Status>) -> T {
    answer.unwrap_or_else(|status| panic!("refused: {:?} {}", reason(&status), status.message()))
}

/// The status of a call that must fail.
#[track_caller]
pub fn refused<T>(answer: Result<T, Status>) -> Status {
    match answer {
        Ok(_) => panic!("accepted, though it must be refused"),
        Err(status) => status,
    }
}

/// The reason in a status' ErrorInfo, whose domain must be ours.
pub fn reason(status: &Status) -> String {
    let info = status.get_details_error_info();
    let info = info.unwrap_or_else(|| panic!("no ErrorInfo in {:?}: {}", status.code(), status.message()));
    assert_eq!(info.domain, "tokend");
    info.reason
}

/// Checks that a call fails with this code and reason.
#[track_caller]
pub fn assert_refused<T>(answer: Result<T, Status>, code: Code, expected: &str) -> Status {
    let status = refused(answer);
    assert_eq!((status.code(), reason(&status).as_str()), (code, expected), "{}", status.message());
    status
}

/// The fields that a status' BadRequest names.
pub fn fields(status: &Status) -> Vec<String> {
    let bad_request = status.get_details_bad_request();
    let violations = bad_request.map(|details| details.field_violations).unwrap_or_default();
    violations.into_iter().map(|violation| violation.field).collect()
}
