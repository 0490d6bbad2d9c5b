//! What is logged, and what never is: no token and no secret, whatever the filter says.

use std::{collections::HashSet, fs, net::SocketAddr};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde_json::Value;
use tempfile::TempDir;
use tokend::{
    model::{Algorithm, ClientSecret},
    proto::v1,
};
use tonic::{Request, Status, metadata::MetadataValue};

use crate::{
    harness::{TestClient, accepted, for_alice, reason, refused, seconds},
    made_keys::{jwk_request, made, pem_request, secret_request, with},
    process::{FREE_PORTS, Serve, Watched, entry, init, words},
};

/// What a caller says and hears in one story.
struct Story {
    server: SocketAddr,
    root: TestClient,
    /// What no log may hold, with what it is.
    hidden: Vec<(&'static str, String)>,
    /// Request ids and reasons of refused calls.
    refusals: Vec<(String, String)>,
    issued: Vec<(String, v1::IssueTokenResponse)>,
}

impl Story {
    async fn new(server: SocketAddr, secret: &str) -> Self {
        let root = TestClient::new(server, Some(ClientSecret::from_text(secret))).await;
        Self { server, root, hidden: Vec::new(), refusals: Vec::new(), issued: Vec::new() }
    }

    /// A secret of this client, as text and in each form that a call or a dump of one may have it in.
    fn hide_secret(&mut self, client_id: &str, secret: &str) {
        let basic = format!("{client_id}:{secret}");
        let random = secret.strip_prefix(&format!("tkd_{client_id}_")).unwrap_or(secret);
        self.hidden.push(("a secret", secret.to_owned()));
        self.hidden.push(("a random part", random.to_owned()));
        self.hidden.push(("Basic", STANDARD.encode(&basic).trim_end_matches('=').to_owned()));
        self.hidden.push(("a secret in base64", URL_SAFE_NO_PAD.encode(secret)));
        self.hidden
            .push(("a secret in hexadecimal", secret.bytes().map(|byte| format!("{byte:02x}")).collect()));
    }

    fn hide_token(&mut self, token: &str) {
        self.hidden.push(("a token", token.to_owned()));
        let mut parts = token.split('.').skip(1);
        for what in ["a payload", "a signature"] {
            let part = parts.next().unwrap();
            self.hidden.push((what, part.to_owned()));
            if let Ok(octets) = URL_SAFE_NO_PAD.decode(part) {
                self.hidden.push((what, String::from_utf8_lossy(&octets).into_owned()));
            }
        }
    }

    /// Notes a call that must fail.
    #[track_caller]
    fn refusal<T>(&mut self, answer: Result<T, Status>) {
        let status = refused(answer);
        let request_id = status.metadata().get("x-request-id").unwrap().to_str().unwrap().to_owned();
        self.refusals.push((request_id, reason(&status)));
    }

    /// A request with this `authorization`, and without the root's.
    fn with<T>(message: T, authorization: &[&str]) -> Request<T> {
        let mut request = Request::new(message);
        for value in authorization {
            request.metadata_mut().append("authorization", value.parse().unwrap());
        }
        request
    }

    async fn issue(&mut self, request_id: &str, mut request: Request<v1::IssueTokenRequest>) -> String {
        request.metadata_mut().insert("x-request-id", request_id.parse().unwrap());
        let answer = accepted(self.root.tokens().issue_token(request).await);
        assert_eq!(answer.metadata().get("x-request-id").unwrap(), request_id, "it is sent back");
        let answer = answer.into_inner();
        self.hide_token(&answer.access_token);
        self.issued.push((request_id.to_owned(), answer.clone()));
        answer.access_token
    }

    /// Octets as a message to this method.
    async fn raw(&self, path: &str, octets: Vec<u8>) -> Result<(), Status> {
        let mut grpc = tonic::client::Grpc::new(self.root.channel.clone());
        grpc.ready().await.unwrap();
        // As a message, octets are a field of number 1, which is the token, the subject or the client.
        let codec = tonic_prost::ProstCodec::<Vec<u8>, ()>::default();
        grpc.unary(self.root.request(octets), path.parse().unwrap(), codec).await.map(|_| ())
    }

