//! `tokend healthcheck`: a readiness check for containers that have no other HTTP client.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use clap::Args;
use http::{Request, StatusCode, header::HOST};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::cli::{
    error::CliError,
    output::{escaped, print},
};
use crate::config::Inputs;

const PATIENCE: Duration = Duration::from_secs(3);

/// The longest response, in bytes.
const LONGEST_RESPONSE: usize = 4096;

#[derive(Args)]
#[command(
    after_help = "Calls GET /readyz on the HTTP port, with a timeout of 3 seconds. Uses the settings http_addr and http_tls of
`tokend serve`, from a flag, a variable or the configuration file.
In a Dockerfile: HEALTHCHECK CMD [\"/tokend\", \"healthcheck\"]"
)]
pub(in crate::cli) struct Healthcheck {
    /// Read the configuration from this TOML file [variable: TOKEND_CONFIG]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Set the server's HTTP address; `0.0.0.0` and `[::]` mean this machine [variable: TOKEND_HTTP_ADDR]
    /// [default: 127.0.0.1:8080]
    #[arg(long, value_name = "IP:PORT")]
    http_addr: Option<String>,
    /// Use TLS, as the server's setting http_tls requires. The command does not verify the server's certificate, because it
    /// sends no secret [variable: TOKEND_HTTP_TLS]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    http_tls: Option<String>,
}

pub(super) type CheckResult = Result<(StatusCode, String), Box<dyn std::error::Error + Send + Sync>>;

impl Healthcheck {
    pub(in crate::cli) fn run(self) -> Result<(), CliError> {
        let flags = [("http_addr", self.http_addr), ("http_tls", self.http_tls)];
        let flags = flags.into_iter().filter_map(|(name, text)| Some((name, text?))).collect();
        let (address, tls) = Inputs::of_process(flags, self.config).resolve().http_port()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let checked = runtime.block_on(async { timeout(PATIENCE, check_any(address, tls)).await });
        match checked {
            Ok(Ok((StatusCode::OK, _))) => print("ready"),
            Ok(Ok((status, body))) => {
                // The body has one cause in each line.
                let causes: Vec<&str> = body.lines().collect();
                let causes = escaped(&causes.join("; "));
                Err(CliError::failed(format!("not ready: {} {causes}", status.as_u16())))
            }
            Ok(Err(problem)) => Err(CliError::failed(problem)),
            Err(_) => Err(CliError::failed(format!("{address} did not respond within 3 seconds"))),
        }
    }
}

/// The loopback addresses for a server that listens on all addresses: one that listens on `[::]` may take only IPv6.
fn reachable(address: SocketAddr) -> Vec<SocketAddr> {
    let loopback = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    match address.ip() {
        ip if ip.is_unspecified() => loopback.map(|ip| SocketAddr::new(ip, address.port())).to_vec(),
        _ => vec![address],
    }
}

/// Checks the first address that accepts a connection. The error names every address.
pub(super) async fn check_any(address: SocketAddr, tls: bool) -> CheckResult {
    let mut problems = Vec::new();
    for address in reachable(address) {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                return check(stream, address, tls)
                    .await
                    .map_err(|problem| format!("{address}: {problem}").into());
            }
            Err(error) => problems.push(format!("{address}: {error}")),
        }
    }
    Err(problems.join("; ").into())
}

async fn check(stream: TcpStream, address: SocketAddr, tls: bool) -> CheckResult {
    if tls {
        check_on(connect_tls(stream, address.ip()).await?, address).await
    } else {
        check_on(stream, address).await
    }
}

async fn check_on(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    address: SocketAddr,
) -> CheckResult {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::get("/readyz").header(HOST, address.to_string()).body(Empty::<Bytes>::new())?;
    let checked = async {
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), LONGEST_RESPONSE).collect().await?.to_bytes();
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    };
    tokio::pin!(checked);
    tokio::select! {
        checked = &mut checked => checked,
        // The connection may end before the response is read.
        ended = connection => { ended?; checked.await }
    }
}

/// Connects with TLS to the own machine, whose certificate names the host that other machines use. Only this check may do that.
async fn connect_tls(stream: TcpStream, address: IpAddr) -> io::Result<TlsStream<TcpStream>> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    TlsConnector::from(Arc::new(config)).connect(ServerName::from(address), stream).await
}

/// Accepts any certificate; the server must still have its key.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        webpki::EndEntityCert::try_from(certificate)
            .map(|_| ServerCertVerified::assertion())
            .map_err(|_| CertificateError::BadEncoding.into())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
