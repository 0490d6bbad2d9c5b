//! `POST /oauth2/introspect` (RFC 7662) and `POST /oauth2/revoke` (RFC 7009).

use axum::response::{IntoResponse as _, Response};
use http::{StatusCode, header::CACHE_CONTROL};
use serde::{Serialize, Serializer, ser::SerializeMap as _};
use serde_json::value::RawValue;

use super::{OAuthRequest, OAuthServer, error::OAuthError, json_response};
use crate::{
    grpc::session_claims,
    jose,
    proto::v1::{self, revoke_token_request::Target},
};

/// An introspection response (RFC 7662 section 2.2).
enum Introspection {
    Inactive,
    Active {
        token_type: String,
        /// The claims with their values' own text.
        claims: Vec<(String, Box<RawValue>)>,
    },
}

/// The members that are not claims of the token.
const OWN_MEMBERS: [&str; 2] = ["active", "token_type"];

impl Serialize for Introspection {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut members = to.serialize_map(None)?;
        members.serialize_entry("active", &matches!(self, Self::Active { .. }))?;
        if let Self::Active { token_type, claims } = self {
            members.serialize_entry("token_type", token_type)?;
            for (name, value) in claims.iter().filter(|(name, _)| !OWN_MEMBERS.contains(&name.as_str())) {
                members.serialize_entry(name, value)?;
            }
        }
        members.end()
    }
}

pub(super) async fn introspect(server: &OAuthServer, request: &OAuthRequest) -> Result<Response, OAuthError> {
    let message = v1::IntrospectTokenRequest {
        token: request.required("token")?,
        audiences: request.form.audiences(),
        ..v1::IntrospectTokenRequest::default()
    };
    let response: v1::IntrospectTokenResponse =
        server.call("/tokend.v1.TokenService/IntrospectToken", request, &message).await?;
    Ok(json_response(StatusCode::OK, &introspection(response)?))
}

fn introspection(response: v1::IntrospectTokenResponse) -> Result<Introspection, OAuthError> {
    if !response.active {
        return Ok(Introspection::Inactive);
    }
    let damaged =
        || OAuthError::new(StatusCode::INTERNAL_SERVER_ERROR, "server_error", "an internal error occurred");
    let claims = if response.claims_json.is_empty() {
        session_claims(&response.token_claims.unwrap_or_default())
    } else {
        response.claims_json
    };
    let members = jose::object_members(&claims).map_err(|_| damaged())?;
    let claims = members.into_iter().map(|(name, value)| Some((name, RawValue::from_string(value).ok()?)));
    Ok(Introspection::Active {
        token_type: response.token_type,
        claims: claims.collect::<Option<_>>().ok_or_else(damaged)?,
    })
}

pub(super) async fn revoke(server: &OAuthServer, request: &OAuthRequest) -> Result<Response, OAuthError> {
    let message = v1::RevokeTokenRequest {
        target: Some(Target::Token(request.required("token")?)),
        request_id: request.form.text("request_id"),
        ..v1::RevokeTokenRequest::default()
    };
    let _: v1::RevokeTokenResponse =
        server.call("/tokend.v1.TokenService/RevokeToken", request, &message).await?;
    Ok((StatusCode::OK, [(CACHE_CONTROL, "no-store")]).into_response())
}
