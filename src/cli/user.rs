//! `tokend user`: people who log in, through UserService.

use clap::{Args, Subcommand};
use serde_json::json;
use tonic::{Code, Response, Status};

use super::{
    confirm::confirm,
    connection::{Caller, Connection},
    failure::Failure,
    output::{Output, plain, print, print_json, talk},
    password_input::NewPasswordInput,
    remote::{answer, call},
    user_claims::Claims,
    user_update::Update,
    user_view::{description, overview, print_document, print_document_and_ended_sessions, print_documents},
};
use crate::proto::v1::{
    CreateUserRequest, DeleteUserRequest, GetUserRequest, GetUserResponse, ListUsersRequest,
    SetUserPasswordRequest, User, user_service_client::UserServiceClient,
};

/// How many users are asked for at once.
const PAGE: i32 = 500;

#[derive(Subcommand)]
pub(super) enum UserCommand {
    /// Register a user; the id alone goes to stdout
    Create(Box<Create>),
    /// List the users
    List(List),
    /// Show one user, without anything of the password
    Show(Show),
    /// Change a user: only what is said changes
    Update(Box<Update>),
    /// Give a user another password
    SetPassword(SetPassword),
    /// Delete a user
    Delete(Delete),
}

impl UserCommand {
    pub(super) fn run(self) -> Result<(), Failure> {
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

/// Which user is meant.
#[derive(Args)]
#[group(required = true, multiple = false)]
pub(super) struct Which {
    /// The user's id, or the name to log in with
    #[arg(value_name = "USER")]
    user: Option<String>,
    /// The user's name, if it is also the id of another user
    #[arg(long, value_name = "NAME")]
    by_name: Option<String>,
}

impl Which {
    /// The user.
    async fn find(&self, service: &mut UserServiceClient<Caller>) -> Result<User, Failure> {
        let by_name = |name: &str| GetUserRequest { username: name.to_owned(), ..GetUserRequest::default() };
        let Some(user) = &self.user else {
            let request = by_name(self.by_name.as_deref().unwrap_or_default());
            return Ok(answer(service.get_user(request).await)?.user.unwrap_or_default());
        };
        let by_id = GetUserRequest { user_id: user.clone(), ..GetUserRequest::default() };
        match (look(service.get_user(by_id).await)?, look(service.get_user(by_name(user)).await)?) {
            (Some(one), Some(other)) if one.user_id != other.user_id => Err(Failure::usage(format!(
                "`{0}` is the id of one user and the name of another; use --by-name {1} or --by-name {0}",
                plain(user),
                plain(&one.username)
            ))),
            (Some(user), _) | (None, Some(user)) => Ok(user),
            (None, None) => Err(Failure::refused(format!(
                "USER_NOT_FOUND: no user has the id or the name `{}`",
                plain(user)
            ))),
        }
    }

    /// The user's id, for which a name is looked up. A caller that may not look users up names the id.
    pub(super) async fn id(self, service: &mut UserServiceClient<Caller>) -> Result<String, Failure> {
        match self.find(service).await {
            Ok(user) => Ok(user.user_id),
            Err(Failure::Refused(message)) if message.starts_with("METHOD_NOT_ALLOWED") => {
                self.user.ok_or(Failure::Refused(message))
            }
            Err(failure) => Err(failure),
        }
    }

    /// As it was given, fit for a terminal.
    fn shown(&self) -> String {
        plain(self.user.as_deref().or(self.by_name.as_deref()).unwrap_or_default())
    }
}

/// The user that was found, if there is one: a name need not have the form of an id.
fn look(found: Result<Response<GetUserResponse>, Status>) -> Result<Option<User>, Failure> {
    match found {
        Err(status) if matches!(status.code(), Code::NotFound | Code::InvalidArgument) => Ok(None),
        found => Ok(answer(found)?.user),
    }
}

#[derive(Args)]
#[command(after_help = "Examples:
  tokend user create alice --scope read --claim name=Alice
  tokend user create alice --password-stdin < password.txt
  tokend user create bob --password-hash-stdin < bobs-bcrypt-hash.txt

The password is asked for twice. It must have 8 bytes or more, and not be one that everybody tries first.")]
pub(super) struct Create {
    /// The name to log in with
    #[arg(value_name = "NAME")]
    username: String,
    /// The user's id, which is the subject of tokens [default: a fresh one]
    #[arg(long, value_name = "USER_ID")]
    id: Option<String>,
    /// A scope that the user's tokens may hold; may be repeated
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    #[command(flatten)]
    claims: Claims,
    /// Refuse logins for now
    #[arg(long)]
    disabled: bool,
    #[command(flatten)]
    password: NewPasswordInput,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    connection: Connection,
}

impl Create {
    fn run(self) -> Result<(), Failure> {
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
        let made = call(&self.connection, async |caller| {
            answer(UserServiceClient::new(caller).create_user(request).await)
        })?;
        let user = made.user.unwrap_or_default();
        if self.output.is_json() {
            return print_document(&user);
        }
        talk(&format!("user {} was registered, with this id:", plain(&user.username)));
        print(&plain(&user.user_id))
    }
}

#[derive(Args)]
pub(super) struct List {
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    connection: Connection,
}

impl List {
    fn run(self) -> Result<(), Failure> {
        let users = call(&self.connection, async |caller| {
            let mut service = UserServiceClient::new(caller);
            let (mut users, mut page_token) = (Vec::new(), String::new());
            loop {
                let request = ListUsersRequest { page_size: PAGE, page_token };
                let page = answer(service.list_users(request).await)?;
                users.extend(page.users);
                page_token = page.next_page_token;
                if page_token.is_empty() {
                    return Ok(users);
                }
            }
        })?;
        if self.output.is_json() { print_documents(&users) } else { print(&overview(&users)) }
    }
}

#[derive(Args)]
pub(super) struct Show {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    connection: Connection,
}

impl Show {
    fn run(self) -> Result<(), Failure> {
        let user = call(&self.connection, async |caller| {
            self.which.find(&mut UserServiceClient::new(caller)).await
        })?;
        if self.output.is_json() { print_document(&user) } else { print(&description(&user)) }
    }
}

#[derive(Args)]
#[command(after_help = "Examples:
  tokend user set-password u-5f3c0d2e9a71b84c6d10
  tokend user set-password alice --password-stdin < password.txt

The user's sessions end: whoever holds a refresh token has to log in with the new password. Access tokens live until they
expire; `tokend token revoke --subject USER_ID` refuses them at once.")]
pub(super) struct SetPassword {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    password: NewPasswordInput,
    /// Let the sessions go on that the user began with the old password
    #[arg(long)]
    keep_sessions: bool,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    connection: Connection,
}

impl SetPassword {
    fn run(self) -> Result<(), Failure> {
        let new = self.password.read()?;
        let set = call(&self.connection, async |caller| {
            let mut service = UserServiceClient::new(caller);
            let request = SetUserPasswordRequest {
                user_id: self.which.id(&mut service).await?,
                password: new.password.to_string(),
                password_hash: new.password_hash.to_string(),
                request_id: String::new(),
                keep_sessions: self.keep_sessions,
                ..SetUserPasswordRequest::default()
            };
            answer(service.set_user_password(request).await)
        })?;
        let user = set.user.unwrap_or_default();
        if self.output.is_json() {
            return print_document_and_ended_sessions(&user, set.ended_sessions);
        }
        talk(&match (self.keep_sessions, set.ended_sessions) {
            (true, _) => {
                format!("user {} has a new password, and the sessions of before", plain(&user.user_id))
            }
            (false, 1) => format!("user {} has a new password; 1 session ended", plain(&user.user_id)),
            (false, ended) => {
                format!("user {} has a new password; {ended} sessions ended", plain(&user.user_id))
            }
        });
        Ok(())
    }
}

#[derive(Args)]
pub(super) struct Delete {
    #[command(flatten)]
    which: Which,
    /// Delete only if the user has this etag still
    #[arg(long, value_name = "ETAG")]
    etag: Option<String>,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    connection: Connection,
}

impl Delete {
    fn run(self) -> Result<(), Failure> {
        if !self.yes {
            let shown = self.which.shown();
            confirm(&format!("Delete user {shown}? Sessions end; access tokens live until they expire."))?;
        }
        let user_id = call(&self.connection, async |caller| {
            let mut service = UserServiceClient::new(caller);
            let user_id = self.which.id(&mut service).await?;
            let etag = self.etag.unwrap_or_default();
            let request =
                DeleteUserRequest { user_id: user_id.clone(), etag, ..DeleteUserRequest::default() };
            answer(service.delete_user(request).await)?;
            Ok(user_id)
        })?;
        if self.output.is_json() {
            return print_json(&json!({ "user_id": user_id, "deleted": true }));
        }
        talk(&format!("user {} was deleted", plain(&user_id)));
        Ok(())
    }
}
