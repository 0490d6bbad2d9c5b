//! Who calls: the one step with which every method begins.

use tonic::Request;

use super::{status::CallError, trail};
use crate::{
    access::{self, AdminGrant, Authenticator, Caller, ClientGrant},
    model::{Method, Peer},
    spans,
};

/// The caller, by its credential in the metadata or by its connection; and the call is taken on, if there is room for it.
pub(super) async fn caller<T: Sync>(
    authenticator: &Authenticator,
    request: &Request<T>,
) -> Result<Caller, CallError> {
    let peer = request.extensions().get::<Peer>();
    let step = spans::step("authenticate");
    let caller = authenticator.authenticate(request.metadata().as_ref(), peer).await?;
    drop(step);
    let _step = spans::step("admit");
    trail::admit(&caller).await?;
    Ok(caller)
}

/// Leave for a method that is allowed as a whole.
pub(super) async fn administer<T: Sync>(
    authenticator: &Authenticator,
    request: &Request<T>,
    method: Method,
) -> Result<AdminGrant, CallError> {
    let caller = caller(authenticator, request).await?;
    let grant = access::administer(&caller, method)?;
    trail::allowed(&grant.policy());
    Ok(grant)
}

/// Permission to call a method of ClientService for the client of this id, or for those that the caller may administer.
pub(super) async fn administer_clients<T: Sync>(
    authenticator: &Authenticator,
    request: &Request<T>,
    method: Method,
    client_id: Option<&str>,
) -> Result<ClientGrant, CallError> {
    let caller = caller(authenticator, request).await?;
    let grant = access::administer_clients(&caller, method, client_id)?;
    trail::allowed(&grant.policy(client_id));
    Ok(grant)
}
