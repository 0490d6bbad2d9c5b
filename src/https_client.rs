//! The HTTPS client for other servers: Vault, and the JWK sets of trusted issuers.
//!
//! May import: `files`. Invariant: TLS 1.2 or later, and no redirects.

use std::{
    io::{self, Read as _},
    path::Path,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use http_body_util::Full;
use hyper_rustls::{ConfigBuilderExt as _, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use zeroize::Zeroizing;

use crate::files;

/// The limit of a token file, in bytes. Tokens of Vault have about 100 bytes, tokens of Kubernetes about 1,000.
const LONGEST_TOKEN: u64 = 16 * 1024;

/// An HTTP client. It follows no redirects, and pools no connections because requests are rare.
pub(crate) type HttpsClient = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// Why a client cannot be created.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HttpsError {
    /// The trusted certificate authorities cannot be read.
    #[error("{0}")]
    Authorities(String),
    /// The TLS settings are invalid.
    #[error("{0}")]
    Tls(String),
}

/// Creates a client that trusts the certificate authorities in `ca_file`, by default those of the system. With `plain` the client is for
/// HTTP without TLS. Blocks: it reads files.
pub(crate) fn https_client(
    plain: bool,
    ca_file: Option<&Path>,
    connect_timeout: Duration,
) -> Result<HttpsClient, HttpsError> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_connect_timeout(Some(connect_timeout));
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(tls(plain, ca_file)?)
        .https_or_http()
        .enable_http1()
        .wrap_connector(tcp);
    Ok(Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector))
}

fn tls(plain: bool, ca_file: Option<&Path>) -> Result<ClientConfig, HttpsError> {
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| HttpsError::Tls(error.to_string()))?;
    let builder = match ca_file {
        Some(path) => builder.with_root_certificates(
            authorities(path)
                .map_err(|problem| HttpsError::Authorities(format!("{}: {problem}", path.display())))?,
        ),
        // Without TLS, the system need not have any certificate authorities.
        None if plain => builder.with_root_certificates(RootCertStore::empty()),
        None => builder.with_native_roots().map_err(|error| {
            HttpsError::Authorities(format!("the system's certificate authorities cannot be read: {error}"))
        })?,
    };
    Ok(builder.with_no_client_auth())
}

fn authorities(path: &Path) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| error.to_string())? {
        let certificate = certificate.map_err(|error| error.to_string())?;
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    if roots.is_empty() { Err("the file contains no certificate".to_owned()) } else { Ok(roots) }
}

/// Reads the token in a file. An error contains nothing of the file.
pub(crate) async fn read_token(path: &Path) -> Result<Zeroizing<String>, String> {
    let place = path.to_owned();
    let read = move || -> io::Result<Zeroizing<String>> {
        let mut text = Zeroizing::new(String::new());
        files::open(&place)?.take(LONGEST_TOKEN).read_to_string(&mut text)?;
        Ok(text)
    };
    let read = tokio::task::spawn_blocking(read).await.map_err(io::Error::other).flatten();
    let text = read.map_err(|error| format!("{} cannot be read: {error}", files::printable(path)))?;
    let token = Zeroizing::new(text.trim().to_owned());
    if token.is_empty() { Err(format!("{} is empty", files::printable(path))) } else { Ok(token) }
}

/// The texts of an error and of its sources: the texts of hyper alone name only the step that failed.
pub(crate) fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(&format!(": {error}"));
        source = error.source();
    }
    text
}