    /// Calls of all kinds, good and bad.
    async fn play(&mut self, client_id: &str) {
        let secret = self.root.secret.clone().unwrap().reveal().to_owned();
        self.hide_secret(client_id, &secret);
        let bearer = format!("Bearer {secret}");
        let basic = format!("Basic {}", STANDARD.encode(format!("{client_id}:{secret}")));
        let claims_json = r#"{"card":"4111-secret-claim-1111","n":9007199254740993}"#.to_owned();
        self.hidden.push(("a claim", "4111-secret-claim-1111".to_owned()));
        let with_claims = || v1::IssueTokenRequest { claims_json: claims_json.clone(), ..for_alice() };
        let token = self.issue("story-bearer.1", Self::with(with_claims(), &[&bearer])).await;
        self.issue("story-basic_2", Self::with(for_alice(), &[&basic])).await;

        self.credentials(&bearer, &basic).await;
        self.tokens(&token).await;
        self.clients().await;
        self.malformed(&token).await;
        self.keys().await;
    }

    /// Keys and secrets from elsewhere, taken in and refused; and what is done with keys.
    async fn keys(&mut self) {
        let secret: Vec<u8> = (100..148).collect();
        let made = made(Algorithm::Es256);
        let pem = made.private_pem();
        for (what, octets) in [("an imported secret", secret.as_slice()), ("a short secret", &secret[..31])] {
            self.hidden.push((what, URL_SAFE_NO_PAD.encode(octets)));
            self.hidden.push((what, octets.iter().map(|octet| format!("{octet:02x}")).collect()));
            self.hidden.push((what, format!("{octets:?}").trim_matches(['[', ']']).to_owned()));
        }
        self.hidden.push(("a private key", pem.lines().nth(1).unwrap().to_owned()));
        self.hidden.push(("a private number", made.jwk["d"].as_str().unwrap().to_owned()));
        let mut keys = self.root.keys();
        let root = self.root.clone();
        let cut = pem.lines().take(2).collect::<Vec<_>>().join("\n");
        let twice = format!("{pem}{pem}");
        for wrong in [
            secret_request(&secret[..31], "HS256"),
            secret_request(pem.as_bytes(), "HS256"),
            pem_request(cut, ""),
            pem_request(twice, ""),
            jwk_request(&with(&made.jwk, "use", "enc")),
            jwk_request(&with(&made.jwk, "x", "AAAA")),
        ] {
            self.refusal(keys.import_key(root.request(wrong)).await);
        }
        accepted(keys.import_key(root.request(secret_request(secret, "HS384"))).await);
        let imported = accepted(keys.import_key(root.request(pem_request(pem.clone(), ""))).await);
        self.refusal(keys.import_key(root.request(pem_request(pem, ""))).await);
        let rotate = v1::RotateKeysRequest { immediately: true, ..Default::default() };
        accepted(keys.rotate_keys(root.request(rotate)).await);
        accepted(keys.list_keys(root.request(v1::ListKeysRequest::default())).await);
        let key_id = imported.into_inner().key.unwrap().key_id;
        let reason = "a drill".to_owned();
        let revoke = v1::RevokeKeyRequest { key_id, reason, ..Default::default() };
        accepted(keys.revoke_key(root.request(revoke)).await);
    }

    async fn credentials(&mut self, bearer: &str, basic: &str) {
        let wrong = "tkd_dev_wrongwrongwrongwrongwrongwrongwrongwrong";
        self.hide_secret("dev", wrong);
        self.hidden.push(("another scheme", "c3VwZXItc2VjcmV0".to_owned()));
        let wrong_bearer = format!("Bearer {wrong}");
        let wrong_basic = format!("Basic {}", STANDARD.encode(format!("dev:{wrong}")));
        for authorization in [
            &[][..],
            &[wrong_bearer.as_str()],
            &[&wrong_basic],
            &[bearer, basic],
            &["Digest c3VwZXItc2VjcmV0"],
        ] {
            let mut tokens = self.root.tokens();
            self.refusal(tokens.issue_token(Self::with(for_alice(), authorization)).await);
        }
        // A header of another name, by mistake.
        let mut request = Self::with(for_alice(), &[]);
        request.metadata_mut().insert("x-api-key", bearer.parse().unwrap());
        self.refusal(self.root.tokens().issue_token(request).await);
    }

