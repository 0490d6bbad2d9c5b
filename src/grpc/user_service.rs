//! `tokend.v1.UserService`.

use tonic::{Request, Response, Status};

use super::status::CallError;
use crate::proto::v1::{self, user_service_server::UserService};

#[derive(Debug)]
pub(super) struct UserApi {}

#[tonic::async_trait]
impl UserService for UserApi {
    async fn create_user(
        &self,
        _request: Request<v1::CreateUserRequest>,
    ) -> Result<Response<v1::CreateUserResponse>, Status> {
        Err(CallError::MethodUnknown.into_status())
    }

    async fn get_user(
        &self,
        _request: Request<v1::GetUserRequest>,
    ) -> Result<Response<v1::GetUserResponse>, Status> {
        Err(CallError::MethodUnknown.into_status())
    }

    async fn list_users(
        &self,
        _request: Request<v1::ListUsersRequest>,
    ) -> Result<Response<v1::ListUsersResponse>, Status> {
        Err(CallError::MethodUnknown.into_status())
    }

    async fn update_user(
        &self,
        _request: Request<v1::UpdateUserRequest>,
    ) -> Result<Response<v1::UpdateUserResponse>, Status> {
        Err(CallError::MethodUnknown.into_status())
    }

    async fn set_user_password(
        &self,
        _request: Request<v1::SetUserPasswordRequest>,
    ) -> Result<Response<v1::SetUserPasswordResponse>, Status> {
        Err(CallError::MethodUnknown.into_status())
    }

    async fn delete_user(
        &self,
        _request: Request<v1::DeleteUserRequest>,
    ) -> Result<Response<v1::DeleteUserResponse>, Status> {
        Err(CallError::MethodUnknown.into_status())
    }
}
