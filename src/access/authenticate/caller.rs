//! The authenticated and the admitted caller.

use std::sync::Arc;

use crate::{
    admission::{Admission, CallClass, ClientTraffic, Overloaded, Permit},
    model::{AuthenticationMethod, Client, ClientId},
};

/// An authenticated client. It has no access to its permissions until its call is admitted.
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

    /// The type of the credential.
    pub const fn method(&self) -> AuthenticationMethod {
        self.method
    }

    /// Admits the call, which may wait for a permit of its class.
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

/// The client of an admitted call. It holds the call's permit, and alone gives access to the client's permissions.
#[derive(Debug)]
pub(crate) struct Caller {
    authenticated: Authenticated,
    permit: Permit,
}

impl Caller {
    pub(crate) const fn client(&self) -> &Arc<Client> {
        &self.authenticated.client
    }

    /// The authenticated client, without the permit.
    pub(crate) fn authenticated(&self) -> Authenticated {
        self.authenticated.clone()
    }

    /// The call's permit.
    pub(crate) const fn permit(&mut self) -> &mut Permit {
        &mut self.permit
    }
}