    async fn tokens(&mut self, token: &str) {
        accepted(self.root.check(token).await);
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let changed = format!("{signed}.{}", signature.chars().rev().collect::<String>());
        let foreign = jsonwebtoken::encode(
            &jsonwebtoken::Header::default(),
            &serde_json::json!({ "sub": "foreign-subject", "exp": 4_000_000_000_u32 }),
            &jsonwebtoken::EncodingKey::from_secret(b"another issuer's secret"),
        );
        let large = format!("{token}{}", "A".repeat(10_000));
        for bad in [changed, foreign.unwrap(), large, format!("{token}="), format!("Bearer {token}")] {
            self.hide_token(&bad);
            self.refusal(self.root.check(&bad).await);
        }
        let other = v1::VerifyTokenRequest {
            token: token.to_owned(),
            audiences: vec!["billing".to_owned()],
            ..Default::default()
        };
        self.refusal(self.root.verify(other.clone()).await);
        let batch = self.root.request(v1::BatchVerifyTokensRequest { requests: vec![other] });
        accepted(self.root.tokens().batch_verify_tokens(batch).await);
        // A token where a secret belongs.
        let mut tokens = self.root.tokens();
        self.refusal(tokens.issue_token(Self::with(for_alice(), &[&format!("Bearer {token}")])).await);
    }

    async fn clients(&mut self) {
        let client = v1::Client { client_id: "web".to_owned(), ..Default::default() };
        let create = v1::CreateClientRequest { client: Some(client), request_id: String::new() };
        let root = self.root.clone();
        let created = accepted(root.clients().create_client(root.request(create.clone())).await);
        let first = created.into_inner().client_secret;
        self.refusal(root.clients().create_client(root.request(create)).await);
        let rotate = v1::RotateClientSecretRequest {
            client_id: "web".to_owned(),
            overlap: seconds(0),
            ..Default::default()
        };
        let rotated = accepted(root.clients().rotate_client_secret(root.request(rotate)).await);
        let second = rotated.into_inner().client_secret;
        // The first has ended, the second is not allowed to issue anything.
        for secret in [first, second] {
            self.hide_secret("web", &secret);
            let web =
                TestClient { channel: root.channel.clone(), secret: Some(ClientSecret::from_text(secret)) };
            self.refusal(web.issue(for_alice()).await);
        }
    }

