//! A client that is disabled or deleted: the next call on an open connection is refused, by whichever credential.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use prost_types::FieldMask;
use tokend::{
    model::{Algorithm, AssertionKeys, AuthenticationMethod, ClientSecret, SecretRecord},
    proto::v1,
};
use tonic::{Code, Request, Status};

use crate::{
    caller_tokens::{claims, public, put},
    caller_workloads::{by_cluster, cluster_keys, pod, trusting, workload},
    harness::{START, TestClient, TestServer, accepted, assert_refused, for_alice},
    jwks_stand_in::{Answer, JwksStandIn},
    made_keys::made,
    store_backends::at,
    tls_harness::{Files, TestAuthority, tls_client, tls_server},
};

const INVALID: &str = "CREDENTIALS_INVALID";
const WEB: &str = "spiffe://test/web";
const SECRET: &str = "tkd_web_a-secret-of-the-tests";

/// What the client `web` can present.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Bearer,
    Basic,
    Assertion,
    Workload,
    Certificate,
}

const KINDS: [Kind; 5] = [Kind::Bearer, Kind::Basic, Kind::Assertion, Kind::Workload, Kind::Certificate];

/// A server that the client has a connection to for each kind of credential.
struct Story {
    _files: Files,
    _issuer: JwksStandIn,
    server: TestServer,
    connections: Vec<(Kind, TestClient)>,
}

impl Story {
    async fn new() -> Self {
        let authority = TestAuthority::new();
        let (files, issuer) = (Files::new(&authority), JwksStandIn::start(Answer::Set(cluster_keys())).await);
        let server = tls_server(&authority, &files, trusting(&issuer.uri())).await;
        let mut settings = workload(&[("level", &["3"])]);
        settings.authentication.methods = AuthenticationMethod::ALL.to_vec();
        settings.authentication.certificate.uris = vec![WEB.to_owned()];
        settings.authentication.unix_peer.uids = vec![1000];
        let keys = serde_json::json!({"keys": [public(made(Algorithm::Es256), "k")]}).to_string();
        settings.authentication.assertion_keys = Some(AssertionKeys::JwksJson(keys));
        let secret = SecretRecord {
            secret_id: "1".to_owned(),
            digest: ClientSecret::from_text(SECRET).digest(),
            create_time: at(START),
            expire_time: None,
        };
        put(&server.store, "web", settings, vec![secret]).await;
        server.rounds.make().await.unwrap();
        let pair = authority.client(WEB);
        let mut connections = Vec::new();
        for kind in KINDS {
            let pair = (kind == Kind::Certificate).then_some(&pair);
            connections.push((kind, tls_client(&server, &authority, pair, None).await));
        }
        Self { _files: files, _issuer: issuer, server, connections }
    }

    /// A call by each credential, each on its own connection, that is open since the beginning.
    async fn calls(&self, round: &str) -> Vec<(Kind, Result<(), Status>)> {
        let mut answers = Vec::new();
        for (kind, client) in &self.connections {
            let authorization = match kind {
                Kind::Bearer => format!("Bearer {SECRET}"),
                Kind::Basic => format!("Basic {}", STANDARD.encode(format!("web:{SECRET}"))),
                Kind::Assertion => {
                    format!("Bearer {}", made(Algorithm::Es256).token("k", &claims("web", round)))
                }
                Kind::Workload => format!("Bearer {}", by_cluster(&pod())),
                Kind::Certificate => String::new(),
            };
            let mut request = Request::new(for_alice());
            if !authorization.is_empty() {
                request.metadata_mut().insert("authorization", authorization.parse().unwrap());
            }
            answers.push((*kind, client.tokens().issue_token(request).await.map(|_| ())));
        }
        answers
    }

    async fn all_pass(&self, round: &str) {
        for (kind, answer) in self.calls(round).await {
            assert!(answer.is_ok(), "{round}, {kind:?}: {answer:?}");
        }
    }

    async fn disable(&self, disabled: bool) {
        let root = &self.server.root;
        let update = v1::UpdateClientRequest {
            client: Some(v1::Client { client_id: "web".to_owned(), disabled, ..Default::default() }),
            update_mask: Some(FieldMask { paths: vec!["disabled".to_owned()] }),
            ..Default::default()
        };
        accepted(root.clients().update_client(root.request(update)).await);
    }
}

#[tokio::test]
async fn no_credential_outlives_its_client_on_an_open_connection() {
    let story = Story::new().await;
    story.all_pass("before").await;
    story.disable(true).await;
    for (kind, answer) in story.calls("disabled").await {
        assert!(answer.is_err(), "{kind:?} of a disabled client was taken");
        assert_refused(answer, Code::Unauthenticated, INVALID);
    }
    story.disable(false).await;
    story.all_pass("enabled again").await;
    let root = &story.server.root;
    let delete = v1::DeleteClientRequest { client_id: "web".to_owned(), ..Default::default() };
    accepted(root.clients().delete_client(root.request(delete)).await);
    for (kind, answer) in story.calls("deleted").await {
        assert!(answer.is_err(), "{kind:?} of a deleted client was taken");
        // A certificate that names no client is not a credential.
        let reason = if kind == Kind::Certificate { "CREDENTIALS_MISSING" } else { INVALID };
        assert_refused(answer, Code::Unauthenticated, reason);
    }
    // The connections are as good as ever.
    for (_, client) in &story.connections {
        let client = TestClient { secret: root.secret.clone(), ..client.clone() };
        accepted(client.issue(for_alice()).await);
    }
}
