//! `tokend healthcheck`: for containers, which have no other client at hand.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use bytes::Bytes;
use clap::Args;
use http::{Request, StatusCode, header::HOST};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};

use super::{
    connection::variable,
    failure::Failure,
    healthcheck_tls,
    output::{plain, print},
};

const PATIENCE: Duration = Duration::from_secs(3);

/// What a readiness answer may say at the most.
const LONGEST_ANSWER: usize = 4096;

#[derive(Args)]
#[command(after_help = "Asks GET /readyz on the HTTP port, and waits 3 seconds at the most.
In a Dockerfile: HEALTHCHECK CMD [\"/tokend\", \"healthcheck\"]")]
pub(super) struct Healthcheck {
    /// The server's HTTP address; 0.0.0.0 means this machine [variable: TOKEND_HTTP_ADDR]
    /// [default: 127.0.0.1:8080]
    #[arg(long, value_name = "IP:PORT")]
    http_addr: Option<String>,
    /// Ask over TLS, as the server's setting http_tls wants it. The server's certificate is not verified: nothing secret
    /// is sent, and nothing but readiness is asked [variable: TOKEND_HTTP_TLS]
    #[arg(long)]
    http_tls: bool,
}

type Asked = Result<(StatusCode, String), Box<dyn std::error::Error + Send + Sync>>;

impl Healthcheck {
    pub(super) fn run(self) -> Result<(), Failure> {
        let text = self.http_addr.or_else(|| variable("TOKEND_HTTP_ADDR"));
        let text = text.as_deref().unwrap_or("127.0.0.1:8080");
        let address = text.parse().map(reachable).map_err(|_| {
            Failure::usage("--http-addr or TOKEND_HTTP_ADDR must be an IP address with a port")
        })?;
        let tls = self.http_tls || variable("TOKEND_HTTP_TLS").is_some_and(|text| text == "true");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let asked = runtime.block_on(async { timeout(PATIENCE, ask(address, tls)).await });
        match asked {
            Ok(Ok((StatusCode::OK, _))) => print("ready"),
            Ok(Ok((status, answer))) => {
                // One cause a line.
                let causes: Vec<&str> = answer.lines().collect();
                let causes = plain(&causes.join("; "));
                Err(Failure::refused(format!("not ready: {} {causes}", status.as_u16())))
            }
            Ok(Err(problem)) => Err(Failure::refused(format!("{address}: {problem}"))),
            Err(_) => Err(Failure::refused(format!("{address} did not answer within 3 seconds"))),
        }
    }
}

/// A server that listens everywhere is asked on the loopback address.
const fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

async fn ask(address: SocketAddr, tls: bool) -> Asked {
    let stream = TcpStream::connect(address).await?;
    if tls {
        ask_on(healthcheck_tls::on(stream, address.ip()).await?, address).await
    } else {
        ask_on(stream, address).await
    }
}

async fn ask_on(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static, address: SocketAddr) -> Asked {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::get("/readyz").header(HOST, address.to_string()).body(Empty::<Bytes>::new())?;
    let asked = async {
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), LONGEST_ANSWER).collect().await?.to_bytes();
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    };
    tokio::pin!(asked);
    tokio::select! {
        answer = &mut asked => answer,
        // The connection ends by itself once the answer is there.
        ended = connection => { ended?; asked.await }
    }
}
