//! Where the package `tokend-client` is tried: its verifiers and sources at a server, with the server's clock, by a way that can be cut.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokend::{clock::Clock as _, model::UnixTime};
use tokend_client::{
    Claims, Credential, TokenSource, TokenSourceBuilder, Verifier, VerifierBuilder, VerifyError,
};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tonic::transport::Channel;

use crate::harness::{ISSUER, ManualClock, TestServer};

impl tokend_client::Clock for ManualClock {
    fn now(&self) -> UnixTime {
        tokend::clock::Clock::now(self)
    }

    fn monotonic(&self) -> Duration {
        tokend::clock::Clock::monotonic(self)
    }
}

pub fn clock(server: &TestServer) -> Arc<dyn tokend_client::Clock> {
    assert!(server.clock.now().seconds() > 0);
    Arc::<ManualClock>::clone(&server.clock)
}

pub fn channel(addr: SocketAddr) -> Channel {
    tokend_client::connect(&format!("http://{addr}")).unwrap()
}

/// An offline verifier for `orders` that watches by this address.
pub fn watching(server: &TestServer, addr: SocketAddr) -> VerifierBuilder {
    Verifier::watch(channel(addr)).issuer(ISSUER).audience("orders").clock(clock(server))
}

/// One that has the state.
pub async fn offline(server: &TestServer) -> Verifier {
    let verifier = watching(server, server.grpc).build().unwrap();
    verifier.ready().await;
    verifier
}

/// One that calls, as the client that may do everything.
pub fn online(server: &TestServer) -> Verifier {
    let verifier = Verifier::online(channel(server.grpc), root(server)).audience("orders");
    verifier.clock(clock(server)).build().unwrap()
}

/// The secret of the client that may do everything.
pub fn root(server: &TestServer) -> Credential {
    Credential::secret(server.root.secret.as_ref().unwrap().reveal())
}

/// A source of tokens for `orders` that live ten minutes.
pub fn source(server: &TestServer, addr: SocketAddr, credential: Credential) -> TokenSourceBuilder {
    let source = TokenSource::builder(channel(addr), credential).audience("orders").scope("read");
    source.ttl(Duration::from_secs(600)).clock(clock(server))
}

/// The reason for which a token is rejected.
pub fn rejected(result: Result<Claims, VerifyError>) -> &'static str {
    match result {
        Err(VerifyError::Rejected { reason, .. }) => reason.name(),
        other => panic!("{other:?}"),
    }
}

/// A way to a server that can be cut.
pub struct Way {
    pub addr: SocketAddr,
    open: watch::Sender<bool>,
}

impl Way {
    pub async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (open, state) = watch::channel(true);
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let mut state = state.clone();
                tokio::spawn(async move {
                    let pass = async {
                        let mut server = TcpStream::connect(server).await?;
                        copy_bidirectional(&mut client, &mut server).await
                    };
                    // Whichever ends first closes both sides.
                    tokio::select! {
                        _ = pass => {}
                        _ = state.wait_for(|open| !open) => {}
                    }
                });
            }
        });
        Self { addr, open }
    }

    /// Closes every connection, and each new one at once.
    pub fn cut(&self) {
        self.open.send_replace(false);
    }

    pub fn mend(&self) {
        self.open.send_replace(true);
    }
}
