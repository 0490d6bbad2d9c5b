//! `tokend.v1.UserService`.

use std::sync::Arc;

use tonic::Request;

use super::{Api, admin::administer, implement_service};
use crate::{
    access::UserError,
    grpc::{call::CallContext, convert, status::CallError},
    model::{Method, OldSessions, UserId, Violations},
    proto::v1::{self, user_service_server::UserService},
};

implement_service!(UserService {
    create_user(CreateUserRequest) -> CreateUserResponse;
    get_user(GetUserRequest) -> GetUserResponse;
    list_users(ListUsersRequest) -> ListUsersResponse;
    update_user(UpdateUserRequest) -> UpdateUserResponse;
    set_user_password(SetUserPasswordRequest) -> SetUserPasswordResponse;
    delete_user(DeleteUserRequest) -> DeleteUserResponse;
});

async fn create_user(
    api: &Arc<Api>,
    call: &Arc<CallContext>,
    request: Request<v1::CreateUserRequest>,
) -> Result<v1::CreateUserResponse, CallError> {
    let grant = administer(call, &api.authenticator, &request, Method::CreateUser).await?;
    let message = request.into_inner();
    let identified =
        api.responses.identify(grant.caller_id(), Method::CreateUser, &message.request_id, &message);
    let v1::CreateUserRequest { user, password, password_hash, request_id } = message;
    let user = user.unwrap_or_default();
    let mut violations = Violations::default();
    convert::request_id(&request_id, &mut violations);
    let user_id = convert::optional_user_id(&user.user_id, &mut violations);
    let password = convert::new_password(password, password_hash, &mut violations);
    let settings = convert::user_settings(user).also(violations).valid()?;
    let users = Arc::clone(&api.users);
    let shared_call = Arc::clone(call);
    let create = async move {
        let user_id = user_id.map_or_else(UserId::generate, Ok).map_err(UserError::from)?;
        shared_call.note_user(&user_id);
        let user = users.create(&grant, user_id, settings, password).await?;
        Ok(v1::CreateUserResponse { user: Some(convert::user_message(user)) })
    };
    api.responses.run_once(call, identified, create).await
}

async fn get_user(
    api: &Arc<Api>,
    call: &Arc<CallContext>,
    request: Request<v1::GetUserRequest>,
) -> Result<v1::GetUserResponse, CallError> {
    let grant = administer(call, &api.authenticator, &request, Method::GetUser).await?;
    let key = convert::user_key(&request.get_ref().user_id, &request.get_ref().username).valid()?;
    let user = api.users.get(&grant, &key).await?;
    Ok(v1::GetUserResponse { user: Some(convert::user_message(user)) })
}

async fn list_users(
    api: &Arc<Api>,
    call: &Arc<CallContext>,
    request: Request<v1::ListUsersRequest>,
) -> Result<v1::ListUsersResponse, CallError> {
    let grant = administer(call, &api.authenticator, &request, Method::ListUsers).await?;
    let request = request.into_inner();
    let mut violations = Violations::default();
    let page = convert::page(request.page_size, &request.page_token, |id| UserId::parse(id), &mut violations);
    violations.into_result().map_err(CallError::Invalid)?;
    let (users, more) = api.users.list(&grant, page.after.as_ref(), page.size).await?;
    let mut users = users.into_iter().map(convert::user_message).collect();
    let last = convert::fit_page(&mut users, more, |last: &v1::User| &last.user_id);
    let next_page_token = convert::next_page_token(last);
    Ok(v1::ListUsersResponse { users, next_page_token })
}

async fn update_user(
    api: &Arc<Api>,
    call: &Arc<CallContext>,
    request: Request<v1::UpdateUserRequest>,
) -> Result<v1::UpdateUserResponse, CallError> {
    let grant = administer(call, &api.authenticator, &request, Method::UpdateUser).await?;
    let message = request.into_inner();
    let identified =
        api.responses.identify(grant.caller_id(), Method::UpdateUser, &message.request_id, &message);
    let v1::UpdateUserRequest { user, update_mask, request_id } = message;
    let user = user.unwrap_or_default();
    let mut violations = Violations::default();
    convert::request_id(&request_id, &mut violations);
    let revision = convert::revision(&user.etag);
    let user_id = convert::user_id(&user.user_id, "user.user_id", &mut violations);
    let change = convert::user_change(user, update_mask).also(violations).valid()?;
    let Some(user_id) = user_id else { return Err(without_id("user.user_id")) };
    call.note_user(&user_id);
    let users = Arc::clone(&api.users);
    let update = async move {
        let user = users.update(&grant, &user_id, revision, |settings| change.apply(settings)).await?;
        Ok(v1::UpdateUserResponse { user: Some(convert::user_message(user)) })
    };
    api.responses.run_once(call, identified, update).await
}

async fn set_user_password(
    api: &Arc<Api>,
    call: &Arc<CallContext>,
    request: Request<v1::SetUserPasswordRequest>,
) -> Result<v1::SetUserPasswordResponse, CallError> {
    let grant = administer(call, &api.authenticator, &request, Method::SetUserPassword).await?;
    let message = request.into_inner();
    let identified =
        api.responses.identify(grant.caller_id(), Method::SetUserPassword, &message.request_id, &message);
    let v1::SetUserPasswordRequest { user_id, username, password, password_hash, request_id, keep_sessions } =
        message;
    let sessions = if keep_sessions { OldSessions::Keep } else { OldSessions::End };
    let mut violations = Violations::default();
    convert::request_id(&request_id, &mut violations);
    let password = convert::new_password(password, password_hash, &mut violations);
    let key = convert::user_key(&user_id, &username).also(violations).valid()?;
    let user_id = api.users.find(&grant, key).await?;
    call.note_user(&user_id);
    let users = Arc::clone(&api.users);
    let shared_call = Arc::clone(call);
    let set = async move {
        let (user, ended) = users.set_password(&grant, &user_id, password, sessions).await?;
        shared_call.note_ended_sessions(ended);
        Ok(v1::SetUserPasswordResponse {
            user: Some(convert::user_message(user)),
            ended_sessions: i32::try_from(ended).unwrap_or(i32::MAX),
        })
    };
    api.responses.run_once(call, identified, set).await
}

async fn delete_user(
    api: &Arc<Api>,
    call: &Arc<CallContext>,
    request: Request<v1::DeleteUserRequest>,
) -> Result<v1::DeleteUserResponse, CallError> {
    let grant = administer(call, &api.authenticator, &request, Method::DeleteUser).await?;
    let message = request.into_inner();
    let identified =
        api.responses.identify(grant.caller_id(), Method::DeleteUser, &message.request_id, &message);
    let v1::DeleteUserRequest { user_id, username, etag, request_id } = message;
    let mut violations = Violations::default();
    convert::request_id(&request_id, &mut violations);
    let key = convert::user_key(&user_id, &username).also(violations).valid()?;
    let user_id = api.users.find(&grant, key).await?;
    call.note_user(&user_id);
    let users = Arc::clone(&api.users);
    let revision = convert::revision(&etag);
    let delete = async move {
        users.delete(&grant, &user_id, revision).await?;
        Ok(v1::DeleteUserResponse {})
    };
    api.responses.run_once(call, identified, delete).await
}

fn without_id(field: &str) -> CallError {
    CallError::Invalid(Violations::of(field, "must be given"))
}
