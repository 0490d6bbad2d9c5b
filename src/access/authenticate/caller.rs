//! The client that calls.

use std::sync::Arc;

use crate::{
    admission::{Admission, CallClass, ClientTraffic, Overloaded, Permit},
    model::{AuthenticationMethod, Client, ClientId},
};

/// A client whose credential was checked. It may do nothing until its call is admitted.
#[derive(Debug, Clone)]
pub struct Authenticated {
    pub(super) client: Arc<Client>,
    pub(super) method: AuthenticationMethod,
}

impl Authenticated {
    /// The client's id.
    pub fn client_id(&self) -> &ClientId {
        &self.client.client_id
    }

    /// The kind of credential.
    pub const fn method(&self) -> AuthenticationMethod {
        self.method
    }

    /// Admits the call, which may have to wait for a permit of its class.
    pub(crate) async fn admit(
        self,
        admission: &Admission,
        traffic: &Arc<ClientTraffic>,
        class: Option<CallClass>,
    ) -> Result<Caller, Overloaded> {
        let permit = admission.admit(&self.client, traffic, class).await?;
        Ok(Caller { authenticated: self, permit })
    }
}

/// The client behind a call that was admitted. It holds the call's permit, and there is no other way to a client's permissions.
#[derive(Debug)]
pub(crate) struct Caller {
    authenticated: Authenticated,
    permit: Permit,
}

impl Caller {
    /// The client.
    pub(crate) const fn client(&self) -> &Arc<Client> {
        &self.authenticated.client
    }

    /// Who calls, without the permit.
    pub(crate) fn authenticated(&self) -> Authenticated {
        self.authenticated.clone()
    }

    /// The call's permit.
    pub(crate) const fn permit(&mut self) -> &mut Permit {
        &mut self.permit
    }
}
