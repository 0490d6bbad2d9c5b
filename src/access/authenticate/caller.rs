//! Who calls.

use std::{net::IpAddr, sync::Arc};

use crate::model::{AuthenticationMethod, Client};

/// The client behind one call. It exists only after its credential was checked.
#[derive(Debug, Clone)]
pub struct Caller {
    pub(super) client: Arc<Client>,
    pub(super) method: AuthenticationMethod,
    pub(super) address: Option<IpAddr>,
}

impl Caller {
    /// The client.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The client, for a grant to keep.
    pub(in crate::access) const fn shared_client(&self) -> &Arc<Client> {
        &self.client
    }

    /// How it proved who it is.
    pub const fn method(&self) -> AuthenticationMethod {
        self.method
    }

    /// Where it calls from, if the transport tells.
    pub const fn address(&self) -> Option<IpAddr> {
        self.address
    }
}
