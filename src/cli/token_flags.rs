//! A token that is asked for, as flags.

use std::{collections::HashSet, time::Duration};

use clap::Args;
use serde_json::{json, value::RawValue};

use super::{
    failure::Failure,
    time_text::{parse_instant, to_api},
};
use crate::{model::UnixTime, proto::v1::IssueTokenRequest};

#[derive(Args)]
pub(super) struct TokenFlags {
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
    /// Ask for a refresh token too, and so begin a session
    #[arg(long)]
    refresh: bool,
}

impl TokenFlags {
    /// The flags that are given.
    pub(super) fn given(&self) -> impl Iterator<Item = &'static str> {
        [
            (self.subject.is_some(), "--subject"),
            (!self.audiences.is_empty(), "--audience"),
            (!self.scopes.is_empty(), "--scope"),
            (self.ttl.is_some(), "--ttl"),
            (self.not_before.is_some(), "--not-before"),
            (!self.claims.is_empty(), "--claim"),
            (self.claims_json.is_some(), "--claims-json"),
            (self.refresh, "--refresh"),
        ]
        .into_iter()
        .filter_map(|(is_given, flag)| is_given.then_some(flag))
    }

    /// What IssueToken is asked for.
    pub(super) fn request(self) -> Result<IssueTokenRequest, Failure> {
        let claims_json = match self.claims_json {
            Some(claims) => claims,
            None => object(&self.claims)?,
        };
        Ok(IssueTokenRequest {
            subject: self.subject.unwrap_or_default(),
            audiences: self.audiences,
            scopes: self.scopes,
            ttl: self.ttl.map(to_api),
            not_before_time: self
                .not_before
                .map(|time| prost_types::Timestamp { seconds: time.seconds(), nanos: 0 }),
            claims_json,
            include_refresh_token: self.refresh,
            ..IssueTokenRequest::default()
        })
    }
}

/// Splits `NAME=VALUE`; the value becomes JSON.
pub(super) fn claim(text: &str) -> Result<(String, String), String> {
    let (name, value) =
        text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or("must be NAME=VALUE")?;
    let value = match serde_json::from_str::<Box<RawValue>>(value) {
        Ok(json) => json.get().to_owned(),
        Err(_) => json!(value).to_string(),
    };
    Ok((name.to_owned(), value))
}

/// One JSON object of all the claims, each value exactly as it was given; nothing for no claim.
pub(super) fn object(claims: &[(String, String)]) -> Result<String, Failure> {
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
