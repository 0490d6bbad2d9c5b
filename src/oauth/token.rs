//! `POST /oauth2/token`: client credentials and refresh tokens (RFC 6749 sections 4.4 and 6), token exchange (RFC 8693).

use axum::response::Response;
use http::StatusCode;
use serde::Serialize;

use super::{OAuthRequest, OAuthServer, error::OAuthError, json_response};
use crate::proto::v1;

/// The values of `grant_type` in the metadata documents.
pub(super) const GRANT_TYPES: [&str; 3] = ["client_credentials", "refresh_token", TOKEN_EXCHANGE];

const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";

/// A token response (RFC 6749 section 5.1).
#[derive(Serialize)]
struct TokenResponse {
    access_token: String,
    token_type: String,
    /// The lifetime in seconds.
    expires_in: i64,
    #[serde(skip_serializing_if = "String::is_empty")]
    scope: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    refresh_token: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    issued_token_type: String,
}

pub(super) async fn token(server: &OAuthServer, request: &OAuthRequest) -> Result<Response, OAuthError> {
    let form = &request.form;
    let request_id = form.text("request_id");
    // The responses of the three methods have the same fields, and that of ExchangeToken one more.
    let response: v1::ExchangeTokenResponse = match form.get("grant_type") {
        Some("client_credentials") => {
            let message = v1::IssueTokenRequest {
                audiences: form.audiences(),
                scopes: form.scopes(),
                request_id,
                ..v1::IssueTokenRequest::default()
            };
            server.call("/tokend.v1.TokenService/IssueToken", request, &message).await?
        }
        Some("refresh_token") => {
            let message = v1::RefreshTokenRequest {
                refresh_token: request.required("refresh_token")?,
                audiences: form.audiences(),
                scopes: form.scopes(),
                request_id,
            };
            server.call("/tokend.v1.TokenService/RefreshToken", request, &message).await?
        }
        Some(TOKEN_EXCHANGE) => {
            let message = v1::ExchangeTokenRequest {
                subject_token: request.required("subject_token")?,
                subject_token_type: request.required("subject_token_type")?,
                actor_token: form.text("actor_token"),
                actor_token_type: form.text("actor_token_type"),
                audiences: form.audiences(),
                scopes: form.scopes(),
                requested_token_type: form.text("requested_token_type"),
                request_id,
                ..v1::ExchangeTokenRequest::default()
            };
            server.call("/tokend.v1.TokenService/ExchangeToken", request, &message).await?
        }
        Some(_) => {
            let description = format!("grant_type: must be one of {}", GRANT_TYPES.join(", "));
            return Err(OAuthError::new(StatusCode::BAD_REQUEST, "unsupported_grant_type", description));
        }
        None => return Err(OAuthError::invalid_request("grant_type: is missing")),
    };
    Ok(json_response(
        StatusCode::OK,
        &TokenResponse {
            access_token: response.access_token,
            token_type: response.token_type,
            expires_in: response.expires_in.map_or(0, |duration| duration.seconds),
            scope: response.scopes.join(" "),
            refresh_token: response.refresh_token,
            issued_token_type: response.issued_token_type,
        },
    ))
}
