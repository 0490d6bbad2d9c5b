//! `tokend token verify` and `tokend token introspect`.

use std::time::Duration;

use clap::Args;
use serde::Serialize;
use serde_json::{json, value::RawValue};

use super::{Service, input::TokenInput};
use crate::{
    cli::{
        connection::RemoteFlags,
        error::CliError,
        output::{message, print_exact_json, print_json, raw_json},
        time_text::to_proto,
    },
    grpc::{session_claims, struct_members},
    proto::v1::{IntrospectTokenRequest, IntrospectTokenResponse, VerifyTokenRequest},
};

#[derive(Args)]
#[command(after_help = "Examples:
  tokend token verify --audience orders < token.txt
  tokend token issue --audience orders | tokend token verify --audience orders --scope read

Exit status 0 means that the token is valid. For a rejected token it is 1, with the reason on stderr.")]
pub(in crate::cli) struct Verify {
    #[command(flatten)]
    token: TokenInput,
    /// Accept an audience; the token must have one of those given [default: the client's own]
    #[arg(long = "audience", value_name = "AUDIENCE")]
    audiences: Vec<String>,
    /// Require a scope; may be repeated
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// Accept an issuer; may be repeated [default: all issuers that the client's permissions allow]
    #[arg(long = "issuer", value_name = "ISSUER")]
    issuers: Vec<String>,
    /// Set the allowed clock difference [default: the server's setting]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    leeway: Option<Duration>,
    #[command(flatten)]
    remote: RemoteFlags,
}

impl Verify {
    pub(super) fn run(self) -> Result<(), CliError> {
        /// The claims are the text that was signed.
        #[derive(Serialize)]
        struct Verified<'a> {
            verified: bool,
            claims: &'a RawValue,
            audiences: Vec<String>,
            #[serde(serialize_with = "crate::proto::duration::serialize")]
            cache_ttl: Option<prost_types::Duration>,
            key_id: String,
        }
        let request = VerifyTokenRequest {
            token: self.token.read()?.to_string(),
            audiences: self.audiences,
            required_scopes: self.scopes,
            issuers: self.issuers,
            leeway: self.leeway.map(to_proto),
            read_mask: None,
        };
        let verified =
            self.remote.unary(async |channel| Service::new(channel).verify_token(request).await)?;
        let claims = raw_json(verified.claims_json)?;
        if !self.remote.is_json() {
            message(&format!("verified: signed by key {}", verified.key_id));
            return print_exact_json(&claims);
        }
        print_exact_json(&Verified {
            verified: true,
            claims: &claims,
            audiences: verified.audiences,
            cache_ttl: verified.cache_ttl,
            key_id: verified.key_id,
        })
    }
}

#[derive(Args)]
#[command(after_help = "Examples:
  tokend token introspect --audience orders < token.txt
  tokend token introspect -o json < refresh-token.txt

Exit status 0 means that the token is active. For a token that is not active it is 1, without a reason: the token may be
anything, or of no concern to this client. `tokend token verify` reports why an access token is rejected. To decide whether to
accept a token for an audience, give that audience.")]
pub(in crate::cli) struct Introspect {
    #[command(flatten)]
    token: TokenInput,
    /// Accept an audience; the token must have one of those given [default: the client's own, and tokens issued to the client]
    #[arg(long = "audience", value_name = "AUDIENCE")]
    audiences: Vec<String>,
    /// Accept an issuer; may be repeated [default: all issuers that the client's permissions allow]
    #[arg(long = "issuer", value_name = "ISSUER")]
    issuers: Vec<String>,
    #[command(flatten)]
    remote: RemoteFlags,
}

impl Introspect {
    pub(super) fn run(self) -> Result<(), CliError> {
        #[derive(Serialize)]
        struct Active<'a> {
            active: bool,
            token_type: &'a str,
            claims: &'a RawValue,
        }
        let request = IntrospectTokenRequest {
            token: self.token.read()?.to_string(),
            audiences: self.audiences,
            issuers: self.issuers,
        };
        let introspected =
            self.remote.unary(async |channel| Service::new(channel).introspect_token(request).await)?;
        if !introspected.active {
            if self.remote.is_json() {
                print_json(&json!({"active": false}))?;
            }
            return Err(CliError::failed("the token is not active"));
        }
        let token_type = introspected.token_type.clone();
        let claims = raw_json(claims(introspected)?)?;
        if self.remote.is_json() {
            return print_exact_json(&Active { active: true, token_type: &token_type, claims: &claims });
        }
        message(&format!("active: {token_type}"));
        print_exact_json(&claims)
    }
}

/// The claims of a token; for a refresh token, the claims that its access tokens have.
fn claims(introspected: IntrospectTokenResponse) -> Result<String, CliError> {
    if let Some(claims) = introspected.claims {
        let members = struct_members(claims).map_err(CliError::failed)?;
        let member = |(name, value): (String, String)| format!("{}:{value}", json!(name));
        let members: Vec<String> = members.into_iter().map(member).collect();
        return Ok(format!("{{{}}}", members.join(",")));
    }
    Ok(session_claims(&introspected.token_claims.unwrap_or_default()))
}
