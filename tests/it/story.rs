//! A story of calls of all kinds, good and bad, and every token and secret in it: what nothing that is left behind may hold.

use std::net::SocketAddr;

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use tokend::{
    model::{Algorithm, ClientSecret},
    proto::v1::{
        self,
        revoke_token_request::{SubjectTarget, Target},
    },
};
use tonic::{Request, Status, metadata::MetadataValue};

use crate::{
    harness::{TestClient, accepted, for_alice, reason, refused, seconds},
    made_keys::{jwk_request, made, pem_request, secret_request, with},
};

/// What a caller says and hears in one story.
pub struct Story {
    server: SocketAddr,
    pub root: TestClient,
    /// What nothing may hold, with what it is.
    hidden: Vec<(&'static str, String)>,
    /// Request ids and reasons of refused calls.
    pub refusals: Vec<(String, String)>,
    /// Request ids and answers of those that issued.
    pub issued: Vec<(String, v1::IssueTokenResponse)>,
}

impl Story {
    pub async fn new(server: SocketAddr, secret: &str) -> Self {
        let root = TestClient::new(server, Some(ClientSecret::from_text(secret))).await;
        Self { server, root, hidden: Vec::new(), refusals: Vec::new(), issued: Vec::new() }
    }

    /// Something that nothing may hold.
    pub fn hide(&mut self, what: &'static str, text: impl Into<String>) {
        self.hidden.push((what, text.into()));
    }

    /// Looks for everything hidden in the lines of `place`.
    pub fn search<'a>(&self, place: &str, lines: impl IntoIterator<Item = &'a str>) {
        for line in lines {
            for (what, text) in &self.hidden {
                assert!(!line.contains(text.as_str()), "{what} is in {place}: {text}\n{line}");
            }
        }
    }

    /// A secret of this client, as text and in each form that a call or a dump of one may have it in.
    pub fn hide_secret(&mut self, client_id: &str, secret: &str) {
        let basic = format!("{client_id}:{secret}");
        let random = secret.strip_prefix(&format!("tkd_{client_id}_")).unwrap_or(secret);
        self.hide("a secret", secret.to_owned());
        self.hide("a random part", random.to_owned());
        self.hide("Basic", STANDARD.encode(&basic).trim_end_matches('=').to_owned());
        self.hide("a secret in base64", URL_SAFE_NO_PAD.encode(secret));
        self.hidden.push((
            "a secret in hexadecimal",
            secret.bytes().map(|byte| format!("{byte:02x}")).collect::<String>(),
        ));
    }

    pub fn hide_token(&mut self, token: &str) {
        self.hide("a token", token.to_owned());
        let mut parts = token.split('.').skip(1);
        for what in ["a payload", "a signature"] {
            let part = parts.next().unwrap();
            self.hide(what, part.to_owned());
            if let Ok(bytes) = URL_SAFE_NO_PAD.decode(part) {
                self.hide(what, String::from_utf8_lossy(&bytes).into_owned());
            }
        }
    }

    /// Notes a call that must fail.
    #[track_caller]
    pub fn refusal<T>(&mut self, answer: Result<T, Status>) {
        let status = refused(answer);
        let request_id = status.metadata().get("x-request-id").unwrap().to_str().unwrap().to_owned();
        self.refusals.push((request_id, reason(&status)));
    }

    /// A request with this `authorization`, and without the root's.
    pub fn with<T>(message: T, authorization: &[&str]) -> Request<T> {
        let mut request = Request::new(message);
        for value in authorization {
            request.metadata_mut().append("authorization", value.parse().unwrap());
        }
        request
    }

    pub async fn issue(&mut self, request_id: &str, mut request: Request<v1::IssueTokenRequest>) -> String {
        request.metadata_mut().insert("x-request-id", request_id.parse().unwrap());
        let answer = accepted(self.root.tokens().issue_token(request).await);
        assert_eq!(answer.metadata().get("x-request-id").unwrap(), request_id, "it is sent back");
        let answer = answer.into_inner();
        self.hide_token(&answer.access_token);
        self.issued.push((request_id.to_owned(), answer.clone()));
        answer.access_token
    }

    /// Bytes as a message to this method.
    async fn raw(&self, path: &str, bytes: Vec<u8>) -> Result<(), Status> {
        let mut grpc = tonic::client::Grpc::new(self.root.channel.clone());
        grpc.ready().await.unwrap();
        // As a message, bytes are a field of number 1, which is the token, the subject or the client.
        let codec = tonic_prost::ProstCodec::<Vec<u8>, ()>::default();
        grpc.unary(self.root.request(bytes), path.parse().unwrap(), codec).await.map(|_| ())
    }

