//! `tokend user`: the users who log in with name and password, through UserService.

mod password;
mod update;

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::json;
use tonic::{Code, Response, Status};

pub(super) use self::password::PasswordInput;

use self::{password::NewPasswordInput, update::Update};
use crate::{
    cli::{
        connection::{AuthenticatedChannel, RemoteFlags, all_pages, response},
        error::CliError,
        output::{
            PAGE_SIZE, confirm, escaped, joined, message, print, print_exact_json, print_json, row, table,
        },
        time_text::timestamp,
        token::ClaimFlags,
    },
    proto::v1::{
        CreateUserRequest, DeleteUserRequest, GetUserRequest, GetUserResponse, ListUsersRequest,
        SetUserPasswordRequest, User, user_service_client::UserServiceClient,
    },
};

type Service = UserServiceClient<AuthenticatedChannel>;

#[derive(Subcommand)]
pub(super) enum UserCommand {
    /// Register a user and print the user's id
    Create(Box<Create>),
    /// List the users
    List(List),
    /// Show a user without the password hash
    Show(Show),
    /// Change the given fields of a user
    Update(Box<Update>),
    /// Set a user's password
    SetPassword(SetPassword),
    /// Delete a user
    Delete(Delete),
}

impl UserCommand {
    pub(super) fn run(self) -> Result<(), CliError> {
        match self {
            Self::Create(command) => command.run(),
            Self::List(command) => command.run(),
            Self::Show(command) => command.run(),
            Self::Update(command) => command.run(),
            Self::SetPassword(command) => command.run(),
            Self::Delete(command) => command.run(),
        }
    }
}

/// The user's id or name.
#[derive(Args)]
#[group(required = true, multiple = false)]
struct UserSelector {
    /// The user's id, or the name to log in with
    #[arg(value_name = "USER")]
    user: Option<String>,
    /// Select the user by name, if the name is also the id of another user
    #[arg(long, value_name = "NAME")]
    by_name: Option<String>,
}

impl UserSelector {
    async fn find(&self, service: &mut Service) -> Result<User, CliError> {
        let by_name = |name: &str| GetUserRequest { username: name.to_owned(), ..GetUserRequest::default() };
        let Some(user) = &self.user else {
            let request = by_name(self.by_name.as_deref().unwrap_or_default());
            return Ok(response(service.get_user(request).await)?.user.unwrap_or_default());
        };
        let by_id = GetUserRequest { user_id: user.clone(), ..GetUserRequest::default() };
        match (found(service.get_user(by_id).await)?, found(service.get_user(by_name(user)).await)?) {
            (Some(one), Some(other)) if one.user_id != other.user_id => Err(CliError::usage(format!(
                "`{0}` is the id of one user and the name of another; use --by-name {1} or --by-name {0}",
                escaped(user),
                escaped(&one.username)
            ))),
            (Some(user), _) | (None, Some(user)) => Ok(user),
            (None, None) => Err(CliError::failed(format!(
                "USER_NOT_FOUND: no user has the id or the name `{}`",
                escaped(user)
            ))),
        }
    }

    /// The user's id. A caller without permission to read users must give the id.
    async fn id(self, service: &mut Service) -> Result<String, CliError> {
        match self.find(service).await {
            Ok(user) => Ok(user.user_id),
            Err(CliError::Failed(message)) if message.starts_with("METHOD_NOT_ALLOWED") => {
                self.user.ok_or(CliError::Failed(message))
            }
            Err(error) => Err(error),
        }
    }

    fn shown(&self) -> String {
        escaped(self.user.as_deref().or(self.by_name.as_deref()).unwrap_or_default())
    }
}

/// The user, if there is one. A name need not be a valid id.
fn found(got: Result<Response<GetUserResponse>, Status>) -> Result<Option<User>, CliError> {
    match got {
        Err(status) if matches!(status.code(), Code::NotFound | Code::InvalidArgument) => Ok(None),
        got => Ok(response(got)?.user),
    }
}

#[derive(Args)]
#[command(after_help = "Examples:
  tokend user create alice --scope read --claim name=Alice
  tokend user create alice --password-stdin < password.txt
  tokend user create bob --password-hash-stdin < bobs-bcrypt-hash.txt

The command asks for the password twice. A password needs at least 8 bytes, and must not be a very common one.")]
pub(super) struct Create {
    /// The name to log in with
    #[arg(value_name = "NAME")]
    username: String,
    /// Set the user's id, which is the subject of tokens [default: a random id]
    #[arg(long, value_name = "USER_ID")]
    id: Option<String>,
    /// Allow a scope in the user's tokens; may be repeated
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    #[command(flatten)]
    claims: ClaimFlags,
    /// Reject logins
    #[arg(long)]
    disabled: bool,
    #[command(flatten)]
    password: NewPasswordInput,
    #[command(flatten)]
    remote: RemoteFlags,
}

impl Create {
    fn run(self) -> Result<(), CliError> {
        let user = User {
            user_id: self.id.unwrap_or_default(),
            username: self.username,
            disabled: self.disabled,
            claims_json: self.claims.json()?.unwrap_or_default(),
            scopes: self.scopes,
            ..User::default()
        };
        let new = self.password.read()?;
        let request = CreateUserRequest {
            user: Some(user),
            password: new.password.to_string(),
            password_hash: new.password_hash.to_string(),
            request_id: String::new(),
        };
        let created = self.remote.unary(async |channel| Service::new(channel).create_user(request).await)?;
        let user = created.user.unwrap_or_default();
        if self.remote.is_json() {
            return print_exact_json(&user);
        }
        message(&format!("created user {} with this id:", escaped(&user.username)));
        print(&escaped(&user.user_id))
    }
}

