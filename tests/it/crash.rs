//! A server that is killed: what it acknowledged is there when it is started again.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
};

use tempfile::TempDir;
use tokend::{
    model::ClientSecret,
    proto::v1::{self, revoke_token_request::Target},
};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::{
    harness::{TestClient, accepted, assert_refused},
    process::{Serve, init},
    revoke_calls::revoke,
};

const WRITERS: usize = 4;
const ROUNDS: usize = 5;

/// Something that the server said is done.
enum Acknowledged {
    Client(String, ClientSecret),
    Token(String),
    Revoked(String),
}

#[tokio::test]
async fn what_was_acknowledged_outlives_a_kill() {
    let folder = TempDir::new().unwrap();
    let admin = ClientSecret::from_text(init(folder.path()));
    let (mut clients, mut tokens, mut revoked, mut jwks) = (Vec::new(), Vec::new(), Vec::new(), None);
    for round in 0..=ROUNDS {
        let server = Serve::start(folder.path(), &["--allow-plaintext"]);
        let found = jwk_set(server.http);
        assert_eq!(*jwks.get_or_insert_with(|| found.clone()), found, "round {round}: the keys are the same");
        let admin = TestClient::new(server.grpc, Some(admin.clone())).await;
        all_there(&admin, &clients, &tokens).await;
        all_revoked(&admin, &clients, &revoked).await;
        if round == ROUNDS {
            break;
        }

        let (done, mut acknowledged) = unbounded_channel();
        for writer in 0..WRITERS {
            tokio::spawn(write(admin.clone(), format!("round{round}-writer{writer}"), done.clone()));
        }
        drop(done);
        // Killed while every writer waits for an answer: each at another place of its work.
        let enough = 11 + 7 * round;
        let mut server = Some(server.process.running);
        let mut count = 0;
        while let Some(one) = acknowledged.recv().await {
            match one {
                Acknowledged::Client(client_id, secret) => clients.push((client_id, secret)),
                Acknowledged::Token(token) => tokens.push(token),
                Acknowledged::Revoked(token) => revoked.push(token),
            }
            count += 1;
            if count == enough {
                server.take().unwrap().signal("-KILL");
            }
        }
        assert!(server.is_none(), "round {round}: the writers ended before the kill");
    }
    assert!([clients.len(), tokens.len(), revoked.len()].iter().all(|&count| count >= 3 * ROUNDS));
}

/// Registers clients, issues two tokens as each and revokes one of them, until the server is gone.
async fn write(admin: TestClient, name: String, done: UnboundedSender<Acknowledged>) {
    for number in 0.. {
        let client_id = format!("{name}-{number}");
        let client = v1::Client {
            client_id: client_id.clone(),
            permissions: Some(v1::Permissions {
                methods: vec!["TokenService/*".to_owned()],
                audiences: vec!["orders".to_owned()],
                scopes: vec!["read".to_owned()],
                subjects: vec!["alice".to_owned()],
                verify_audiences: vec!["orders".to_owned()],
                max_ttl: Some(prost_types::Duration { seconds: 3600, nanos: 0 }),
                ..v1::Permissions::default()
            }),
            ..v1::Client::default()
        };
        let request = v1::CreateClientRequest { client: Some(client), request_id: String::new() };
        let Some(created) = unless_gone(admin.clients().create_client(admin.request(request)).await) else {
            return;
        };
        let secret = ClientSecret::from_text(created.into_inner().client_secret);
        done.send(Acknowledged::Client(client_id, secret.clone())).unwrap();
        let client = TestClient { channel: admin.channel.clone(), secret: Some(secret) };
        let Some(issued) = unless_gone(client.issue(crate::harness::for_alice()).await) else { return };
        done.send(Acknowledged::Token(issued.access_token)).unwrap();
        let Some(issued) = unless_gone(client.issue(crate::harness::for_alice()).await) else { return };
        let target = Target::Token(issued.access_token.clone());
        let Some(_) = unless_gone(revoke(&client, target).await) else { return };
        done.send(Acknowledged::Revoked(issued.access_token)).unwrap();
    }
}

/// The answer; none when the connection broke. A refusal of the server's own has details.
fn unless_gone<T>(answer: Result<T, tonic::Status>) -> Option<T> {
    if let Err(status) = &answer {
        assert!(status.get_details_error_info().is_none(), "refused: {status:?}");
    }
    answer.ok()
}

async fn all_there(admin: &TestClient, clients: &[(String, ClientSecret)], tokens: &[String]) {
    for (client_id, secret) in clients {
        let request = v1::GetClientRequest { client_id: client_id.clone() };
        accepted(admin.clients().get_client(admin.request(request)).await);
        let client = TestClient { channel: admin.channel.clone(), secret: Some(secret.clone()) };
        let token = client.token().await;
        accepted(client.check(&token).await);
    }
    let Some((_, secret)) = clients.first() else { return };
    let client = TestClient { channel: admin.channel.clone(), secret: Some(secret.clone()) };
    for token in tokens {
        accepted(client.check(token).await);
    }
}

async fn all_revoked(admin: &TestClient, clients: &[(String, ClientSecret)], tokens: &[String]) {
    let Some((_, secret)) = clients.first() else { return };
    let client = TestClient { channel: admin.channel.clone(), secret: Some(secret.clone()) };
    for token in tokens {
        assert_refused(client.check(token).await, Code::InvalidArgument, "TOKEN_REVOKED");
    }
}

fn jwk_set(http: SocketAddr) -> serde_json::Value {
    let mut stream = TcpStream::connect(http).unwrap();
    stream
        .write_all(b"GET /.well-known/jwks.json HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let set: serde_json::Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
    assert_eq!(set["keys"].as_array().map(Vec::len), Some(2), "{set}");
    set
}
