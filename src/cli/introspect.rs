//! `tokend token introspect`: whether a token is good, to the client that asks.

use clap::Args;
use serde_json::{Map, Value, json};

use super::{
    connection::Connection,
    failure::Failure,
    json_text::indented,
    output::{Output, print, print_json, talk},
    remote::{answer, call},
    token_input::TokenInput,
};
use crate::{
    grpc::struct_members,
    proto::v1::{
        IntrospectTokenRequest, IntrospectTokenResponse, TokenClaims,
        token_service_client::TokenServiceClient,
    },
};

#[derive(Args)]
#[command(after_help = "Examples:
  tokend token introspect --audience orders < token.txt
  tokend token introspect -o json < refresh-token.txt

Exit status 0 means that the token is active. One that is not is 1, and nobody is told why: it may be anything, or not this
client's business. `tokend token verify` says why an access token is refused. To know whether to accept a token for an
audience, name that audience.")]
pub(super) struct Introspect {
    #[command(flatten)]
    token: TokenInput,
    /// An audience that the token may be for; one of those given must match [default: the client's own, and what was issued to
    /// the client]
    #[arg(long = "audience", value_name = "AUDIENCE")]
    audiences: Vec<String>,
    /// An issuer whose token is accepted; may be repeated [default: each that the client's permissions allow]
    #[arg(long = "issuer", value_name = "ISSUER")]
    issuers: Vec<String>,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    connection: Connection,
}

impl Introspect {
    pub(super) fn run(self) -> Result<(), Failure> {
        let request = IntrospectTokenRequest {
            token: self.token.read()?.to_string(),
            audiences: self.audiences,
            issuers: self.issuers,
        };
        let told = call(&self.connection, async |caller| {
            answer(TokenServiceClient::new(caller).introspect_token(request).await)
        })?;
        if !told.active {
            if self.output.is_json() {
                print_json(&json!({"active": false}))?;
            }
            return Err(Failure::refused("the token is not active"));
        }
        let token_type = told.token_type.clone();
        let claims = claims(told)?;
        if self.output.is_json() {
            return print(&pretty(&format!(
                "{{\"active\":true,\"token_type\":{},\"claims\":{claims}}}",
                json!(token_type)
            ))?);
        }
        talk(&format!("active: {token_type}"));
        print(&pretty(&claims)?)
    }
}

/// The token's claims as one JSON object; of a refresh token, what it stands for.
fn claims(told: IntrospectTokenResponse) -> Result<String, Failure> {
    let Some(claims) = told.claims else {
        return Ok(stands_for(told.token_claims.unwrap_or_default()).to_string());
    };
    let members = struct_members(claims).map_err(Failure::refused)?;
    let member = |(name, value): (String, String)| format!("{}:{value}", json!(name));
    let members: Vec<String> = members.into_iter().map(member).collect();
    Ok(format!("{{{}}}", members.join(",")))
}

fn stands_for(claims: TokenClaims) -> Value {
    let mut members = Map::new();
    members.insert("iss".to_owned(), claims.issuer.into());
    members.insert("sub".to_owned(), claims.subject.into());
    members.insert("aud".to_owned(), claims.audiences.into());
    members.insert("exp".to_owned(), claims.expire_time.map(|time| time.seconds).into());
    members.insert("iat".to_owned(), claims.issue_time.map(|time| time.seconds).into());
    members.insert("client_id".to_owned(), claims.client_id.into());
    members.insert("scope".to_owned(), claims.scopes.join(" ").into());
    Value::Object(members)
}

fn pretty(json: &str) -> Result<String, Failure> {
    indented(json).map_err(|error| Failure::refused(error.to_string()))
}
