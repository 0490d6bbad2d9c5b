//! `tokend.v1.UserService`.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use prost::Message;
use tonic::{Request, Response, Status};

use super::{
    call::CallContext,
    caller::{Granted, administer},
    convert,
    repeat::{Repeats, Ticket},
    status::CallError,
};
use crate::{
    access::{AdminGrant, Authenticator, UserError, UserRegistry},
    model::{Method, OldSessions, UserId, Violations},
    proto::v1::{self, user_service_server::UserService},
};

#[derive(Debug)]
pub(super) struct UserApi {
    pub(super) authenticator: Arc<Authenticator>,
    pub(super) users: Arc<UserRegistry>,
    pub(super) repeats: Arc<Repeats>,
}

#[tonic::async_trait]
impl UserService for UserApi {
    async fn create_user(
        &self,
        request: Request<v1::CreateUserRequest>,
    ) -> Result<Response<v1::CreateUserResponse>, Status> {
        let call = CallContext::of(request.extensions())?;
        call.respond(self.create(&call, request).await)
    }

    async fn get_user(
        &self,
        request: Request<v1::GetUserRequest>,
    ) -> Result<Response<v1::GetUserResponse>, Status> {
        let call = CallContext::of(request.extensions())?;
        call.respond(self.get(&call, request).await)
    }

    async fn list_users(
        &self,
        request: Request<v1::ListUsersRequest>,
    ) -> Result<Response<v1::ListUsersResponse>, Status> {
        let call = CallContext::of(request.extensions())?;
        call.respond(self.list(&call, request).await)
    }

    async fn update_user(
        &self,
        request: Request<v1::UpdateUserRequest>,
    ) -> Result<Response<v1::UpdateUserResponse>, Status> {
        let call = CallContext::of(request.extensions())?;
        call.respond(self.update(&call, request).await)
    }

    async fn set_user_password(
        &self,
        request: Request<v1::SetUserPasswordRequest>,
    ) -> Result<Response<v1::SetUserPasswordResponse>, Status> {
        let call = CallContext::of(request.extensions())?;
        call.respond(self.set_password(&call, request).await)
    }

    async fn delete_user(
        &self,
        request: Request<v1::DeleteUserRequest>,
    ) -> Result<Response<v1::DeleteUserResponse>, Status> {
        let call = CallContext::of(request.extensions())?;
        call.respond(self.delete(&call, request).await)
    }
}

impl UserApi {
    async fn create(
        &self,
        call: &Arc<CallContext>,
        request: Request<v1::CreateUserRequest>,
    ) -> Result<v1::CreateUserResponse, CallError> {
        let grant = administer(call, &self.authenticator, &request, Method::CreateUser).await?;
        let message = request.into_inner();
        let ticket = self.ticket(&grant, Method::CreateUser, &message.request_id, &message);
        let v1::CreateUserRequest { user, password, password_hash, request_id } = message;
        let user = user.unwrap_or_default();
        let mut violations = Violations::default();
        convert::request_id(&request_id, &mut violations);
        let user_id = convert::optional_user_id(&user.user_id, &mut violations);
        let password = convert::new_password(password, password_hash, &mut violations);
        let settings = convert::user_settings(user).also(violations).valid()?;
        let users = Arc::clone(&self.users);
        let own = Arc::clone(call);
        let create = async move {
            let user_id = user_id.map_or_else(UserId::generate, Ok).map_err(UserError::from)?;
            own.user(&user_id);
            let user = users.create(&grant, user_id, settings, password).await?;
            Ok(v1::CreateUserResponse { user: Some(convert::user_message(user)) })
        };
        self.repeats.once_if_named(call, ticket, create).await
    }

    async fn get(
        &self,
        call: &Arc<CallContext>,
        request: Request<v1::GetUserRequest>,
    ) -> Result<v1::GetUserResponse, CallError> {
        let grant = administer(call, &self.authenticator, &request, Method::GetUser).await?;
        let key = convert::user_key(&request.get_ref().user_id, &request.get_ref().username).valid()?;
        let user = self.users.get(&grant, &key).await?;
        Ok(v1::GetUserResponse { user: Some(convert::user_message(user)) })
    }

    async fn list(
        &self,
        call: &Arc<CallContext>,
        request: Request<v1::ListUsersRequest>,
    ) -> Result<v1::ListUsersResponse, CallError> {
        let grant = administer(call, &self.authenticator, &request, Method::ListUsers).await?;
        let request = request.into_inner();
        let mut violations = Violations::default();
        let size = convert::page_size(request.page_size, &mut violations);
        let after = match request.page_token.as_str() {
            "" => None,
            token => violations.check("page_token", page_start(token)),
        };
        violations.into_result().map_err(CallError::Invalid)?;
        let (users, more) = self.users.list(&grant, after.as_ref(), size).await?;
        let mut users = users.into_iter().map(convert::user_message).collect();
        let last = convert::cut(&mut users, more, |last: &v1::User| &last.user_id);
        let next_page_token = last.map(|last| URL_SAFE_NO_PAD.encode(last)).unwrap_or_default();
        Ok(v1::ListUsersResponse { users, next_page_token })
    }

