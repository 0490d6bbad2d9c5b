//! `tokend user update`: changes the given fields.

use clap::Args;

use super::{Service, UserSelector};
use crate::{
    cli::{
        connection::{RemoteFlags, response},
        error::CliError,
        output::{escaped, message, print_exact_json},
        token::ClaimFlags,
    },
    proto::v1::{UpdateUserRequest, User},
};

#[derive(Args)]
#[command(after_help = "Examples:
  tokend user update --by-name alice --disable
  tokend user update u-5f3c0d2e9a71b84c6d10 --scope read --scope write     # replace the scopes
  tokend user update u-5f3c0d2e9a71b84c6d10 --no-claims --rename alice.b")]
pub(in crate::cli) struct Update {
    #[command(flatten)]
    selector: UserSelector,
    /// Change the name to log in with
    #[arg(long, value_name = "NAME")]
    rename: Option<String>,
    /// Reject logins; issued tokens stay valid until they expire
    #[arg(long)]
    disable: bool,
    /// Accept logins again
    #[arg(long, conflicts_with = "disable")]
    enable: bool,
    /// Replace the scopes that the user's tokens may have; may be repeated
    #[arg(id = "scope", long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// Remove all scopes
    #[arg(long, conflicts_with = "scope")]
    no_scopes: bool,
    #[command(flatten)]
    claims: ClaimFlags,
    /// Remove all claims
    #[arg(long, conflicts_with_all = ["claim", "claims_json"])]
    no_claims: bool,
    /// Change the user only if it still has this etag
    #[arg(long, value_name = "ETAG")]
    etag: Option<String>,
    #[command(flatten)]
    remote: RemoteFlags,
}

impl Update {
    pub(super) fn run(self) -> Result<(), CliError> {
        let claims = self.claims.json()?;
        let given = [
            ("username", self.rename.is_some()),
            ("disabled", self.disable || self.enable),
            ("scopes", self.no_scopes || !self.scopes.is_empty()),
            ("claims", self.no_claims || claims.is_some()),
        ];
        let paths: Vec<String> =
            given.into_iter().filter(|(_, is_given)| *is_given).map(|(path, _)| path.to_owned()).collect();
        if paths.is_empty() {
            return Err(CliError::usage("nothing to change: give a flag"));
        }
        let user = User {
            username: self.rename.unwrap_or_default(),
            disabled: self.disable,
            claims_json: claims.unwrap_or_default(),
            scopes: self.scopes,
            etag: self.etag.unwrap_or_default(),
            ..User::default()
        };
        let updated = self.remote.call(async |channel| {
            let mut service = Service::new(channel);
            let user = User { user_id: self.selector.id(&mut service).await?, ..user };
            let request = UpdateUserRequest {
                user: Some(user),
                update_mask: Some(prost_types::FieldMask { paths }),
                request_id: String::new(),
            };
            response(service.update_user(request).await)
        })?;
        let user = updated.user.unwrap_or_default();
        if self.remote.is_json() {
            return print_exact_json(&user);
        }
        message(&format!("changed user {}", escaped(&user.user_id)));
        Ok(())
    }
}
