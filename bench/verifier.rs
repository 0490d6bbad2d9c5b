//! Many watches of the trust bundle in one process: each applies and acknowledges every update, and prints a line for each change.
//! `bench/watchers` runs it. A service uses the package `tokend-client`.
//!
//!     cargo run --example verifier -- --id gateway http://127.0.0.1:50051

#![expect(clippy::print_stdout, reason = "the program prints its updates")]

use std::{collections::HashSet, error::Error, hash::BuildHasher as _, time::Duration};

use clap::Parser;
use tokend::proto::v1::{
    Revocation, WatchTrustBundleRequest, WatchTrustBundleResponse,
    trust_bundle_service_client::TrustBundleServiceClient, watch_trust_bundle_response::Update,
};
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};

/// The server sends a heartbeat every ten seconds. After this time without a response the connection is considered lost.
const SILENCE: Duration = Duration::from_secs(30);
const SHORTEST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Watches the trust bundle of a tokend server.
#[derive(Parser)]
struct Arguments {
    /// The server: http://HOST:PORT or https://HOST:PORT
    server: Endpoint,
    /// A name of this verifier: unique, and the same after a restart
    #[arg(long)]
    id: String,
    /// The number of verifiers, named ID-1, ID-2 and so on, to put load on the server
    #[arg(long, default_value_t = 1)]
    count: usize,
    /// The number of verifiers per connection; by default a server accepts 256 calls on a connection
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..))]
    share: u16,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let Arguments { mut server, id, count, share } = Arguments::parse();
    if server.uri().scheme_str() == Some("https") {
        server = server.tls_config(ClientTlsConfig::new().with_native_roots())?;
    }
    let ids: Vec<String> =
        if count == 1 { vec![id] } else { (1..=count).map(|number| format!("{id}-{number}")).collect() };
    let mut verifiers = JoinSet::new();
    for sharing in ids.chunks(share.into()) {
        let channel = server.connect_lazy();
        for id in sharing {
            verifiers.spawn(Verifier { id: id.clone(), ..Verifier::default() }.run(channel.clone()));
        }
    }
    while verifiers.join_next().await.is_some() {}
    Ok(())
}

/// What a verifier holds.
#[derive(Default)]
struct Verifier {
    id: String,
    /// The change that it holds, and goes on from.
    sequence: i64,
    /// The JWK set, to be given to a JWT library.
    jwks_json: String,
    /// Tokens that must be rejected although their signature is valid.
    revoked: HashSet<Revocation>,
    /// The number of watches that ended since the last response of the server.
    failures: u32,
}

impl Verifier {
    /// Watches forever. The state survives a lost connection, and the next watch resumes from it.
    async fn run(mut self, channel: Channel) {
        loop {
            match self.watch(channel.clone()).await {
                Ok(()) => println!("{}: the server ended the watch", self.id),
                Err(error) => println!("{}: the watch ended: {error}", self.id),
            }
            let pause = LONGEST_PAUSE.min(SHORTEST_PAUSE * 2_u32.saturating_pow(self.failures));
            self.failures += 1;
            sleep(pause.mul_f64(self.jitter())).await;
        }
    }

    /// Runs one watch until it ends.
    async fn watch(&mut self, channel: Channel) -> Result<(), Box<dyn Error + Send + Sync>> {
        let (requests, sent) = mpsc::channel(1);
        let (after_sequence, verifier_id) = (self.sequence, self.id.clone());
        let first = WatchTrustBundleRequest { after_sequence, verifier_id, ..Default::default() };
        requests.send(first).await?;
        let mut client = TrustBundleServiceClient::new(channel);
        let mut answers =
            timeout(SILENCE, client.watch_trust_bundle(ReceiverStream::new(sent))).await??.into_inner();
        while let Some(answer) = timeout(SILENCE, answers.message()).await?? {
            self.failures = 0;
            let held_sequence = answer.sequence;
            if self.take(answer) {
                requests.send(WatchTrustBundleRequest { held_sequence, ..Default::default() }).await?;
            }
        }
        Ok(())
    }

    /// Applies a response. Returns whether to acknowledge it.
    fn take(&mut self, answer: WatchTrustBundleResponse) -> bool {
        // The clock of the server, so that the clock of this machine does not matter.
        let now = answer.as_of_time.unwrap_or_default().seconds;
        self.revoked.retain(|revocation| revocation.expire_time.is_none_or(|end| end.seconds >= now));
        self.sequence = answer.sequence;
        match answer.update {
            Some(Update::JwksJson(jwks_json)) => self.jwks_json = jwks_json,
            Some(Update::Revocation(revocation)) => _ = self.revoked.insert(revocation),
            Some(Update::SnapshotEnd(_) | Update::Heartbeat(_)) | None => return false,
        }
        println!(
            "{}: sequence {}: a JWK set of {} bytes, {} revocations",
            self.id,
            self.sequence,
            self.jwks_json.len(),
            self.revoked.len(),
        );
        true
    }

    /// A factor between 0.5 and 1.5, so that verifiers do not all reconnect at the same time.
    fn jitter(&self) -> f64 {
        let random = std::hash::RandomState::new().hash_one(&self.id);
        0.5 + f64::from(u16::try_from(random % 1000).unwrap_or_default()) / 1000.0
    }
}
