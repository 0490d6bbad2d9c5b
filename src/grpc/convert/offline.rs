//! Reads requests without a server, for `tokend policy explain`. The errors are those of the server for a permitted request.

use std::time::Duration;

use super::{
    exchange_request, introspect_request, issue_request, login_request, refresh_request, revoke_request,
    verify_request,
};
use crate::{
    model::{
        ExchangeRequest, IntrospectRequest, IssueRequest, LoginRequest, RefreshRequest, RevokeTarget,
        VerifyRequest, Violations,
    },
    proto::v1,
};

pub(crate) fn read_issue_request(message: v1::IssueTokenRequest) -> Result<IssueRequest, Violations> {
    issue_request(message).into_result()
}

pub(crate) fn read_verify_request(message: v1::VerifyTokenRequest) -> Result<VerifyRequest, Violations> {
    verify_request(message, Duration::ZERO).0.into_result()
}

pub(crate) fn read_introspect_request(
    message: v1::IntrospectTokenRequest,
) -> Result<IntrospectRequest, Violations> {
    introspect_request(message).into_result()
}

pub(crate) fn read_login_request(message: v1::LoginRequest) -> Result<LoginRequest, Violations> {
    login_request(message).into_result()
}

pub(crate) fn read_refresh_request(message: v1::RefreshTokenRequest) -> Result<RefreshRequest, Violations> {
    refresh_request(message).into_result()
}

pub(crate) fn read_revoke_request(message: v1::RevokeTokenRequest) -> Result<RevokeTarget, Violations> {
    // Without a target there is a violation.
    revoke_request(message).into_result()?.ok_or_else(|| Violations::of("target", "must be given"))
}

pub(crate) fn read_exchange_request(
    message: v1::ExchangeTokenRequest,
) -> Result<ExchangeRequest, Violations> {
    exchange_request(message).0.into_result()
}
