//! `tokend.v1.ClientService`.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use prost::Message;
use tonic::{Request, Response, Status};

use super::{
    call::CallContext,
    caller::{Granted, administer_clients},
    convert,
    repeat::{Repeats, Ticket},
    status::CallError,
};
use crate::{
    access::{Authenticator, ClientGrant, ClientRegistry, RegistryError},
    model::{ClientId, ClientSettings, Method, Violations},
    proto::v1::{self, client_service_server::ClientService},
};

#[derive(Debug)]
pub(super) struct ClientApi {
    pub(super) authenticator: Arc<Authenticator>,
    pub(super) clients: Arc<ClientRegistry>,
    pub(super) repeats: Arc<Repeats>,
}

#[tonic::async_trait]
impl ClientService for ClientApi {
    async fn create_client(
        &self,
        request: Request<v1::CreateClientRequest>,
    ) -> Result<Response<v1::CreateClientResponse>, Status> {
        let call = CallContext::of(request.extensions())?;
        call.respond(self.create(&call, request).await)
    }

    async fn get_client(
        &self,
        request: Request<v1::GetClientRequest>,
    ) -> Result<Response<v1::GetClientResponse>, Status> {
        let call = CallContext::of(request.extensions())?;
        call.respond(self.get(&call, request).await)
    }

    async fn list_clients(
        &self,
        request: Request<v1::ListClientsRequest>,
    ) -> Result<Response<v1::ListClientsResponse>, Status> {
        let call = CallContext::of(request.extensions())?;
        call.respond(self.list(&call, request).await)
    }

    async fn update_client(
        &self,
        request: Request<v1::UpdateClientRequest>,
    ) -> Result<Response<v1::UpdateClientResponse>, Status> {
        let call = CallContext::of(request.extensions())?;
        call.respond(self.update(&call, request).await)
    }

    async fn delete_client(
        &self,
        request: Request<v1::DeleteClientRequest>,
    ) -> Result<Response<v1::DeleteClientResponse>, Status> {
        let call = CallContext::of(request.extensions())?;
        call.respond(self.delete(&call, request).await)
    }

    async fn rotate_client_secret(
        &self,
        request: Request<v1::RotateClientSecretRequest>,
    ) -> Result<Response<v1::RotateClientSecretResponse>, Status> {
        let call = CallContext::of(request.extensions())?;
        call.respond(self.rotate_secret(&call, request).await)
    }
}

impl ClientApi {
    async fn create(
        &self,
        call: &Arc<CallContext>,
        request: Request<v1::CreateClientRequest>,
    ) -> Result<v1::CreateClientResponse, CallError> {
        let client_id = request.get_ref().client.as_ref().map_or("", |client| &client.client_id);
        let grant =
            administer_clients(call, &self.authenticator, &request, Method::CreateClient, Some(client_id))
                .await?;
        let message = request.into_inner();
        let ticket = self.ticket(&grant, Method::CreateClient, &message.request_id, &message);
        let v1::CreateClientRequest { client, request_id } = message;
        let client = client.unwrap_or_default();
        let mut violations = Violations::default();
        convert::request_id(&request_id, &mut violations);
        let client_id = convert::optional_client_id(&client.client_id, &mut violations);
        let settings = convert::client_settings(client).also(violations).valid()?;
        let clients = Arc::clone(&self.clients);
        let own = Arc::clone(call);
        let create = async move {
            let client_id = client_id.map_or_else(ClientRegistry::new_id, Ok).map_err(RegistryError::from)?;
            own.client(&client_id);
            let new = clients.create(&grant, client_id, settings).await?;
            Ok(v1::CreateClientResponse {
                client: Some(convert::client_message(new.record)),
                client_secret: new.secret.map(|secret| secret.reveal().to_owned()).unwrap_or_default(),
            })
        };
        self.repeats.once_if_named(call, ticket, create).await
    }

    async fn get(
        &self,
        call: &Arc<CallContext>,
        request: Request<v1::GetClientRequest>,
    ) -> Result<v1::GetClientResponse, CallError> {
        let client_id = Some(request.get_ref().client_id.as_str());
        let grant =
            administer_clients(call, &self.authenticator, &request, Method::GetClient, client_id).await?;
        let client_id = required_id(request.into_inner().client_id, Violations::default())?;
        let record = self.clients.get(&grant, &client_id).await?;
        Ok(v1::GetClientResponse { client: Some(convert::client_message(record)) })
    }

