//! Permission for administrative methods.

use std::ops::Deref;

use tonic::Request;

use super::{call::CallContext, status::CallError};
use crate::{
    access::{self, AdminGrant, Authenticator, Caller, ClientGrant},
    model::Method,
};

/// A grant with the caller's permit: what is done with the grant counts as the caller's until it ends, even if the caller disconnects.
#[derive(Debug)]
pub(super) struct Granted<G> {
    grant: G,
    _caller: Caller,
}

impl<G> Deref for Granted<G> {
    type Target = G;

    fn deref(&self) -> &G {
        &self.grant
    }
}

/// Permission to call a method that is allowed as a whole.
pub(super) async fn administer<T>(
    call: &CallContext,
    authenticator: &Authenticator,
    request: &Request<T>,
    method: Method,
) -> Result<Granted<AdminGrant>, CallError> {
    let caller = call.caller(authenticator, request.metadata().as_ref()).await?;
    let grant = access::administer(caller.client(), method)?;
    call.allowed(grant.policy());
    Ok(Granted { grant, _caller: caller })
}

/// Permission to call a method of ClientService for the client of this id, or for those that the caller may administer.
pub(super) async fn administer_clients<T>(
    call: &CallContext,
    authenticator: &Authenticator,
    request: &Request<T>,
    method: Method,
    client_id: Option<&str>,
) -> Result<Granted<ClientGrant>, CallError> {
    let caller = call.caller(authenticator, request.metadata().as_ref()).await?;
    let grant = access::administer_clients(caller.client(), method, client_id)?;
    call.allowed(grant.policy(client_id));
    Ok(Granted { grant, _caller: caller })
}