#[derive(Args)]
pub(super) struct List {
    #[command(flatten)]
    remote: RemoteFlags,
}

impl List {
    fn run(self) -> Result<(), CliError> {
        let users = self.remote.call(async |channel| {
            let mut service = Service::new(channel);
            all_pages(async |page_token| {
                let request = ListUsersRequest { page_size: PAGE_SIZE, page_token };
                let page = response(service.list_users(request).await)?;
                Ok((page.users, page.next_page_token))
            })
            .await
        })?;
        if self.remote.is_json() {
            return print_exact_json(&users);
        }
        let mut rows = vec![row(["USER", "NAME", "STATE", "SCOPES", "PASSWORD SET", "UPDATED"])];
        rows.extend(users.iter().map(|user| {
            row([
                escaped(&user.user_id),
                escaped(&user.username),
                state(user).to_owned(),
                joined(&user.scopes),
                user.password_update_time.map(timestamp).unwrap_or_default(),
                user.update_time.map(timestamp).unwrap_or_default(),
            ])
        }));
        print(&table(&rows))
    }
}

const fn state(user: &User) -> &'static str {
    if user.disabled { "disabled" } else { "enabled" }
}

#[derive(Args)]
pub(super) struct Show {
    #[command(flatten)]
    selector: UserSelector,
    #[command(flatten)]
    remote: RemoteFlags,
}

impl Show {
    fn run(self) -> Result<(), CliError> {
        let user = self.remote.call(async |channel| self.selector.find(&mut Service::new(channel)).await)?;
        if self.remote.is_json() {
            return print_exact_json(&user);
        }
        print(&table(&[
            row(["user", &escaped(&user.user_id)]),
            row(["name", &escaped(&user.username)]),
            row(["state", state(&user)]),
            row(["scopes", &joined(&user.scopes)]),
            row(["claims", &escaped(&user.claims_json)]),
            row(["password set", &user.password_update_time.map(timestamp).unwrap_or_default()]),
            row(["created", &user.create_time.map(timestamp).unwrap_or_default()]),
            row(["updated", &user.update_time.map(timestamp).unwrap_or_default()]),
            row(["etag", &escaped(&user.etag)]),
        ]))
    }
}

#[derive(Args)]
#[command(after_help = "Examples:
  tokend user set-password u-5f3c0d2e9a71b84c6d10
  tokend user set-password alice --password-stdin < password.txt

The user's sessions end: after that a refresh needs a new login. Access tokens stay valid until they expire;
`tokend token revoke --subject USER_ID` revokes them immediately.")]
pub(super) struct SetPassword {
    #[command(flatten)]
    selector: UserSelector,
    #[command(flatten)]
    password: NewPasswordInput,
    /// Keep the sessions that began with the old password
    #[arg(long)]
    keep_sessions: bool,
    #[command(flatten)]
    remote: RemoteFlags,
}

impl SetPassword {
    fn run(self) -> Result<(), CliError> {
        #[derive(Serialize)]
        struct PasswordSet {
            #[serde(flatten)]
            user: User,
            ended_sessions: i32,
        }
        let new = self.password.read()?;
        let set = self.remote.call(async |channel| {
            let mut service = Service::new(channel);
            let request = SetUserPasswordRequest {
                user_id: self.selector.id(&mut service).await?,
                password: new.password.to_string(),
                password_hash: new.password_hash.to_string(),
                request_id: String::new(),
                keep_sessions: self.keep_sessions,
                ..SetUserPasswordRequest::default()
            };
            response(service.set_user_password(request).await)
        })?;
        let (user, ended_sessions) = (set.user.unwrap_or_default(), set.ended_sessions);
        if self.remote.is_json() {
            return print_exact_json(&PasswordSet { user, ended_sessions });
        }
        let sessions = match (self.keep_sessions, ended_sessions) {
            (true, _) => "the sessions continue".to_owned(),
            (false, 1) => "1 session ended".to_owned(),
            (false, ended) => format!("{ended} sessions ended"),
        };
        message(&format!("user {} has a new password; {sessions}", escaped(&user.user_id)));
        Ok(())
    }
}

#[derive(Args)]
pub(super) struct Delete {
    #[command(flatten)]
    selector: UserSelector,
    /// Delete the user only if it still has this etag
    #[arg(long, value_name = "ETAG")]
    etag: Option<String>,
    /// Do not ask for confirmation
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    remote: RemoteFlags,
}

impl Delete {
    fn run(self) -> Result<(), CliError> {
        if !self.yes {
            let shown = self.selector.shown();
            confirm(&format!(
                "Delete user {shown}? Sessions end; access tokens stay valid until they expire."
            ))?;
        }
        let user_id = self.remote.call(async |channel| {
            let mut service = Service::new(channel);
            let user_id = self.selector.id(&mut service).await?;
            let etag = self.etag.unwrap_or_default();
            let request =
                DeleteUserRequest { user_id: user_id.clone(), etag, ..DeleteUserRequest::default() };
            response(service.delete_user(request).await)?;
            Ok(user_id)
        })?;
        if self.remote.is_json() {
            return print_json(&json!({ "user_id": user_id, "deleted": true }));
        }
        message(&format!("deleted user {}", escaped(&user_id)));
        Ok(())
    }
}
