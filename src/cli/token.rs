//! `tokend token`: issue and verify.

use std::{collections::HashSet, time::Duration};

use clap::{Args, Subcommand};
use serde_json::{json, value::RawValue};

use super::{
    connection::Connection,
    failure::Failure,
    inspect::Inspect,
    json_text::indented,
    output::{Output, print, print_json, talk},
    remote::{answer, call},
    time_text::{duration, parse_instant, timestamp, to_api},
    token_input::TokenInput,
};
use crate::{
    model::UnixTime,
    proto::v1::{IssueTokenRequest, VerifyTokenRequest, token_service_client::TokenServiceClient},
};

#[derive(Subcommand)]
pub(super) enum TokenCommand {
    /// Issue a token; it alone goes to stdout
    Issue(Issue),
    /// Verify a token; its claims go to stdout
    Verify(Verify),
    /// Print what a token says, without a server and without checking it
    Inspect(Inspect),
}

impl TokenCommand {
    pub(super) fn run(self) -> Result<(), Failure> {
        match self {
            Self::Issue(command) => command.run(),
            Self::Verify(command) => command.run(),
            Self::Inspect(command) => command.run(),
        }
    }
}

#[derive(Args)]
#[command(after_help = "Examples:
  tokend token issue --subject alice --audience orders --scope read
  tokend token issue --audience orders --ttl 5m --claim tenant=acme --claim 'limits={\"rate\":10}'
  TOKEN=$(tokend token issue --audience orders)")]
pub(super) struct Issue {
    /// Whom the token is about (`sub`) [default: the calling client]
    #[arg(long)]
    subject: Option<String>,
    /// A service that may accept the token (`aud`); may be repeated [default: the client's own]
    #[arg(long = "audience", value_name = "AUDIENCE")]
    audiences: Vec<String>,
    /// What the bearer may do (`scope`); may be repeated
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// How long the token lives [default: the client's own]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    ttl: Option<Duration>,
    /// The token is refused before this instant: RFC 3339, or seconds since 1970
    #[arg(long, value_name = "TIME", value_parser = parse_instant)]
    not_before: Option<UnixTime>,
    /// A claim to add; may be repeated. A VALUE that is JSON is taken as JSON, any other as text
    #[arg(long = "claim", value_name = "NAME=VALUE", value_parser = claim)]
    claims: Vec<(String, String)>,
    /// All claims to add, as one JSON object
    #[arg(long, value_name = "JSON", conflicts_with = "claims")]
    claims_json: Option<String>,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    connection: Connection,
}

impl Issue {
    fn run(self) -> Result<(), Failure> {
        let claims_json = match self.claims_json {
            Some(claims) => claims,
            None => object(&self.claims)?,
        };
        let request = IssueTokenRequest {
            subject: self.subject.unwrap_or_default(),
            audiences: self.audiences,
            scopes: self.scopes,
            ttl: self.ttl.map(to_api),
            not_before_time: self
                .not_before
                .map(|time| prost_types::Timestamp { seconds: time.seconds(), nanos: 0 }),
            claims_json,
            ..IssueTokenRequest::default()
        };
        let token = call(&self.connection, async |caller| {
            answer(TokenServiceClient::new(caller).issue_token(request).await)
        })?;
        if !self.output.is_json() {
            return print(&token.access_token);
        }
        print_json(&json!({
            "access_token": token.access_token,
            "token_type": token.token_type,
            "issue_time": token.issue_time.map(timestamp),
            "expire_time": token.expire_time.map(timestamp),
            "expires_in": token.expires_in.map(|life| life.seconds),
            "scopes": token.scopes,
            "jwt_id": token.jwt_id,
            "key_id": token.key_id,
        }))
    }
}

#[derive(Args)]
#[command(after_help = "Examples:
  tokend token verify --audience orders < token.txt
  tokend token issue --audience orders | tokend token verify --audience orders --scope read

Exit status 0 means that the token may be trusted. A refused token is 1, with the reason on stderr.")]
pub(super) struct Verify {
    #[command(flatten)]
    token: TokenInput,
    /// An audience that the token may be for; one of those given must match [default: the client's own]
    #[arg(long = "audience", value_name = "AUDIENCE")]
    audiences: Vec<String>,
    /// A scope that the token must hold; may be repeated
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// By how much clocks may differ [default: the server's setting]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    leeway: Option<Duration>,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    connection: Connection,
}

impl Verify {
    fn run(self) -> Result<(), Failure> {
        let request = VerifyTokenRequest {
            token: self.token.read()?.to_string(),
            audiences: self.audiences,
            required_scopes: self.scopes,
            leeway: self.leeway.map(to_api),
        };
        let verified = call(&self.connection, async |caller| {
            answer(TokenServiceClient::new(caller).verify_token(request).await)
        })?;
        if !self.output.is_json() {
            let claims =
                indented(&verified.claims_json).map_err(|error| Failure::refused(error.to_string()))?;
            talk(&format!("verified: signed by key {}", verified.key_id));
            return print(&claims);
        }
        // The claims as they were signed: a parsed value might change their numbers.
        let answer = json!({
            "audiences": verified.audiences,
            "key_id": verified.key_id,
            "cache_ttl": verified.cache_ttl.map(duration),
        });
        let answer = answer.to_string();
        let rest = answer.strip_prefix('{').unwrap_or_default();
        let document = format!("{{\"verified\":true,\"claims\":{},{rest}", verified.claims_json);
        print(&indented(&document).map_err(|error| Failure::refused(error.to_string()))?)
    }
}

/// Splits `NAME=VALUE`; the value becomes JSON.
fn claim(text: &str) -> Result<(String, String), String> {
    let (name, value) =
        text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or("must be NAME=VALUE")?;
    let value = match serde_json::from_str::<Box<RawValue>>(value) {
        Ok(json) => json.get().to_owned(),
        Err(_) => json!(value).to_string(),
    };
    Ok((name.to_owned(), value))
}

/// One JSON object of all the claims, each value exactly as it was given; nothing for no claim.
fn object(claims: &[(String, String)]) -> Result<String, Failure> {
    let mut names = HashSet::new();
    let mut members = Vec::with_capacity(claims.len());
    for (name, value) in claims {
        if !names.insert(name) {
            return Err(Failure::usage(format!("--claim {name} is given twice")));
        }
        members.push(format!("{}:{value}", json!(name)));
    }
    Ok(if members.is_empty() { String::new() } else { format!("{{{}}}", members.join(",")) })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::{claim, object};

    #[test]
    fn claims_are_json_where_they_look_like_it() {
        let claims: Vec<_> =
            ["tenant=acme", "big=9007199254740993", "o={\"a\": 1}", "t=\"42\"", "eq=a=b", "e="]
                .iter()
                .map(|text| claim(text).unwrap())
                .collect();
        let expected = r#"{"tenant":"acme","big":9007199254740993,"o":{"a": 1},"t":"42","eq":"a=b","e":""}"#;
        assert_eq!(object(&claims).unwrap(), expected);
        assert_eq!(object(&[]).unwrap(), "");
        assert!(claim("=x").is_err() && claim("x").is_err());
        assert!(object(&[claim("a=1").unwrap(), claim("a=2").unwrap()]).is_err());
    }
}
