//! `tokend.v1.ClientService`.

use std::sync::Arc;

use tonic::Request;

use super::{Api, admin::administer_clients, implement_service};
use crate::{
    access::{ClientRegistry, RegistryError},
    grpc::{call::CallContext, convert, status::CallError},
    model::{ClientId, ClientSettings, Method, Violations},
    proto::v1::{self, client_service_server::ClientService},
};

implement_service!(ClientService {
    create_client(CreateClientRequest) -> CreateClientResponse;
    get_client(GetClientRequest) -> GetClientResponse;
    list_clients(ListClientsRequest) -> ListClientsResponse;
    update_client(UpdateClientRequest) -> UpdateClientResponse;
    delete_client(DeleteClientRequest) -> DeleteClientResponse;
    rotate_client_secret(RotateClientSecretRequest) -> RotateClientSecretResponse;
});

async fn create_client(
    api: &Arc<Api>,
    call: &Arc<CallContext>,
    request: Request<v1::CreateClientRequest>,
) -> Result<v1::CreateClientResponse, CallError> {
    let client_id = request.get_ref().client.as_ref().map_or("", |client| &client.client_id);
    let grant =
        administer_clients(call, &api.authenticator, &request, Method::CreateClient, Some(client_id)).await?;
    let message = request.into_inner();
    let identified = api.responses.identify(
        grant.admin().caller_id(),
        Method::CreateClient,
        &message.request_id,
        &message,
    );
    let v1::CreateClientRequest { client, request_id } = message;
    let client = client.unwrap_or_default();
    let mut violations = Violations::default();
    convert::request_id(&request_id, &mut violations);
    let client_id = convert::optional_client_id(&client.client_id, &mut violations);
    let settings = convert::client_settings(client).also(violations).valid()?;
    let clients = Arc::clone(&api.clients);
    let shared_call = Arc::clone(call);
    let create = async move {
        let client_id = client_id.map_or_else(ClientRegistry::new_id, Ok).map_err(RegistryError::from)?;
        shared_call.note_client(&client_id);
        let new = clients.create(&grant, client_id, settings).await?;
        Ok(v1::CreateClientResponse {
            client: Some(convert::client_message(new.record)),
            client_secret: new.secret.map(|secret| secret.reveal().to_owned()).unwrap_or_default(),
        })
    };
    api.responses.run_once(call, identified, create).await
}

async fn get_client(
    api: &Arc<Api>,
    call: &Arc<CallContext>,
    request: Request<v1::GetClientRequest>,
) -> Result<v1::GetClientResponse, CallError> {
    let client_id = Some(request.get_ref().client_id.as_str());
    let grant = administer_clients(call, &api.authenticator, &request, Method::GetClient, client_id).await?;
    let client_id = required_id(request.into_inner().client_id, Violations::default())?;
    let record = api.clients.get(&grant, &client_id).await?;
    Ok(v1::GetClientResponse { client: Some(convert::client_message(record)) })
}

async fn list_clients(
    api: &Arc<Api>,
    call: &Arc<CallContext>,
    request: Request<v1::ListClientsRequest>,
) -> Result<v1::ListClientsResponse, CallError> {
    let grant = administer_clients(call, &api.authenticator, &request, Method::ListClients, None).await?;
    let request = request.into_inner();
    let mut violations = Violations::default();
    let page =
        convert::page(request.page_size, &request.page_token, |id| ClientId::parse(id), &mut violations);
    violations.into_result().map_err(CallError::Invalid)?;
    let (records, more) = api.clients.list(&grant, page.after.as_ref(), page.size).await?;
    let mut clients = records.into_iter().map(convert::client_message).collect();
    let last = convert::fit_page(&mut clients, more, |last: &v1::Client| &last.client_id);
    let next_page_token = convert::next_page_token(last);
    Ok(v1::ListClientsResponse { clients, next_page_token })
}

async fn update_client(
    api: &Arc<Api>,
    call: &Arc<CallContext>,
    request: Request<v1::UpdateClientRequest>,
) -> Result<v1::UpdateClientResponse, CallError> {
    let client_id = request.get_ref().client.as_ref().map_or("", |client| &client.client_id);
    let grant =
        administer_clients(call, &api.authenticator, &request, Method::UpdateClient, Some(client_id)).await?;
    let message = request.into_inner();
    let identified = api.responses.identify(
        grant.admin().caller_id(),
        Method::UpdateClient,
        &message.request_id,
        &message,
    );
    let changes = convert::client_update(message).map_err(CallError::Invalid)?;
    call.note_client(&changes.client_id);
    let clients = Arc::clone(&api.clients);
    let update = async move {
        let change = |current: &ClientSettings| changes.apply(current);
        let record = clients.update(&grant, &changes.client_id, changes.base, change).await?;
        Ok(v1::UpdateClientResponse { client: Some(convert::client_message(record)) })
    };
    api.responses.run_once(call, identified, update).await
}

async fn delete_client(
    api: &Arc<Api>,
    call: &Arc<CallContext>,
    request: Request<v1::DeleteClientRequest>,
) -> Result<v1::DeleteClientResponse, CallError> {
    let client_id = Some(request.get_ref().client_id.as_str());
    let grant =
        administer_clients(call, &api.authenticator, &request, Method::DeleteClient, client_id).await?;
    let message = request.into_inner();
    let identified = api.responses.identify(
        grant.admin().caller_id(),
        Method::DeleteClient,
        &message.request_id,
        &message,
    );
    let v1::DeleteClientRequest { client_id, request_id, etag } = message;
    let mut violations = Violations::default();
    convert::request_id(&request_id, &mut violations);
    let base = convert::version(&etag, "etag", &mut violations);
    let client_id = required_id(client_id, violations)?;
    call.note_client(&client_id);
    let clients = Arc::clone(&api.clients);
    let delete = async move {
        clients.delete(&grant, &client_id, base).await?;
        Ok(v1::DeleteClientResponse {})
    };
    api.responses.run_once(call, identified, delete).await
}

async fn rotate_client_secret(
    api: &Arc<Api>,
    call: &Arc<CallContext>,
    request: Request<v1::RotateClientSecretRequest>,
) -> Result<v1::RotateClientSecretResponse, CallError> {
    let client_id = Some(request.get_ref().client_id.as_str());
    let grant =
        administer_clients(call, &api.authenticator, &request, Method::RotateClientSecret, client_id).await?;
    let message = request.into_inner();
    let identified = api.responses.identify(
        grant.admin().caller_id(),
        Method::RotateClientSecret,
        &message.request_id,
        &message,
    );
    let v1::RotateClientSecretRequest { client_id, overlap, request_id } = message;
    let mut violations = Violations::default();
    convert::request_id(&request_id, &mut violations);
    let overlap = convert::overlap(overlap, &mut violations);
    let client_id = required_id(client_id, violations)?;
    call.note_client(&client_id);
    let clients = Arc::clone(&api.clients);
    let rotate = async move {
        let new = clients.rotate_secret(&grant, &client_id, overlap).await?;
        Ok(v1::RotateClientSecretResponse { client_secret: new.secret.reveal().to_owned() })
    };
    api.responses.run_once(call, identified, rotate).await
}

/// The client's id, if nothing else is wrong with the request.
fn required_id(text: String, mut violations: Violations) -> Result<ClientId, CallError> {
    let client_id = convert::client_id(text, &mut violations);
    violations.into_result().map_err(CallError::Invalid)?;
    client_id.ok_or_else(|| CallError::Invalid(Violations::of("client_id", "must be given")))
}
