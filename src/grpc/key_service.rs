//! `tokend.v1.KeyService`.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::{call::CallContext, caller::administer, convert, status::CallError};
use crate::{
    access::{Authenticator, KeyRegistry},
    model::{Method, Violations},
    proto::v1::{self, key_service_server::KeyService},
};

#[derive(Debug)]
pub(super) struct KeyApi {
    pub(super) authenticator: Arc<Authenticator>,
    pub(super) keys: Arc<KeyRegistry>,
}

#[tonic::async_trait]
impl KeyService for KeyApi {
    async fn list_keys(
        &self,
        request: Request<v1::ListKeysRequest>,
    ) -> Result<Response<v1::ListKeysResponse>, Status> {
        let call = CallContext::of(request.extensions())?;
        call.respond(self.list(&call, request).await)
    }

    async fn create_key(
        &self,
        request: Request<v1::CreateKeyRequest>,
    ) -> Result<Response<v1::CreateKeyResponse>, Status> {
        let call = CallContext::of(request.extensions())?;
        call.respond(self.create(&call, request).await)
    }

    async fn import_key(
        &self,
        request: Request<v1::ImportKeyRequest>,
    ) -> Result<Response<v1::ImportKeyResponse>, Status> {
        let call = CallContext::of(request.extensions())?;
        call.respond(self.import(&call, request).await)
    }

    async fn rotate_keys(
        &self,
        request: Request<v1::RotateKeysRequest>,
    ) -> Result<Response<v1::RotateKeysResponse>, Status> {
        let call = CallContext::of(request.extensions())?;
        call.respond(self.rotate(&call, request).await)
    }

    async fn revoke_key(
        &self,
        request: Request<v1::RevokeKeyRequest>,
    ) -> Result<Response<v1::RevokeKeyResponse>, Status> {
        let call = CallContext::of(request.extensions())?;
        call.respond(self.revoke(&call, request).await)
    }
}

impl KeyApi {
    async fn list(
        &self,
        call: &Arc<CallContext>,
        request: Request<v1::ListKeysRequest>,
    ) -> Result<v1::ListKeysResponse, CallError> {
        let grant = administer(call, &self.authenticator, &request, Method::ListKeys).await?;
        let request = request.into_inner();
        let mut violations = Violations::default();
        let size = convert::page_size(request.page_size, &mut violations);
        let after = match request.page_token.as_str() {
            "" => None,
            token => violations.check("page_token", convert::key_page_start(token)),
        };
        violations.into_result().map_err(CallError::Invalid)?;
        if request.trusted {
            let keys = self.keys.trusted(&grant).into_iter().map(convert::trusted_key_message);
            return Ok(v1::ListKeysResponse { trusted_keys: keys.collect(), ..Default::default() });
        }
        let (page, more) = self.keys.list(&grant, after.as_ref(), size).await?;
        let last = page.last().filter(|_| more);
        let next_page_token = last.map(|view| convert::next_key_page(&view.record)).unwrap_or_default();
        let keys = page.into_iter().map(convert::key_message).collect();
        Ok(v1::ListKeysResponse { keys, next_page_token, trusted_keys: Vec::new() })
    }

    async fn create(
        &self,
        call: &Arc<CallContext>,
        request: Request<v1::CreateKeyRequest>,
    ) -> Result<v1::CreateKeyResponse, CallError> {
        let grant = administer(call, &self.authenticator, &request, Method::CreateKey).await?;
        let request = request.into_inner();
        let mut violations = Violations::default();
        convert::request_id(&request.request_id, &mut violations);
        let algorithm = convert::optional_algorithm(&request.algorithm, &mut violations);
        violations.into_result().map_err(CallError::Invalid)?;
        let key = self.keys.create(&grant, algorithm).await?;
        call.key(&key.record.key_id);
        Ok(v1::CreateKeyResponse { key: Some(convert::key_message(key)) })
    }

    async fn import(
        &self,
        call: &Arc<CallContext>,
        request: Request<v1::ImportKeyRequest>,
    ) -> Result<v1::ImportKeyResponse, CallError> {
        let grant = administer(call, &self.authenticator, &request, Method::ImportKey).await?;
        let (material, terms) = convert::import_request(request.into_inner()).valid()?;
        let imported = self.keys.import(&grant, &material.keys, &terms).await?;
        imported.iter().for_each(|key| call.key(&key.record.key_id));
        let keys: Vec<v1::Key> = imported.into_iter().map(convert::key_message).collect();
        let skipped_keys = material.skipped.into_iter().map(convert::skipped_key_message).collect();
        Ok(v1::ImportKeyResponse { key: keys.first().cloned(), keys, skipped_keys })
    }

    async fn rotate(
        &self,
        call: &Arc<CallContext>,
        request: Request<v1::RotateKeysRequest>,
    ) -> Result<v1::RotateKeysResponse, CallError> {
        let grant = administer(call, &self.authenticator, &request, Method::RotateKeys).await?;
        let request = request.into_inner();
        let mut violations = Violations::default();
        convert::request_id(&request.request_id, &mut violations);
        let algorithm = convert::optional_algorithm(&request.algorithm, &mut violations);
        violations.into_result().map_err(CallError::Invalid)?;
        let keys = self.keys.rotate(&grant, algorithm, request.immediately).await?;
        keys.iter().for_each(|key| call.key(&key.record.key_id));
        Ok(v1::RotateKeysResponse { keys: keys.into_iter().map(convert::key_message).collect() })
    }

    async fn revoke(
        &self,
        call: &Arc<CallContext>,
        request: Request<v1::RevokeKeyRequest>,
    ) -> Result<v1::RevokeKeyResponse, CallError> {
        let grant = administer(call, &self.authenticator, &request, Method::RevokeKey).await?;
        let request = request.into_inner();
        let mut violations = Violations::default();
        convert::request_id(&request.request_id, &mut violations);
        convert::reason(&request.reason, &mut violations);
        let key_id = convert::key_id(&request.key_id, &mut violations);
        violations.into_result().map_err(CallError::Invalid)?;
        let key_id = key_id.ok_or_else(|| CallError::Invalid(Violations::of("key_id", "must be given")))?;
        call.key(&key_id);
        call.cause(&request.reason);
        let key = self.keys.revoke(&grant, &key_id, &request.reason).await?;
        Ok(v1::RevokeKeyResponse { key: Some(convert::key_message(key)) })
    }
}
