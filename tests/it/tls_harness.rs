//! An authority of the test's own, and servers and clients that trust it.

use std::{fs, path::Path, sync::Arc};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use tempfile::TempDir;
use tokend::{
    listen::{ClientAuth, TlsFiles},
    model::ClientSecret,
    server::Settings,
    store,
};
use tonic::transport::{Certificate, ClientTlsConfig, Identity};

use crate::harness::{TestClient, TestServer, manual_clock, settings};

/// Makes certificates.
pub struct TestAuthority {
    issuer: Issuer<'static, KeyPair>,
    pub pem: String,
}

/// A certificate with its private key, in PEM.
#[derive(Clone)]
pub struct Pair {
    pub certificate: String,
    pub key: String,
}

impl Pair {
    /// What shows this certificate.
    pub fn server_config(&self) -> ServerConfig {
        let chain = vec![CertificateDer::from_pem_slice(self.certificate.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        builder.unwrap().with_no_client_auth().with_single_cert(chain, key).unwrap()
    }
}

impl TestAuthority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        params.distinguished_name.push(DnType::CommonName, "an authority");
        let key = KeyPair::generate().unwrap();
        let pem = pem(params.self_signed(&key).unwrap().der());
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// A server's certificate for `localhost` and 127.0.0.1.
    pub fn server(&self) -> Pair {
        self.server_with(&["localhost", "127.0.0.1"], |_| {})
    }

    /// A server's certificate for these names, as it is made by `change`.
    pub fn server_with(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Pair {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        change(&mut params);
        self.sign(&params)
    }

    /// A client's certificate with this URI.
    pub fn client(&self, uri: &str) -> Pair {
        self.client_with(|params| params.subject_alt_names = vec![SanType::URI(uri.try_into().unwrap())])
    }

    /// A client's certificate as it is made by `change`.
    pub fn client_with(&self, change: impl FnOnce(&mut CertificateParams)) -> Pair {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        change(&mut params);
        self.sign(&params)
    }

    fn sign(&self, params: &CertificateParams) -> Pair {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Pair {
            certificate: pem(certificate.der()),
            key: crate::tls::pem("PRIVATE KEY", &key.serialize_der()),
        }
    }

    /// What trusts the authority's servers, with or without a certificate of its own.
    pub fn trust(&self, pair: Option<&Pair>) -> ClientTlsConfig {
        let trust =
            ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&self.pem)).domain_name("localhost");
        match pair {
            Some(pair) => trust.identity(Identity::from_pem(&pair.certificate, &pair.key)),
            None => trust,
        }
    }

    /// The same for a bare connection, that speaks one of `versions`.
    pub fn config(
        &self,
        pair: Option<&Pair>,
        versions: &[&'static rustls::SupportedProtocolVersion],
    ) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.pem.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match pair {
            Some(pair) => {
                let chain = vec![CertificateDer::from_pem_slice(pair.certificate.as_bytes()).unwrap()];
                let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
                builder.with_client_auth_cert(chain, key).unwrap()
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        config
    }
}

fn pem(der: &[u8]) -> String {
    crate::tls::pem("CERTIFICATE", der)
}

/// The files of a server's TLS.
pub struct Files {
    pub folder: TempDir,
}

impl Files {
    /// With a certificate of `authority`, which is also whom clients' certificates are trusted of.
    pub fn new(authority: &TestAuthority) -> Self {
        let files = Self { folder: TempDir::new().unwrap() };
        files.write(&authority.server(), &authority.pem);
        files
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn write(&self, server: &Pair, client_ca: &str) {
        for (name, text) in
            [("tls.crt", &*server.certificate), ("tls.key", &*server.key), ("client-ca.crt", client_ca)]
        {
            fs::write(self.path().join(name), text).unwrap();
        }
    }

    /// What a server is told of them.
    pub fn settings(&self, client_auth: ClientAuth) -> TlsFiles {
        TlsFiles {
            certificate: self.path().join("tls.crt"),
            key: self.path().join("tls.key"),
            client_ca: Some(self.path().join("client-ca.crt")),
            client_auth,
            client_certificates_on_http: true,
        }
    }
}

/// A server over TLS that asks for certificates of `authority`, and takes callers without one.
pub async fn tls_server(
    authority: &TestAuthority,
    files: &Files,
    change: impl FnOnce(&mut Settings),
) -> TestServer {
    let mut settings = settings();
    settings.tls = Some(files.settings(ClientAuth::Optional));
    change(&mut settings);
    let store = store::open(&settings.store).await.unwrap();
    TestServer::on_with(store, settings, manual_clock(), Some(authority.trust(None))).await
}

/// What calls `server` on a connection with this certificate, and with this secret on each call.
pub async fn tls_client(
    server: &TestServer,
    authority: &TestAuthority,
    pair: Option<&Pair>,
    secret: Option<ClientSecret>,
) -> TestClient {
    TestClient::with_tls(server.grpc, secret, Some(authority.trust(pair))).await
}
