//! `tokend.v1.KeyService`.

use std::sync::Arc;

use tonic::Request;

use super::{Api, admin::administer, implement_service};
use crate::{
    grpc::{call::CallContext, convert, status::CallError},
    model::{Method, Violations},
    proto::v1::{self, key_service_server::KeyService},
};

implement_service!(KeyService {
    list_keys(ListKeysRequest) -> ListKeysResponse;
    create_key(CreateKeyRequest) -> CreateKeyResponse;
    import_key(ImportKeyRequest) -> ImportKeyResponse;
    rotate_keys(RotateKeysRequest) -> RotateKeysResponse;
    revoke_key(RevokeKeyRequest) -> RevokeKeyResponse;
});

async fn list_keys(
    api: &Arc<Api>,
    call: &Arc<CallContext>,
    request: Request<v1::ListKeysRequest>,
) -> Result<v1::ListKeysResponse, CallError> {
    let grant = administer(call, &api.authenticator, &request, Method::ListKeys).await?;
    let request = request.into_inner();
    let mut violations = Violations::default();
    let page =
        convert::page(request.page_size, &request.page_token, convert::parse_key_page_id, &mut violations);
    violations.into_result().map_err(CallError::Invalid)?;
    if request.trusted {
        let keys = api.keys.trusted(&grant).into_iter().map(convert::trusted_key_message);
        return Ok(v1::ListKeysResponse { trusted_keys: keys.collect(), ..Default::default() });
    }
    let (listed, more) = api.keys.list(&grant, page.after.as_ref(), page.size).await?;
    let last = listed.last().filter(|_| more).map(|view| convert::key_page_id(&view.record));
    let next_page_token = convert::next_page_token(last);
    let keys = listed.into_iter().map(convert::key_message).collect();
    Ok(v1::ListKeysResponse { keys, next_page_token, trusted_keys: Vec::new() })
}

async fn create_key(
    api: &Arc<Api>,
    call: &Arc<CallContext>,
    request: Request<v1::CreateKeyRequest>,
) -> Result<v1::CreateKeyResponse, CallError> {
    let grant = administer(call, &api.authenticator, &request, Method::CreateKey).await?;
    let request = request.into_inner();
    let mut violations = Violations::default();
    convert::request_id(&request.request_id, &mut violations);
    let algorithm = convert::optional_algorithm(&request.algorithm, &mut violations);
    violations.into_result().map_err(CallError::Invalid)?;
    let key = api.keys.create(&grant, algorithm).await?;
    call.note_key(&key.record.key_id);
    Ok(v1::CreateKeyResponse { key: Some(convert::key_message(key)) })
}

async fn import_key(
    api: &Arc<Api>,
    call: &Arc<CallContext>,
    request: Request<v1::ImportKeyRequest>,
) -> Result<v1::ImportKeyResponse, CallError> {
    let grant = administer(call, &api.authenticator, &request, Method::ImportKey).await?;
    let (material, terms) = convert::import_request(request.into_inner()).valid()?;
    let imported = api.keys.import(&grant, &material.keys, &terms).await?;
    imported.iter().for_each(|key| call.note_key(&key.record.key_id));
    let keys: Vec<v1::Key> = imported.into_iter().map(convert::key_message).collect();
    let skipped_keys = material.skipped.into_iter().map(convert::skipped_key_message).collect();
    Ok(v1::ImportKeyResponse { key: keys.first().cloned(), keys, skipped_keys })
}

async fn rotate_keys(
    api: &Arc<Api>,
    call: &Arc<CallContext>,
    request: Request<v1::RotateKeysRequest>,
) -> Result<v1::RotateKeysResponse, CallError> {
    let grant = administer(call, &api.authenticator, &request, Method::RotateKeys).await?;
    let request = request.into_inner();
    let mut violations = Violations::default();
    convert::request_id(&request.request_id, &mut violations);
    let algorithm = convert::optional_algorithm(&request.algorithm, &mut violations);
    violations.into_result().map_err(CallError::Invalid)?;
    let keys = api.keys.rotate(&grant, algorithm, request.immediately).await?;
    keys.iter().for_each(|key| call.note_key(&key.record.key_id));
    Ok(v1::RotateKeysResponse { keys: keys.into_iter().map(convert::key_message).collect() })
}

async fn revoke_key(
    api: &Arc<Api>,
    call: &Arc<CallContext>,
    request: Request<v1::RevokeKeyRequest>,
) -> Result<v1::RevokeKeyResponse, CallError> {
    let grant = administer(call, &api.authenticator, &request, Method::RevokeKey).await?;
    let request = request.into_inner();
    let mut violations = Violations::default();
    convert::request_id(&request.request_id, &mut violations);
    convert::reason(&request.reason, &mut violations);
    let key_id = convert::key_id(&request.key_id, &mut violations);
    violations.into_result().map_err(CallError::Invalid)?;
    let key_id = key_id.ok_or_else(|| CallError::Invalid(Violations::of("key_id", "must be given")))?;
    call.note_key(&key_id);
    call.note_cause(&request.reason);
    let key = api.keys.revoke(&grant, &key_id, &request.reason).await?;
    Ok(v1::RevokeKeyResponse { key: Some(convert::key_message(key)) })
}