    async fn malformed(&mut self, token: &str) {
        let broken = [token.as_bytes(), &[0xff]].concat();
        for method in [
            "TokenService/VerifyToken",
            "TokenService/IssueToken",
            "ClientService/CreateClient",
            "TokenService/No",
        ] {
            self.refusal(self.raw(&format!("/tokend.v1.{method}"), broken.clone()).await);
        }
        // In the path, by mistake.
        self.refusal(self.raw(&format!("/tokend.v1.TokenService/{token}"), Vec::new()).await);
        let huge = [token.as_bytes(), &[b'A'; 2 * 1024 * 1024]].concat();
        self.refusal(self.raw("/tokend.v1.TokenService/VerifyToken", huge).await);
        for claims_json in [
            format!(r#"{{"inner":"{token}","inner":"{token}"}}"#),
            format!(r#"{{"exp":"{token}"}}"#),
            format!(r#"{{"{token}"#),
        ] {
            let request = v1::IssueTokenRequest { claims_json, ..for_alice() };
            self.refusal(self.root.issue(request).await);
        }
        for request in [
            v1::IssueTokenRequest { scopes: vec![format!("{token} {token}")], ..for_alice() },
            v1::IssueTokenRequest {
                audiences: vec![token.to_owned()],
                scopes: vec![String::new()],
                ..for_alice()
            },
            v1::IssueTokenRequest { request_id: token.to_owned(), ttl: seconds(0), ..for_alice() },
        ] {
            self.refusal(self.root.issue(request).await);
        }
        // What is no fit request id is not taken for one.
        let mut request = Self::with(for_alice(), &[]);
        request.metadata_mut().insert("x-request-id", MetadataValue::try_from(token).unwrap());
        self.refusal(self.root.tokens().issue_token(request).await);
        // A connection that ends in the middle of a call.
        let _ = TestClient::new(self.server, None).await;
    }

    /// Holds the log against what was said and heard.
    fn check(&self, log: &[String]) {
        for line in log {
            for (what, text) in &self.hidden {
                assert!(!line.contains(text.as_str()), "{what} is in the log: {text}\n{line}");
            }
        }
        let entries: Vec<Value> = log.iter().map(|line| entry(line)).collect();
        assert!(entries.iter().all(Value::is_object), "every line is JSON");
        // What the crates below would say in detail, they do not: headers, frames and statements are none of the log's.
        for entry in &entries {
            let (target, level) = (entry["target"].as_str().unwrap(), entry["level"].as_str().unwrap());
            assert!(target.starts_with("tokend") || !["TRACE", "DEBUG"].contains(&level), "{entry}");
        }
        let by_id = |request_id: &str| -> Vec<&Value> {
            entries.iter().filter(|entry| entry["span"]["request_id"] == request_id).collect()
        };
        let mut ids = HashSet::new();
        for (request_id, reason) in &self.refusals {
            assert!(ids.insert(request_id), "each call has an id of its own");
            let lines = by_id(request_id);
            assert_eq!(lines.len(), 1, "one line for {request_id} {reason}: {lines:#?}");
            assert_eq!(lines[0]["reason"], reason.as_str(), "{lines:#?}");
        }
        for (request_id, issued) in &self.issued {
            let lines = by_id(request_id);
            assert_eq!(lines.len(), 1, "{lines:#?}");
            let line =
                |name: &str| lines[0][name].as_str().unwrap_or_else(|| panic!("no {name}: {lines:#?}"));
            assert_eq!((line("message"), line("sub")), ("token issued", "alice"));
            assert_eq!((line("jti"), line("kid")), (issued.jwt_id.as_str(), issued.key_id.as_str()));
            assert!(!line("client_id").is_empty());
        }
    }
}

#[tokio::test]
async fn dev_logs_no_token_and_no_secret() {
    let folder = TempDir::new().unwrap();
    let secret = "the-secret-of-the-client-dev";
    let arguments = ["dev", "--data", "t.db", "--secret", secret, "--log", "trace"];
    let mut process = Watched::start(folder.path(), &[&arguments[..], &FREE_PORTS].concat());
    // The banner is for the one who started it, and does show a call with the secret.
    let call = process.stdout.until(|line| line.starts_with("grpcurl "));
    process.stdout.until(|line| line.starts_with("ready in "));
    let mut story = Story::new(words(&call)[6].parse().unwrap(), secret).await;
    let sealing_key = fs::read_to_string(folder.path().join("t.db.sealing-key")).unwrap();
    story.hidden.push(("the sealing key", sealing_key.trim().to_owned()));
    story.play("dev").await;
    process.running.signal("-TERM");
    let ended = process.ended();
    assert_eq!(ended.code, Some(0));
    story.check(&ended.stderr);
}

#[tokio::test]
async fn serve_logs_no_token_and_no_secret() {
    let folder = TempDir::new().unwrap();
    let admin_secret = init(folder.path());
    let settings =
        ["--allow-plaintext", "--log", "trace,h2=trace,hyper=trace,sqlx=trace", "--log-format", "json"];
    let server = Serve::start(folder.path(), &[&settings[..], &["--drain-delay", "0s"]].concat());
    let any = || vec!["*".to_owned()];
    let root = v1::Client {
        client_id: "root".to_owned(),
        permissions: Some(v1::Permissions {
            methods: any(),
            audiences: any(),
            scopes: any(),
            subjects: any(),
            claims: any(),
            verify_audiences: any(),
            max_ttl: seconds(3600),
            ..Default::default()
        }),
        ..Default::default()
    };
    let admin = TestClient::new(server.grpc, Some(ClientSecret::from_text(admin_secret.as_str()))).await;
    let request = v1::CreateClientRequest { client: Some(root), request_id: String::new() };
    let created = accepted(admin.clients().create_client(admin.request(request)).await);
    let mut story = Story::new(server.grpc, &created.into_inner().client_secret).await;
    story.hide_secret("admin", &admin_secret);
    let sealing_key = fs::read_to_string(folder.path().join("sealing.key")).unwrap();
    story.hidden.push(("the sealing key", sealing_key.trim().to_owned()));
    story.play("root").await;
    let ended = server.stop();
    assert_eq!((ended.code, ended.stdout.len()), (Some(0), 0));
    story.check(&ended.stderr);
}
