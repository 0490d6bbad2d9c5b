//! Permission for administrative methods.

use std::ops::Deref;

use tonic::Request;

use crate::{
    access::{self, AdminGrant, Authenticator, Caller, ClientGrant},
    grpc::{call::CallContext, status::CallError},
    model::Method,
};

/// A grant with the caller's permit: the action counts against the caller's limits until it ends, even if the caller disconnects.
#[derive(Debug)]
pub(super) struct Granted<G> {
    grant: G,
    _permit: Caller,
}

impl<G> Deref for Granted<G> {
    type Target = G;

    fn deref(&self) -> &G {
        &self.grant
    }
}

/// Permission to call an administrative method.
pub(super) async fn administer<T>(
    call: &CallContext,
    authenticator: &Authenticator,
    request: &Request<T>,
    method: Method,
) -> Result<Granted<AdminGrant>, CallError> {
    let caller = call.caller(authenticator, request.metadata().as_ref()).await?;
    let grant = access::administer(caller.client(), method)?;
    call.note_policy(grant.policy());
    Ok(Granted { grant, _permit: caller })
}

/// Permission to call a method of ClientService for the client with this id; without an id, for every client that the caller may
/// administer.
pub(super) async fn administer_clients<T>(
    call: &CallContext,
    authenticator: &Authenticator,
    request: &Request<T>,
    method: Method,
    client_id: Option<&str>,
) -> Result<Granted<ClientGrant>, CallError> {
    let caller = call.caller(authenticator, request.metadata().as_ref()).await?;
    let grant = access::administer_clients(caller.client(), method, client_id)?;
    call.note_policy(grant.policy(client_id));
    Ok(Granted { grant, _permit: caller })
}
