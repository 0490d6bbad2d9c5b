//! Connections to tokend.

use tonic::transport::{Channel, ClientTlsConfig, Endpoint};

use crate::BuildError;

/// A connection to the tokend server at `url`: `https://HOST:PORT`, which is verified with the certificate authorities of the system, or
/// `http://HOST:PORT`. The connection is established with the first call, and again after it was lost.
///
/// For other certificate authorities, or for a client certificate, build an [`Endpoint`] yourself.
///
/// # Errors
/// [`BuildError::Url`] if `url` is not such a URL, or TLS cannot be set up. [`BuildError::NoRuntime`] outside of a Tokio runtime.
pub fn connect(url: &str) -> Result<Channel, BuildError> {
    let invalid = |problem: String| BuildError::Url { url: url.to_owned(), problem };
    let mut endpoint = Endpoint::from_shared(url.to_owned()).map_err(|error| invalid(error.to_string()))?;
    match endpoint.uri().scheme_str() {
        Some("http") => {}
        Some("https") => {
            let tls = ClientTlsConfig::new().with_native_roots();
            endpoint = endpoint.tls_config(tls).map_err(|error| invalid(error.to_string()))?;
        }
        _ => return Err(invalid("must begin with https:// or http://".to_owned())),
    }
    in_runtime()?;
    Ok(endpoint.connect_lazy())
}

/// Checks that tasks can be spawned, which panics otherwise.
pub(crate) fn in_runtime() -> Result<(), BuildError> {
    tokio::runtime::Handle::try_current().map(|_| ()).map_err(|_| BuildError::NoRuntime)
}
