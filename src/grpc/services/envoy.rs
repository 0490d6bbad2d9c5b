//! `envoy.service.auth.v3.Authorization`: checks the bearer token of a request for Envoy (`ext_authz`), as VerifyToken does.
//!
//! Envoy is the caller: it authenticates as a client of its own, which needs the permissions of VerifyToken.

use std::sync::Arc;

use envoy_types::pb::{
    envoy::{
        config::core::v3::{HeaderValue, HeaderValueOption, header_value_option::HeaderAppendAction},
        service::auth::v3::{
            CheckRequest, CheckResponse, DeniedHttpResponse, OkHttpResponse, attribute_context::HttpRequest,
            authorization_server::Authorization, check_response::HttpResponse,
        },
        r#type::v3::HttpStatus,
    },
    google::{protobuf::Struct, rpc},
};
use prost::Message as _;
use tonic::{Code, Request, Response, Status};

use super::{Api, token::verify_token};
use crate::{
    grpc::{
        bearer::{self, CLAIM_HEADERS, Rejection},
        call::CallContext,
        framing,
        status::CallError,
    },
    proto::v1,
    tokens::VerifyError,
};

/// The service: [`Api`] in a type of this crate, as a foreign trait needs.
#[derive(Debug, Clone)]
pub struct ExternalAuthorization(pub Arc<Api>);

#[tonic::async_trait]
impl Authorization for ExternalAuthorization {
    async fn check(&self, request: Request<CheckRequest>) -> Result<Response<CheckResponse>, Status> {
        let call = CallContext::of(request.extensions())?;
        call.respond(check(&self.0, &call, request).await)
    }
}

async fn check(
    api: &Arc<Api>,
    call: &Arc<CallContext>,
    request: Request<CheckRequest>,
) -> Result<CheckResponse, CallError> {
    let (metadata, _, message) = request.into_parts();
    let attributes = message.attributes.unwrap_or_default();
    let extension = |name: &str| words(attributes.context_extensions.get(name));
    let (audiences, required_scopes) = (extension("audience"), extension("scope"));
    let http = attributes.request.and_then(|request| request.http).unwrap_or_default();
    let token = authorization(&http);
    let token = token.as_deref().and_then(bearer::token).unwrap_or_default().to_owned();
    let has_token = !token.is_empty();
    let message = v1::VerifyTokenRequest {
        token,
        audiences,
        required_scopes: required_scopes.clone(),
        read_mask: Some(prost_types::FieldMask {
            paths: vec!["token_claims".to_owned(), "claims".to_owned()],
        }),
        ..v1::VerifyTokenRequest::default()
    };
    match verify_token(api, call, metadata.as_ref(), message).await {
        Ok(verified) => accepted(framing::decode_response(verified)?),
        Err(error) => {
            let rejection = match &error {
                CallError::Verify(VerifyError::Refused(_)) if !has_token => Rejection::NoToken,
                CallError::Verify(VerifyError::Refused(refusal)) => {
                    Rejection::of(refusal.reason.name(), refusal.detail, &required_scopes)
                }
                // Not the fault of the request: Envoy rejects it by its setting `failure_mode_allow`.
                _ => return Err(error),
            };
            // Logged and recorded as the item of a batch is: the call itself succeeds.
            let _ = error.into_item(call);
            Ok(rejected(&rejection))
        }
    }
}

/// The words of a context extension of the route.
fn words(text: Option<&String>) -> Vec<String> {
    text.map(|text| text.split_ascii_whitespace().map(str::to_owned).collect()).unwrap_or_default()
}

/// The request's `authorization`, from either form in which Envoy sends headers (`encode_raw_headers`). Several values are joined, and so
/// are no token.
fn authorization(http: &HttpRequest) -> Option<String> {
    if let Some(value) = http.headers.get("authorization") {
        return Some(value.clone());
    }
    let raw = http.header_map.iter().flat_map(|map| &map.headers);
    let values = raw.filter(|header| header.key.eq_ignore_ascii_case("authorization"));
    let values: Vec<String> =
        values.map(|header| String::from_utf8_lossy(&header.raw_value).into_owned()).collect();
    (!values.is_empty()).then(|| values.join(","))
}

/// Sets a header for each claim, and removes those of absent claims that the client may have sent.
fn accepted(verified: v1::VerifyTokenResponse) -> Result<CheckResponse, CallError> {
    let claims = bearer::claim_headers(&verified.token_claims.unwrap_or_default());
    let (present, absent): (Vec<_>, Vec<_>) =
        CLAIM_HEADERS.into_iter().zip(claims).partition(|(_, value)| !value.is_empty());
    // The same message in the types of `envoy-types`.
    let claims = verified.claims.unwrap_or_default().encode_to_vec();
    Ok(CheckResponse {
        status: Some(rpc::Status::default()),
        dynamic_metadata: Some(Struct::decode(claims.as_slice()).map_err(|_| CallError::Lost)?),
        http_response: Some(HttpResponse::OkResponse(OkHttpResponse {
            headers: present.into_iter().map(|(name, value)| header(name, value)).collect(),
            headers_to_remove: absent.into_iter().map(|(name, _)| name.to_owned()).collect(),
            ..OkHttpResponse::default()
        })),
    })
}

fn rejected(rejection: &Rejection) -> CheckResponse {
    let challenge = rejection.challenge();
    let code = match rejection {
        Rejection::NoToken | Rejection::InvalidToken(_) => Code::Unauthenticated,
        Rejection::InsufficientScope(..) => Code::PermissionDenied,
    };
    CheckResponse {
        status: Some(rpc::Status { code: code.into(), ..rpc::Status::default() }),
        dynamic_metadata: None,
        http_response: Some(HttpResponse::DeniedResponse(DeniedHttpResponse {
            status: Some(HttpStatus { code: rejection.status().into() }),
            body: format!("{challenge}\n"),
            headers: vec![header("www-authenticate", challenge)],
        })),
    }
}

fn header(name: &str, value: String) -> HeaderValueOption {
    HeaderValueOption {
        header: Some(HeaderValue { key: name.to_owned(), value, ..HeaderValue::default() }),
        append_action: HeaderAppendAction::OverwriteIfExistsOrAdd.into(),
        ..HeaderValueOption::default()
    }
}
