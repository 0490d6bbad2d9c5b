//! TLS for the gRPC port: versions 1.3 and 1.2, X25519MLKEM768 preferred.

use std::{path::Path, sync::Arc};

use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use tokio_rustls::TlsAcceptor;

/// The certificate or key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("setting `{setting}`: {path} cannot be read: {problem}")]
    File {
        /// The setting that names it.
        setting: &'static str,
        /// The file.
        path: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The key is not the certificate's, or of an unknown kind.
    #[error("settings `tls_cert_file` and `tls_key_file` do not go together: {0}")]
    Pair(String),
}

/// Accepts TLS with this certificate chain and key, in PEM.
///
/// # Errors
/// When a file cannot be read, or the two do not go together.
pub fn acceptor(certificate: &Path, key: &Path) -> Result<TlsAcceptor, TlsError> {
    let unreadable = |setting, path: &Path, problem: String| TlsError::File {
        setting,
        path: path.display().to_string(),
        problem,
    };
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| unreadable("tls_cert_file", certificate, error.to_string()))?;
    // What is no PEM at all has no sections, which is no error to its reader.
    if chain.is_empty() {
        return Err(unreadable("tls_cert_file", certificate, "there is no certificate in it".to_owned()));
    }
    let key = PrivateKeyDer::from_pem_file(key)
        .map_err(|error| unreadable("tls_key_file", key, error.to_string()))?;
    let pair = |error: rustls::Error| TlsError::Pair(error.to_string());
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(pair)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(pair)?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