    async fn list(
        &self,
        call: &Arc<CallContext>,
        request: Request<v1::ListClientsRequest>,
    ) -> Result<v1::ListClientsResponse, CallError> {
        let grant =
            administer_clients(call, &self.authenticator, &request, Method::ListClients, None).await?;
        let request = request.into_inner();
        let mut violations = Violations::default();
        let size = convert::page_size(request.page_size, &mut violations);
        let after = match request.page_token.as_str() {
            "" => None,
            token => violations.check("page_token", page_start(token)),
        };
        violations.into_result().map_err(CallError::Invalid)?;
        let (records, more) = self.clients.list(&grant, after.as_ref(), size).await?;
        let mut clients = records.into_iter().map(convert::client_message).collect();
        let last = convert::cut(&mut clients, more, |last: &v1::Client| &last.client_id);
        let next_page_token = last.map(|last| URL_SAFE_NO_PAD.encode(last)).unwrap_or_default();
        Ok(v1::ListClientsResponse { clients, next_page_token })
    }

    async fn update(
        &self,
        call: &Arc<CallContext>,
        request: Request<v1::UpdateClientRequest>,
    ) -> Result<v1::UpdateClientResponse, CallError> {
        let client_id = request.get_ref().client.as_ref().map_or("", |client| &client.client_id);
        let grant =
            administer_clients(call, &self.authenticator, &request, Method::UpdateClient, Some(client_id))
                .await?;
        let message = request.into_inner();
        let ticket = self.ticket(&grant, Method::UpdateClient, &message.request_id, &message);
        let asked = convert::client_update(message).map_err(CallError::Invalid)?;
        call.client(&asked.client_id);
        let clients = Arc::clone(&self.clients);
        let update = async move {
            let change = |current: &ClientSettings| asked.of(current);
            let record = clients.update(&grant, &asked.client_id, asked.base, change).await?;
            Ok(v1::UpdateClientResponse { client: Some(convert::client_message(record)) })
        };
        self.repeats.once_if_named(call, ticket, update).await
    }

    async fn delete(
        &self,
        call: &Arc<CallContext>,
        request: Request<v1::DeleteClientRequest>,
    ) -> Result<v1::DeleteClientResponse, CallError> {
        let client_id = Some(request.get_ref().client_id.as_str());
        let grant =
            administer_clients(call, &self.authenticator, &request, Method::DeleteClient, client_id).await?;
        let message = request.into_inner();
        let ticket = self.ticket(&grant, Method::DeleteClient, &message.request_id, &message);
        let v1::DeleteClientRequest { client_id, request_id, etag } = message;
        let mut violations = Violations::default();
        convert::request_id(&request_id, &mut violations);
        let base = convert::version(&etag, "etag", &mut violations);
        let client_id = required_id(client_id, violations)?;
        call.client(&client_id);
        let clients = Arc::clone(&self.clients);
        let delete = async move {
            clients.delete(&grant, &client_id, base).await?;
            Ok(v1::DeleteClientResponse {})
        };
        self.repeats.once_if_named(call, ticket, delete).await
    }

    async fn rotate_secret(
        &self,
        call: &Arc<CallContext>,
        request: Request<v1::RotateClientSecretRequest>,
    ) -> Result<v1::RotateClientSecretResponse, CallError> {
        let client_id = Some(request.get_ref().client_id.as_str());
        let grant =
            administer_clients(call, &self.authenticator, &request, Method::RotateClientSecret, client_id)
                .await?;
        let message = request.into_inner();
        let ticket = self.ticket(&grant, Method::RotateClientSecret, &message.request_id, &message);
        let v1::RotateClientSecretRequest { client_id, overlap, request_id } = message;
        let mut violations = Violations::default();
        convert::request_id(&request_id, &mut violations);
        let overlap = convert::overlap(overlap, &mut violations);
        let client_id = required_id(client_id, violations)?;
        call.client(&client_id);
        let clients = Arc::clone(&self.clients);
        let rotate = async move {
            let new = clients.rotate_secret(&grant, &client_id, overlap).await?;
            Ok(v1::RotateClientSecretResponse { client_secret: new.secret.reveal().to_owned() })
        };
        self.repeats.once_if_named(call, ticket, rotate).await
    }

    fn ticket(
        &self,
        grant: &Granted<ClientGrant>,
        method: Method,
        request_id: &str,
        request: &impl Message,
    ) -> Option<Ticket> {
        self.repeats.ticket(grant.admin().caller_id(), method, request_id, request)
    }
}

/// The client's id, if nothing else is wrong with the request.
fn required_id(text: String, mut violations: Violations) -> Result<ClientId, CallError> {
    let client_id = convert::client_id(text, &mut violations);
    violations.into_result().map_err(CallError::Invalid)?;
    client_id.ok_or_else(|| CallError::Invalid(Violations::of("client_id", "must be given")))
}

/// Where a page starts: after this client.
fn page_start(token: &str) -> Result<ClientId, &'static str> {
    let text = URL_SAFE_NO_PAD.decode(token).ok().and_then(|octets| String::from_utf8(octets).ok());
    let client_id = text.and_then(|text| ClientId::parse(text).ok());
    client_id.ok_or("must be the `next_page_token` of a page before")
}
