//! The claims of a user, as flags.

use clap::Args;

use super::{
    failure::Failure,
    token_flags::{claim, object},
};

#[derive(Args)]
pub(super) struct Claims {
    /// A claim of the user's tokens; may be repeated. A VALUE that is JSON is taken as JSON, any other as text
    #[arg(long = "claim", value_name = "NAME=VALUE", value_parser = claim)]
    claims: Vec<(String, String)>,
    /// All claims, as one JSON object
    #[arg(long, value_name = "JSON", conflicts_with = "claims")]
    claims_json: Option<String>,
}

impl Claims {
    /// The claims as JSON, if any were given.
    pub(super) fn json(self) -> Result<Option<String>, Failure> {
        match self.claims_json {
            Some(json) => Ok(Some(json)),
            None => Ok(Some(object(&self.claims)?).filter(|json| !json.is_empty())),
        }
    }
}
