//! rustls configurations from the contents of the TLS files.

use std::sync::Arc;

use rustls::{
    RootCertStore, ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::{NoServerSessionStorage, WebPkiClientVerifier, danger::ClientCertVerifier},
};
use webpki::EndEntityCert;

use super::{
    certificate::Validity,
    files::{ClientAuth, Contents, TlsError, TlsFiles, unreadable},
};

/// Certificates in a chain: leaf, intermediates and root are usually two to four.
const MAX_CHAIN: usize = 10;

/// The configurations of both ports, from one set of files.
pub(super) struct Configs {
    pub(super) grpc: Arc<ServerConfig>,
    pub(super) http: Arc<ServerConfig>,
    /// The validity of the server's certificate, if it could be parsed.
    pub(super) validity: Option<Validity>,
    /// The host names in the server's certificate.
    pub(super) names: Vec<String>,
}

impl Configs {
    pub(super) fn new(contents: &Contents, files: &TlsFiles) -> Result<Self, TlsError> {
        let chain = certificates("tls_cert_file", &files.certificate, &contents.certificate)?;
        let key = || {
            PrivateKeyDer::from_pem_slice(&contents.key)
                .map_err(|error| unreadable("tls_key_file", &files.key, &error))
        };
        let client_verifier = |auth| match (&files.client_ca, &contents.client_ca) {
            (Some(path), Some(pem)) => {
                let authorities = certificates("tls_client_ca_file", path, pem)?;
                let verifier = verifier(authorities, auth)
                    .map_err(|problem| unreadable("tls_client_ca_file", path, &problem))?;
                Ok(Some(verifier))
            }
            _ => Ok(None),
        };
        // Clients would reject a certificate that cannot be parsed, and a chain that is too long.
        if chain.iter().any(|certificate| EndEntityCert::try_from(certificate).is_err()) {
            return Err(unreadable(
                "tls_cert_file",
                &files.certificate,
                &"a certificate in it cannot be read",
            ));
        }
        if chain.len() > MAX_CHAIN {
            let problem = format!("there are more than {MAX_CHAIN} certificates in it");
            return Err(unreadable("tls_cert_file", &files.certificate, &problem));
        }
        let http_verifier = match files.client_certificates_on_http {
            true => client_verifier(ClientAuth::Optional)?,
            false => None,
        };
        let validity = chain.first().and_then(Validity::of);
        let leaf = chain.first().and_then(|leaf| EndEntityCert::try_from(leaf).ok());
        let names = leaf.map(|leaf| leaf.valid_dns_names().map(str::to_owned).collect()).unwrap_or_default();
        Ok(Self {
            grpc: config(chain.clone(), key()?, client_verifier(files.client_auth)?, b"h2")?,
            http: config(chain, key()?, http_verifier, b"http/1.1")?,
            names,
            validity,
        })
    }
}

fn config(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    client_verifier: Option<Arc<dyn ClientCertVerifier>>,
    protocol: &[u8],
) -> Result<Arc<ServerConfig>, TlsError> {
    let pair = |error: rustls::Error| TlsError::Pair(error.to_string());
    let is_mutual = client_verifier.is_some();
    let builder = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(pair)?;
    let builder = match client_verifier {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_single_cert(chain, key).map_err(pair)?;
    config.alpn_protocols = vec![protocol.to_vec()];
    if is_mutual {
        // A resumed session keeps the client's certificate without another check of its expiry and its authority
        // (RFC 8446 section 4.6.1).
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    }
    Ok(Arc::new(config))
}

fn verifier(
    authorities: Vec<CertificateDer<'static>>,
    auth: ClientAuth,
) -> Result<Arc<dyn ClientCertVerifier>, String> {
    let mut roots = RootCertStore::empty();
    for authority in authorities {
        roots.add(authority).map_err(|error| error.to_string())?;
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let builder = match auth {
        ClientAuth::Optional => builder.allow_unauthenticated(),
        ClientAuth::Required => builder,
    };
    builder.build().map_err(|error| error.to_string())
}

fn certificates(
    setting: &'static str,
    path: &std::path::Path,
    pem: &[u8],
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let chain = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| unreadable(setting, path, &error))?;
    // The parser ignores text without PEM sections.
    if chain.is_empty() {
        return Err(unreadable(setting, path, &"there is no certificate in it"));
    }
    Ok(chain)
}
