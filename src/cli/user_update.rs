//! `tokend user update`: what is said changes, and nothing else.

use clap::Args;

use super::{
    connection::Connection,
    failure::Failure,
    output::{Output, plain, talk},
    remote::{answer, call},
    user::Which,
    user_claims::Claims,
    user_view::print_document,
};
use crate::proto::v1::{UpdateUserRequest, User, user_service_client::UserServiceClient};

#[derive(Args)]
#[command(after_help = "Examples:
  tokend user update --by-name alice --disable
  tokend user update u-5f3c0d2e9a71b84c6d10 --scope read --scope write     # in place of those before
  tokend user update u-5f3c0d2e9a71b84c6d10 --no-claims --rename alice.b")]
pub(super) struct Update {
    #[command(flatten)]
    which: Which,
    /// Another name to log in with
    #[arg(long, value_name = "NAME")]
    rename: Option<String>,
    /// Refuse logins from now on; tokens that were issued live until they expire
    #[arg(long)]
    disable: bool,
    /// Allow logins again
    #[arg(long, conflicts_with = "disable")]
    enable: bool,
    /// A scope that the user's tokens may hold, in place of those before; may be repeated
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// No scopes any more
    #[arg(long, conflicts_with = "scopes")]
    no_scopes: bool,
    #[command(flatten)]
    claims: Claims,
    /// No claims any more
    #[arg(long, conflicts_with_all = ["claims", "claims_json"])]
    no_claims: bool,
    /// Change only if the user has this etag still
    #[arg(long, value_name = "ETAG")]
    etag: Option<String>,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    connection: Connection,
}

impl Update {
    pub(super) fn run(self) -> Result<(), Failure> {
        let claims = self.claims.json()?;
        let paths: Vec<String> = [
            ("username", self.rename.is_some()),
            ("disabled", self.disable || self.enable),
            ("scopes", self.no_scopes || !self.scopes.is_empty()),
            ("claims", self.no_claims || claims.is_some()),
        ]
        .into_iter()
        .filter(|(_, is_said)| *is_said)
        .map(|(path, _)| path.to_owned())
        .collect();
        if paths.is_empty() {
            return Err(Failure::usage("nothing to change was said"));
        }
        let user = User {
            username: self.rename.unwrap_or_default(),
            disabled: self.disable,
            claims_json: claims.unwrap_or_default(),
            scopes: self.scopes,
            etag: self.etag.unwrap_or_default(),
            ..User::default()
        };
        let updated = call(&self.connection, async |caller| {
            let mut service = UserServiceClient::new(caller);
            let user = User { user_id: self.which.id(&mut service).await?, ..user };
            let request = UpdateUserRequest {
                user: Some(user),
                update_mask: Some(prost_types::FieldMask { paths }),
                request_id: String::new(),
            };
            answer(service.update_user(request).await)
        })?;
        let user = updated.user.unwrap_or_default();
        if self.output.is_json() {
            return print_document(&user);
        }
        talk(&format!("user {} was changed", plain(&user.user_id)));
        Ok(())
    }
}