    /// Calls of all kinds, good and bad.
    pub async fn play(&mut self, client_id: &str) {
        let secret = self.root.secret.clone().unwrap().reveal().to_owned();
        self.hide_secret(client_id, &secret);
        let bearer = format!("Bearer {secret}");
        let basic = format!("Basic {}", STANDARD.encode(format!("{client_id}:{secret}")));
        let claims_json = r#"{"card":"4111-secret-claim-1111","n":9007199254740993}"#.to_owned();
        self.hide("a claim", "4111-secret-claim-1111".to_owned());
        let with_claims = || v1::IssueTokenRequest { claims_json: claims_json.clone(), ..for_alice() };
        let token = self.issue("story-bearer.1", Self::with(with_claims(), &[&bearer])).await;
        self.issue("story-basic_2", Self::with(for_alice(), &[&basic])).await;

        self.credentials(&bearer, &basic).await;
        self.tokens(&token).await;
        self.clients().await;
        self.people().await;
        self.sessions().await;
        self.assertions(&token).await;
        self.malformed(&token).await;
        self.keys().await;
    }

    /// Keys and secrets from elsewhere, taken in and refused; and what is done with keys.
    async fn keys(&mut self) {
        let secret: Vec<u8> = (100..148).collect();
        let made = made(Algorithm::Es256);
        let pem = made.private_pem();
        for (what, bytes) in [("an imported secret", secret.as_slice()), ("a short secret", &secret[..31])] {
            self.hide(what, URL_SAFE_NO_PAD.encode(bytes));
            self.hide(what, bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
            self.hide(what, format!("{bytes:?}").trim_matches(['[', ']']).to_owned());
        }
        self.hide("a private key", pem.lines().nth(1).unwrap().to_owned());
        self.hide("a private number", made.jwk["d"].as_str().unwrap().to_owned());
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
        // A token where words belong.
        let reason = root.token().await;
        self.hide_token(&reason);
        let revoke = v1::RevokeKeyRequest { key_id: "unknown".to_owned(), reason, ..Default::default() };
        self.refusal(keys.revoke_key(root.request(revoke)).await);
    }

    async fn credentials(&mut self, bearer: &str, basic: &str) {
        let wrong = "tkd_dev_wrongwrongwrongwrongwrongwrongwrongwrong";
        self.hide_secret("dev", wrong);
        self.hide("another scheme", "c3VwZXItc2VjcmV0".to_owned());
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
        self.revocations().await;
        // A token where a secret belongs.
        let mut tokens = self.root.tokens();
        self.refusal(tokens.issue_token(Self::with(for_alice(), &[&format!("Bearer {token}")])).await);
    }

    /// Tokens that are revoked, and tokens where something else belongs.
    async fn revocations(&mut self) {
        let request = v1::IssueTokenRequest { include_refresh_token: true, ..for_alice() };
        let begun = accepted(self.root.issue(request).await);
        self.hide_token(&begun.access_token);
        self.hide("a refresh token", begun.refresh_token.trim_start_matches("tkr_"));
        let (root, mut tokens) = (self.root.clone(), self.root.tokens());
        let wrong = || Target::JwtId(begun.access_token.clone());
        let reason = format!("{} was found", begun.access_token);
        let refresh = || begun.refresh_token.clone();
        for (target, reason) in [
            (wrong(), String::new()),
            (Target::JwtId(refresh()), String::new()),
            (Target::Subject(SubjectTarget { subject: refresh(), issued_before_time: None }), String::new()),
            (Target::JwtId(String::new()), format!("leaked: {}", refresh())),
            (Target::Token("x.y.z".to_owned()), reason),
        ] {
            let request = v1::RevokeTokenRequest { target: Some(target), reason, ..Default::default() };
            self.refusal(tokens.revoke_token(root.request(request)).await);
        }
        // As a subject, a claim's name and the id of a call.
        let claims_json = format!(r#"{{"{}":1}}"#, refresh());
        for request in [
            v1::IssueTokenRequest { subject: refresh(), scopes: vec![String::new()], ..for_alice() },
            v1::IssueTokenRequest { claims_json, ttl: seconds(0), ..for_alice() },
        ] {
            let mut request = root.request(request);
            request.metadata_mut().insert("x-request-id", "tkr_in-the-wrong-place".parse().unwrap());
            self.refusal(tokens.issue_token(request).await);
        }
        self.hide("a credential as request id", "tkr_in-the-wrong-place");
        for token in [begun.access_token, begun.refresh_token] {
            let target = Some(Target::Token(token));
            let request = v1::RevokeTokenRequest { target, ..Default::default() };
            accepted(tokens.revoke_token(root.request(request)).await);
        }
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
}
