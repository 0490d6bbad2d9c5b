//! OAuth 2.0 over HTTP: each request as a client library sends it, and each mistake with the error that its RFC names.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde_json::{Value, json};
use tokend::{model::Algorithm, proto::v1};

use crate::{
    caller_tokens::{by_assertion, claims, public, register},
    exchanges::{client, texts},
    harness::{ISSUER, TestClient, TestServer, accepted},
    made_keys::{made, with},
};

pub const FORM: &str = "content-type: application/x-www-form-urlencoded\r\n";
pub const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
pub const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// A response: status, headers in lower case, and the JSON body, if there is one.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: String,
    pub body: Value,
}

impl Answer {
    /// Checks the status and the error code of RFC 6749 section 5.2. Returns the description.
    #[track_caller]
    pub fn refused(&self, status: u16, error: &str) -> &str {
        assert_eq!((self.status, &self.body["error"]), (status, &json!(error)), "{self:?}");
        assert!(self.headers.contains("cache-control: no-store"), "{self:?}");
        self.body["error_description"].as_str().unwrap()
    }

    #[track_caller]
    pub fn token(&self) -> &str {
        assert_eq!(self.status, 200, "{self:?}");
        self.body["access_token"].as_str().unwrap()
    }
}

/// Sends one request with these lines of headers and this body.
pub async fn send(server: &TestServer, start: &str, headers: &str, body: &str) -> Answer {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(server.http).await.unwrap();
    let length = body.len();
    let request = format!(
        "{start} HTTP/1.1\r\nhost: test\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let (status_line, headers) = head.split_once("\r\n").unwrap();
    Answer {
        status: status_line.split(' ').nth(1).unwrap().parse().unwrap(),
        headers: headers.to_lowercase(),
        body: serde_json::from_str(body).unwrap_or_else(|_| json!(body)),
    }
}

/// The claims of a token.
pub fn payload(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

pub async fn post(server: &TestServer, path: &str, headers: &str, fields: &[(&str, &str)]) -> Answer {
    let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    send(server, &format!("POST {path}"), &format!("{FORM}{headers}"), &form).await
}

/// `Authorization: Basic` as RFC 6749 section 2.3.1 encodes it.
pub fn basic(id: &str, secret: &str) -> String {
    let encoded = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let credential = format!("{}:{}", encoded(id), encoded(secret));
    format!("authorization: Basic {}\r\n", STANDARD.encode(credential))
}

pub fn root_basic(server: &TestServer) -> String {
    basic("root", secret(&server.root))
}

pub fn secret(client: &TestClient) -> &str {
    client.secret.as_ref().unwrap().reveal()
}

pub async fn token(server: &TestServer, headers: &str, fields: &[(&str, &str)]) -> Answer {
    post(server, "/oauth2/token", headers, fields).await
}

pub const CLIENT_CREDENTIALS: (&str, &str) = ("grant_type", "client_credentials");

#[tokio::test]
async fn client_credentials_give_the_token_that_issue_token_gives() {
    let server = TestServer::start().await;
    let fields = [
        CLIENT_CREDENTIALS,
        ("audience", "orders"),
        ("resource", "https://x.example"),
        ("scope", "read write"),
    ];
    let answer = token(&server, &root_basic(&server), &fields).await;
    let issued = payload(answer.token());
    assert_eq!(issued["aud"], json!(["orders", "https://x.example"]));
    assert_eq!(
        (&issued["scope"], &issued["sub"], &issued["iss"]),
        (&json!("read write"), &json!("root"), &json!(ISSUER))
    );
    assert_eq!(answer.body["token_type"], "Bearer");
    assert_eq!(answer.body["scope"], "read write");
    assert_eq!(
        answer.body["expires_in"].as_i64(),
        issued["exp"].as_i64().zip(issued["iat"].as_i64()).map(|(exp, iat)| exp - iat)
    );
    assert!(answer.body.get("refresh_token").is_none() && answer.body.get("issued_token_type").is_none());
    assert!(
        answer.headers.contains("cache-control: no-store")
            && answer.headers.contains("content-type: application/json")
    );
    accepted(server.root.check(answer.token()).await);
}

#[tokio::test]
async fn a_client_authenticates_in_each_way_that_the_metadata_announces() {
    let server = TestServer::start().await;
    let (_, _, document) = server.get("/.well-known/oauth-authorization-server").await;
    let document: Value = serde_json::from_str(&document).unwrap();
    assert_eq!(document["token_endpoint"], format!("{ISSUER}/oauth2/token"));
    assert_eq!(document["introspection_endpoint"], format!("{ISSUER}/oauth2/introspect"));
    assert_eq!(document["revocation_endpoint"], format!("{ISSUER}/oauth2/revoke"));
    assert_eq!(document["grant_types_supported"], json!(["client_credentials", "refresh_token", EXCHANGE]));
    assert_eq!(
        document["token_endpoint_auth_methods_supported"],
        json!(["client_secret_basic", "client_secret_post", "private_key_jwt"])
    );
    let audience = ("audience", "orders");
    let root = secret(&server.root);
    token(&server, &root_basic(&server), &[CLIENT_CREDENTIALS, audience]).await.token();
    token(&server, &root_basic(&server), &[CLIENT_CREDENTIALS, audience, ("client_id", "root")])
        .await
        .token();
    token(&server, "", &[CLIENT_CREDENTIALS, audience, ("client_id", "root"), ("client_secret", root)])
        .await
        .token();
    // As gRPC callers send it.
    token(&server, &format!("authorization: Bearer {root}\r\n"), &[CLIENT_CREDENTIALS, audience])
        .await
        .token();

    register(&server, "web", by_assertion(&[public(made(Algorithm::Es256), "k1")])).await;
    for (number, audience_claim) in [
        json!(ISSUER),
        json!(format!("{ISSUER}/oauth2/token")),
        json!([ISSUER, format!("{ISSUER}/oauth2/token")]),
    ]
    .iter()
    .enumerate()
    {
        let assertion = made(Algorithm::Es256)
            .token("k1", &with(&claims("web", &format!("jti-{number}")), "aud", audience_claim.clone()));
        let fields = [
            CLIENT_CREDENTIALS,
            audience,
            ("client_assertion_type", JWT_BEARER),
            ("client_assertion", &assertion),
        ];
        assert_eq!(payload(token(&server, "", &fields).await.token())["client_id"], "web");
        token(&server, "", &fields).await.refused(401, "invalid_client");
    }
    for audience_claim in [
        json!("https://other.example"),
        json!([ISSUER, "https://other.example"]),
        json!(format!("{ISSUER}/oauth2/revoke")),
    ] {
        let assertion =
            made(Algorithm::Es256).token("k1", &with(&claims("web", "other"), "aud", audience_claim));
        let fields = [
            CLIENT_CREDENTIALS,
            audience,
            ("client_assertion_type", JWT_BEARER),
            ("client_assertion", &assertion),
        ];
        token(&server, "", &fields).await.refused(401, "invalid_client");
    }
    // RFC 7521 section 4.2.
    let assertion = made(Algorithm::Es256).token("k1", &claims("web", "named"));
    let fields = |client_id| {
        [
            CLIENT_CREDENTIALS,
            audience,
            ("client_assertion_type", JWT_BEARER),
            ("client_assertion", assertion.as_str()),
            ("client_id", client_id),
        ]
    };
    token(&server, "", &fields("root")).await.refused(401, "invalid_client");
    token(&server, "", &fields("web")).await.token();
}

#[tokio::test]
async fn an_unknown_client_and_a_wrong_secret_have_one_response() {
    let server = TestServer::start().await;
    let fields = [CLIENT_CREDENTIALS, ("audience", "orders")];
    let wrong = token(&server, &basic("root", "wrong-secret"), &fields).await;
    let unknown = token(&server, &basic("nobody", "wrong-secret"), &fields).await;
    assert_eq!(wrong.body, unknown.body);
    assert_eq!(wrong.refused(401, "invalid_client"), "CREDENTIALS_INVALID: the credential is not valid");
    // RFC 6749 section 5.2: with the scheme that the client used.
    assert!(wrong.headers.contains("www-authenticate: basic realm=\"tokend\""), "{wrong:?}");
    let none = token(&server, "", &fields).await;
    assert!(none.refused(401, "invalid_client").starts_with("CREDENTIALS_MISSING: "));
}

#[tokio::test]
async fn malformed_requests_have_the_errors_of_the_rfc() {
    let server = TestServer::start().await;
    let root = root_basic(&server);
    let secret = secret(&server.root).to_owned();
    let good = "grant_type=client_credentials&audience=orders";
    let table: &[(&str, &str, &str, u16, &str, &str)] = &[
        (&root, "", "audience=orders", 400, "invalid_request", "grant_type: is missing"),
        (&root, "", "grant_type=", 400, "invalid_request", "grant_type: is missing"),
        (&root, "", "grant_type=password", 400, "unsupported_grant_type", "grant_type: must be one of"),
        (
            &root,
            "",
            "grant_type=authorization_code&code=x",
            400,
            "unsupported_grant_type",
            "grant_type: must",
        ),
        (
            &root,
            "",
            &format!("{good}&grant_type=client_credentials"),
            400,
            "invalid_request",
            "grant_type: is there more than once",
        ),
        (
            &root,
            "",
            &format!("{good}&scope=a&scope=b"),
            400,
            "invalid_request",
            "scope: is there more than once",
        ),
        (&root, "", &format!("{good}&scope=%F"), 400, "invalid_request", "scope: is not encoded as a form"),
        (&root, "", "grant_type=refresh_token", 400, "invalid_request", "refresh_token: is missing"),
        (
            &root,
            "",
            &format!("grant_type={EXCHANGE}&subject_token=x"),
            400,
            "invalid_request",
            "subject_token_type: is missing",
        ),
        (&root, "?audience=orders", good, 400, "invalid_request", "the parameters must be in the body"),
        (
            &root,
            "",
            &format!("{good}&client_id=root&client_secret={secret}"),
            400,
            "invalid_request",
            "the client authenticates in more than one way",
        ),
        (
            &format!("{root}{root}"),
            "",
            good,
            400,
            "invalid_request",
            "the client authenticates in more than one way",
        ),
        (&root, "", &format!("{good}&client_id=other"), 400, "invalid_request", "client_id: differs"),
        ("", "", &format!("{good}&client_secret={secret}"), 400, "invalid_request", "client_id: is missing"),
        ("", "", &format!("{good}&client_id=root"), 401, "invalid_client", "client_id: needs a credential"),
        (
            "",
            "",
            &format!("{good}&client_assertion=a.b.c"),
            400,
            "invalid_request",
            "client_assertion_type: must be",
        ),
        (
            "",
            "",
            &format!("{good}&client_id=a%3Ab&client_secret=x"),
            401,
            "invalid_client",
            "client_id: must not",
        ),
        (
            "",
            "",
            &format!("{good}&client_id=root&client_secret=%0D%0Ax"),
            401,
            "invalid_client",
            "CREDENTIALS_INVALID",
        ),
        (
            "authorization: Digest x\r\n",
            "",
            good,
            401,
            "invalid_client",
            "the Authorization header is neither",
        ),
        (
            "authorization: Basic !\r\n",
            "",
            good,
            401,
            "invalid_client",
            "the Authorization header is neither",
        ),
        (
            &root,
            "",
            &format!("{good}&request_id=no-uuid"),
            400,
            "invalid_request",
            "FIELD_INVALID: request_id: ",
        ),
        (&root, "", &format!("{good}&scope=%22"), 400, "invalid_scope", "FIELD_INVALID: scopes"),
        (&root, "", &format!("{good}&audience=%0A"), 400, "invalid_target", "FIELD_INVALID: audiences"),
    ];
    for (headers, query, form, status, error, description) in table {
        let answer =
            send(&server, &format!("POST /oauth2/token{query}"), &format!("{FORM}{headers}"), form).await;
        let text = answer.refused(*status, error);
        assert!(text.starts_with(description), "{form}: {text}");
    }
    for content_type in
        ["", "content-type: application/json\r\n", "content-type: text/plain\r\n", &format!("{FORM}{FORM}")]
    {
        let answer = send(&server, "POST /oauth2/token", &format!("{content_type}{root}"), good).await;
        assert!(answer.refused(400, "invalid_request").starts_with("Content-Type: "), "{content_type}");
    }
    let charset = "content-type: Application/X-WWW-form-urlencoded; charset=utf-8\r\n";
    send(&server, "POST /oauth2/token", &format!("{charset}{root}"), good).await.token();
    let long = format!("{good}&x={}", "a".repeat(64 * 1024));
    send(&server, "POST /oauth2/token", &format!("{FORM}{root}"), &long)
        .await
        .refused(413, "invalid_request");
    for method in ["GET", "HEAD", "PUT", "OPTIONS"] {
        // A script of another origin must not use these endpoints: there is no answer to its preflight request.
        let answer =
            send(&server, &format!("{method} /oauth2/token"), "origin: https://evil.example\r\n", "").await;
        assert_eq!(answer.status, 405, "{method}");
        assert!(
            answer.headers.contains("allow: post") && !answer.headers.contains("access-control"),
            "{answer:?}"
        );
    }
}

#[tokio::test]
async fn the_policy_of_the_client_decides() {
    let server = TestServer::start().await;
    let permissions = v1::Permissions {
        methods: texts(&["TokenService/IssueToken"]),
        audiences: texts(&["orders"]),
        scopes: texts(&["read"]),
        ..Default::default()
    };
    let web = basic("web", secret(&client(&server, "web", permissions).await));
    token(&server, &web, &[CLIENT_CREDENTIALS, ("audience", "orders"), ("scope", "read")]).await.token();
    let answer = token(&server, &web, &[CLIENT_CREDENTIALS, ("audience", "billing")]).await;
    assert!(
        answer.refused(400, "invalid_target").starts_with("AUDIENCE_NOT_ALLOWED: client 'web'"),
        "{answer:?}"
    );
    let answer =
        token(&server, &web, &[CLIENT_CREDENTIALS, ("audience", "orders"), ("scope", "write")]).await;
    assert!(answer.refused(400, "invalid_scope").starts_with("SCOPE_NOT_ALLOWED: "));
    let answer = post(&server, "/oauth2/introspect", &web, &[("token", "x")]).await;
    assert!(answer.refused(400, "unauthorized_client").starts_with("METHOD_NOT_ALLOWED: "));
}