    async fn update(
        &self,
        call: &Arc<CallContext>,
        request: Request<v1::UpdateUserRequest>,
    ) -> Result<v1::UpdateUserResponse, CallError> {
        let grant = administer(call, &self.authenticator, &request, Method::UpdateUser).await?;
        let message = request.into_inner();
        let ticket = self.ticket(&grant, Method::UpdateUser, &message.request_id, &message);
        let v1::UpdateUserRequest { user, update_mask, request_id } = message;
        let user = user.unwrap_or_default();
        let mut violations = Violations::default();
        convert::request_id(&request_id, &mut violations);
        let revision = convert::revision(&user.etag);
        let user_id = convert::user_id(&user.user_id, "user.user_id", &mut violations);
        let change = convert::user_change(user, update_mask).also(violations).valid()?;
        let Some(user_id) = user_id else { return Err(without_id("user.user_id")) };
        call.user(&user_id);
        let users = Arc::clone(&self.users);
        let update = async move {
            let user = users.update(&grant, &user_id, revision, |settings| change.apply(settings)).await?;
            Ok(v1::UpdateUserResponse { user: Some(convert::user_message(user)) })
        };
        self.repeats.once_if_named(call, ticket, update).await
    }

    async fn set_password(
        &self,
        call: &Arc<CallContext>,
        request: Request<v1::SetUserPasswordRequest>,
    ) -> Result<v1::SetUserPasswordResponse, CallError> {
        let grant = administer(call, &self.authenticator, &request, Method::SetUserPassword).await?;
        let message = request.into_inner();
        let ticket = self.ticket(&grant, Method::SetUserPassword, &message.request_id, &message);
        let v1::SetUserPasswordRequest {
            user_id,
            username,
            password,
            password_hash,
            request_id,
            keep_sessions,
        } = message;
        let sessions = if keep_sessions { OldSessions::Keep } else { OldSessions::End };
        let mut violations = Violations::default();
        convert::request_id(&request_id, &mut violations);
        let password = convert::new_password(password, password_hash, &mut violations);
        let key = convert::user_key(&user_id, &username).also(violations).valid()?;
        let user_id = self.users.find(&grant, key).await?;
        call.user(&user_id);
        let users = Arc::clone(&self.users);
        let own = Arc::clone(call);
        let set = async move {
            let (user, ended) = users.set_password(&grant, &user_id, password, sessions).await?;
            own.ended_sessions(ended);
            Ok(v1::SetUserPasswordResponse {
                user: Some(convert::user_message(user)),
                ended_sessions: i32::try_from(ended).unwrap_or(i32::MAX),
            })
        };
        self.repeats.once_if_named(call, ticket, set).await
    }

    async fn delete(
        &self,
        call: &Arc<CallContext>,
        request: Request<v1::DeleteUserRequest>,
    ) -> Result<v1::DeleteUserResponse, CallError> {
        let grant = administer(call, &self.authenticator, &request, Method::DeleteUser).await?;
        let message = request.into_inner();
        let ticket = self.ticket(&grant, Method::DeleteUser, &message.request_id, &message);
        let v1::DeleteUserRequest { user_id, username, etag, request_id } = message;
        let mut violations = Violations::default();
        convert::request_id(&request_id, &mut violations);
        let key = convert::user_key(&user_id, &username).also(violations).valid()?;
        let user_id = self.users.find(&grant, key).await?;
        call.user(&user_id);
        let users = Arc::clone(&self.users);
        let revision = convert::revision(&etag);
        let delete = async move {
            users.delete(&grant, &user_id, revision).await?;
            Ok(v1::DeleteUserResponse {})
        };
        self.repeats.once_if_named(call, ticket, delete).await
    }

    fn ticket(
        &self,
        grant: &Granted<AdminGrant>,
        method: Method,
        request_id: &str,
        request: &impl Message,
    ) -> Option<Ticket> {
        self.repeats.ticket(grant.caller_id(), method, request_id, request)
    }
}

fn without_id(field: &str) -> CallError {
    CallError::Invalid(Violations::of(field, "must be given"))
}

/// Where a page starts: after this user.
fn page_start(token: &str) -> Result<UserId, &'static str> {
    let text = URL_SAFE_NO_PAD.decode(token).ok().and_then(|octets| String::from_utf8(octets).ok());
    let user_id = text.and_then(|text| UserId::parse(text).ok());
    user_id.ok_or("must be the `next_page_token` of a page before")
}
