//! The fields of IssueToken as flags.

use std::{collections::HashSet, time::Duration};

use clap::Args;
use serde_json::{json, value::RawValue};

use crate::{
    cli::{
        error::CliError,
        time_text::{parse_instant, to_proto, to_timestamp},
    },
    model::UnixTime,
    proto::v1::IssueTokenRequest,
};

#[derive(Args)]
pub(in crate::cli) struct TokenFlags {
    /// Set the subject (`sub`) [default: the calling client]
    #[arg(long)]
    subject: Option<String>,
    /// Request an audience (`aud`), a service that may accept the token; may be repeated [default: the client's own]
    #[arg(id = "audience", long = "audience", value_name = "AUDIENCE")]
    audiences: Vec<String>,
    /// Request a scope, which the bearer then has; may be repeated
    #[arg(id = "scope", long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// Set the token lifetime [default: the client's own]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    ttl: Option<Duration>,
    /// Set the instant before which the token is rejected: RFC 3339, or seconds since 1970
    #[arg(long, value_name = "TIME", value_parser = parse_instant)]
    not_before: Option<UnixTime>,
    #[command(flatten)]
    claims: ClaimFlags,
    /// Begin a session and request a refresh token
    #[arg(long)]
    refresh: bool,
}

/// Additional claims.
#[derive(Args)]
pub(in crate::cli) struct ClaimFlags {
    /// Add a claim; may be repeated. A VALUE that is JSON is used as JSON, any other as text
    #[arg(id = "claim", long = "claim", value_name = "NAME=VALUE", value_parser = claim)]
    claims: Vec<(String, String)>,
    /// Set all additional claims as one JSON object
    #[arg(long, value_name = "JSON", conflicts_with = "claim")]
    claims_json: Option<String>,
}

impl ClaimFlags {
    /// The claims as a JSON object, if there are any.
    pub(in crate::cli) fn json(self) -> Result<Option<String>, CliError> {
        match self.claims_json {
            Some(json) => Ok(Some(json)),
            None => object(&self.claims),
        }
    }
}

impl TokenFlags {
    pub(in crate::cli) fn request(self) -> Result<IssueTokenRequest, CliError> {
        Ok(IssueTokenRequest {
            subject: self.subject.unwrap_or_default(),
            audiences: self.audiences,
            scopes: self.scopes,
            ttl: self.ttl.map(to_proto),
            not_before_time: self.not_before.map(to_timestamp),
            claims_json: self.claims.json()?.unwrap_or_default(),
            include_refresh_token: self.refresh,
            ..IssueTokenRequest::default()
        })
    }
}

/// Splits `NAME=VALUE`, and turns the value into JSON.
fn claim(text: &str) -> Result<(String, String), String> {
    let (name, value) =
        text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or("must be NAME=VALUE")?;
    let value = match serde_json::from_str::<Box<RawValue>>(value) {
        Ok(json) => json.get().to_owned(),
        Err(_) => json!(value).to_string(),
    };
    Ok((name.to_owned(), value))
}

/// One JSON object with each value exactly as it was given; none without claims.
fn object(claims: &[(String, String)]) -> Result<Option<String>, CliError> {
    let mut names = HashSet::new();
    let mut members = Vec::with_capacity(claims.len());
    for (name, value) in claims {
        if !names.insert(name) {
            return Err(CliError::usage(format!("--claim {name} is given twice")));
        }
        members.push(format!("{}:{value}", json!(name)));
    }
    Ok((!members.is_empty()).then(|| format!("{{{}}}", members.join(","))))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::{claim, object};

    #[test]
    fn a_claim_is_json_if_its_value_is() {
        let claims: Vec<_> =
            ["tenant=acme", "big=9007199254740993", "o={\"a\": 1}", "t=\"42\"", "eq=a=b", "e="]
                .iter()
                .map(|text| claim(text).unwrap())
                .collect();
        let expected = r#"{"tenant":"acme","big":9007199254740993,"o":{"a": 1},"t":"42","eq":"a=b","e":""}"#;
        assert_eq!(object(&claims).unwrap().unwrap(), expected);
        assert_eq!(object(&[]).unwrap(), None);
        assert!(claim("=x").is_err() && claim("x").is_err());
        assert!(object(&[claim("a=1").unwrap(), claim("a=2").unwrap()]).is_err());
    }
}
