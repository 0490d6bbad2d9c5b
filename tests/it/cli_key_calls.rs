//! What the `key` commands ask a server for, and what they make of its answers: a stand-in for the server writes the
//! requests down.

use std::{
    collections::VecDeque,
    fs,
    io::Write as _,
    process::{Output, Stdio},
    sync::{Arc, Mutex},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;
use tempfile::TempDir;
use tokend::proto::v1::{
    CreateKeyRequest, CreateKeyResponse, ImportKeyRequest, ImportKeyResponse, Key, KeyState, KeyUsage,
    ListKeysRequest, ListKeysResponse, RevokeKeyRequest, RevokeKeyResponse, RotateKeysRequest,
    RotateKeysResponse, SkippedKey, TrustedKey,
    import_key_request::Material,
    key_service_server::{KeyService, KeyServiceServer},
};
use tokio::{net::TcpListener, runtime::Runtime};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status, transport::Server};

use crate::process::{stderr, stdout, tokend};

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const SECRET_BASE64URL: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY";

/// What was asked. ImportKeyRequest has no `Debug`, and so this has none.
#[derive(Clone, PartialEq)]
enum Asked {
    List(ListKeysRequest),
    Create(CreateKeyRequest),
    Import(ImportKeyRequest),
    Rotate(RotateKeysRequest),
    Revoke(RevokeKeyRequest),
}

/// Answers every question with its two keys, the lists one key a page.
#[derive(Clone)]
struct StandIn {
    keys: [Key; 2],
    asked: Arc<Mutex<VecDeque<Asked>>>,
}

impl StandIn {
    fn note(&self, asked: Asked) {
        self.asked.lock().unwrap().push_back(asked);
    }
}

#[tonic::async_trait]
impl KeyService for StandIn {
    async fn list_keys(
        &self,
        request: Request<ListKeysRequest>,
    ) -> Result<Response<ListKeysResponse>, Status> {
        let request = request.into_inner();
        self.note(Asked::List(request.clone()));
        if request.trusted {
            let good = TrustedKey {
                issuer: "https://a.test".to_owned(),
                key_id: "a b".to_owned(),
                algorithms: vec!["RS256".to_owned(), "PS256".to_owned()],
                problem: String::new(),
            };
            let bad = TrustedKey {
                key_id: "\u{1b}".to_owned(),
                algorithms: Vec::new(),
                problem: "`n` is bad".to_owned(),
                ..good.clone()
            };
            return Ok(Response::new(ListKeysResponse {
                trusted_keys: vec![good, bad],
                ..Default::default()
            }));
        }
        let [first, second] = self.keys.clone();
        Ok(Response::new(match request.page_token.as_str() {
            "" => ListKeysResponse {
                keys: vec![first],
                next_page_token: "more".to_owned(),
                ..Default::default()
            },
            _ => ListKeysResponse { keys: vec![second], ..Default::default() },
        }))
    }

    async fn create_key(
        &self,
        request: Request<CreateKeyRequest>,
    ) -> Result<Response<CreateKeyResponse>, Status> {
        self.note(Asked::Create(request.into_inner()));
        Ok(Response::new(CreateKeyResponse { key: Some(self.keys[0].clone()) }))
    }

    async fn import_key(
        &self,
        request: Request<ImportKeyRequest>,
    ) -> Result<Response<ImportKeyResponse>, Status> {
        let request = request.into_inner();
        let is_set = matches!(&request.material, Some(Material::JwkJson(_)));
        let skipped =
            SkippedKey { key_id: "enc\u{1b}".to_owned(), problem: "`keys[1].use` must be `sig`".to_owned() };
        let skipped_keys = is_set.then_some(skipped).into_iter().collect();
        self.note(Asked::Import(request));
        Ok(Response::new(ImportKeyResponse {
            key: Some(self.keys[0].clone()),
            keys: self.keys.to_vec(),
            skipped_keys,
        }))
    }

    async fn rotate_keys(
        &self,
        request: Request<RotateKeysRequest>,
    ) -> Result<Response<RotateKeysResponse>, Status> {
        self.note(Asked::Rotate(request.into_inner()));
        Ok(Response::new(RotateKeysResponse { keys: self.keys.to_vec() }))
    }

    async fn revoke_key(
        &self,
        request: Request<RevokeKeyRequest>,
    ) -> Result<Response<RevokeKeyResponse>, Status> {
        let request = request.into_inner();
        self.note(Asked::Revoke(request.clone()));
        let key = Key { key_id: request.key_id, state: KeyState::Revoked.into(), ..self.keys[1].clone() };
        Ok(Response::new(RevokeKeyResponse { key: Some(key) }))
    }
}

/// The stand-in, served, and a folder for the files of the commands.
struct Story {
    served: StandIn,
    address: String,
    folder: TempDir,
    _runtime: Runtime,
}

impl Story {
    fn new() -> Self {
        let key = |key_id: &str, state: KeyState| Key {
            key_id: key_id.to_owned(),
            algorithm: "ES256".to_owned(),
            state: state.into(),
            usage: KeyUsage::SignAndVerify.into(),
            activate_time: Some(prost_types::Timestamp { seconds: 1_500_000_000, nanos: 0 }),
            ..Key::default()
        };
        let served = StandIn {
            keys: [key("next\u{1b}", KeyState::Pending), key("active", KeyState::Active)],
            asked: Arc::default(),
        };
        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let service = KeyServiceServer::new(served.clone());
        runtime.spawn(
            Server::builder().add_service(service).serve_with_incoming(TcpListenerStream::new(listener)),
        );
        Self { served, address, folder: TempDir::new().unwrap(), _runtime: runtime }
    }

    fn run(&self, arguments: &[&str], stdin: &[u8]) -> Output {
        let mut child = tokend(self.folder.path(), &[&["key"], arguments].concat())
            .env("TOKEND_ADDR", &self.address)
            .env("TOKEND_CLIENT_SECRET", "tkd_admin_secret")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // One that fails early does not read.
        let _ = child.stdin.take().unwrap().write_all(stdin);
        child.wait_with_output().unwrap()
    }

    fn done(&self, arguments: &[&str], stdin: &[u8]) -> Output {
        let output = self.run(arguments, stdin);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", stderr(&output));
        output
    }

    /// Asserts that these arguments are wrong, and that no server is called.
    fn wrong(&self, arguments: &[&str], words: &str) {
        let output = self.run(arguments, b"");
        assert_eq!((output.status.code(), stdout(&output)), (Some(2), ""), "{arguments:?}");
        assert!(stderr(&output).contains(words), "{arguments:?}: {}", stderr(&output));
        assert!(self.served.asked.lock().unwrap().is_empty(), "{arguments:?} asked the server");
    }

    fn asked(&self, expected: &Asked) {
        let asked = self.served.asked.lock().unwrap().pop_front();
        assert!(asked.as_ref() == Some(expected), "it asked for something else");
    }
}

#[test]
fn lists_are_read_to_their_last_page() {
    let story = Story::new();
    for (arguments, words) in [(&["list"][..], "active"), (&["list", "-o", "json"], "\"ACTIVE\"")] {
        let listed = story.done(arguments, b"");
        assert!(
            stdout(&listed).contains("next\\u") && stdout(&listed).contains(words),
            "{}",
            stdout(&listed)
        );
        story.asked(&Asked::List(ListKeysRequest { page_size: 500, ..Default::default() }));
        story.asked(&Asked::List(ListKeysRequest {
            page_size: 500,
            page_token: "more".to_owned(),
            trusted: false,
        }));
    }
    let json: Value = serde_json::from_str(stdout(&story.done(&["list", "-o", "json"], b""))).unwrap();
    assert_eq!(json[0]["state"], "PENDING");
    assert_eq!(json[1]["activate_time"], "2017-07-14T02:40:00Z");
}

#[test]
fn keys_of_trusted_issuers_are_listed_with_what_is_wrong_with_them() {
    let story = Story::new();
    let table = story.done(&["list", "--trusted"], b"");
    let lines: Vec<Vec<&str>> = stdout(&table)
        .lines()
        .map(|line| line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect())
        .collect();
    assert_eq!(
        lines,
        [
            vec!["ISSUER", "KEY", "ALGORITHMS", "PROBLEM"],
            vec!["https://a.test", "a b", "RS256 PS256", "-"],
            vec!["https://a.test", "\\u{1b}", "-", "`n` is bad"],
        ]
    );
    story.asked(&Asked::List(ListKeysRequest { trusted: true, ..Default::default() }));
    let json: Value =
        serde_json::from_str(stdout(&story.done(&["list", "--trusted", "-o", "json"], b""))).unwrap();
    assert_eq!((&json[0]["key_id"], &json[1]["problem"]), (&"a b".into(), &"`n` is bad".into()));
}

#[test]
fn keys_are_made_rotated_and_revoked_as_asked() {
    let story = Story::new();
    let made = story.done(&["create", "EdDSA"], b"");
    assert_eq!(stdout(&made), "next\\u{1b}");
    assert!(stderr(&made).contains("it signs ES256 from"), "{}", stderr(&made));
    story
        .asked(&Asked::Create(CreateKeyRequest { algorithm: "EdDSA".to_owned(), request_id: String::new() }));
    story.done(&["create"], b"");
    story.asked(&Asked::Create(CreateKeyRequest::default()));

    let rotated = story.done(&["rotate"], b"");
    assert_eq!(stdout(&rotated), "next\\u{1b}");
    assert!(
        stderr(&rotated).trim().ends_with("at the earliest; until then active signs"),
        "{}",
        stderr(&rotated)
    );
    story.asked(&Asked::Rotate(RotateKeysRequest::default()));
    let rotated = story.done(&["rotate", "--algorithm", "ES256", "--now", "-o", "json"], b"");
    let json: Value = serde_json::from_str(stdout(&rotated)).unwrap();
    assert_eq!(json.as_array().unwrap().len(), 2);
    story.asked(&Asked::Rotate(RotateKeysRequest {
        algorithm: "ES256".to_owned(),
        immediately: true,
        request_id: String::new(),
    }));

    let revoke = |key_id: &str| {
        Asked::Revoke(RevokeKeyRequest {
            key_id: key_id.to_owned(),
            reason: "leaked".to_owned(),
            ..RevokeKeyRequest::default()
        })
    };
    let revoked = story.done(&["revoke", "active", "--reason", "leaked", "--yes"], b"");
    assert_eq!(
        (stdout(&revoked), stderr(&revoked).trim()),
        ("", "key active is revoked: its tokens are rejected")
    );
    story.asked(&revoke("active"));
    // Base64url may begin with a dash, and even look like flags.
    story.done(&["revoke", "-Q_x", "--reason", "leaked", "--yes"], b"");
    story.asked(&revoke("-Q_x"));
    for id in ["-Q_x", "-oy", "-y"] {
        let revoked = story.done(&["revoke", "--reason", "leaked", "--yes", "-o", "json", "--", id], b"");
        let json: Value = serde_json::from_str(stdout(&revoked)).unwrap();
        assert_eq!((json["key_id"].as_str(), json["state"].as_str()), (Some(id), Some("REVOKED")));
        story.asked(&revoke(id));
    }
    story.wrong(&["revoke", "active", "--reason", "leaked"], "give --yes");
    story.wrong(&["revoke", "active", "--yes"], "--reason");
}

#[test]
fn material_comes_from_files_and_stdin_and_is_never_printed() {
    let story = Story::new();
    let file = |name: &str, content: &[u8]| fs::write(story.folder.path().join(name), content).unwrap();
    file("key.pem", b"the pem\n");
    file("key.jwk", b"{\"the\":\"jwk\"}");
    file("text", format!("{SECRET_BASE64URL}=\n").as_bytes());
    file("base64", b"+//7//v/+//7//v/+//7//v/+//7//v/+//7//v/+//7\r\n");
    file("mixed", b"+_/7//v/+//7//v/+//7//v/+//7//v/+//7//v/+//7");
    file("hex", b"d2956f7fb6dbfbb0eea55c78d002532379fe8ea6642e549ad8804276b5bcffb1\n");
    file("echo", b"correct-horse-battery-staple-0123456789-abcdef\n");
    file("echo-crlf", b"correct-horse-battery-staple-0123456789-abcdef\r\n");
    file("bytes", b"\xff\n");
    file("nothing", b"");
    file("huge", &[b'A'; 300 * 1024]);

    let import =
        |material: Material| ImportKeyRequest { material: Some(material), ..ImportKeyRequest::default() };
    let pem = || Material::Pem("the pem\n".to_owned());
    let secret = || Material::Secret(SECRET.as_bytes().to_vec());
    let both = story.done(&["import", "--pem", "key.pem"], b"");
    assert_eq!(stdout(&both), "next\\u{1b}\nactive");
    story.asked(&Asked::Import(import(pem())));
    story.done(&["import", "--pem", "-", "--key-id", "-k", "--algorithm", "PS256"], b"the pem\n");
    story.asked(&Asked::Import(ImportKeyRequest {
        key_id: "-k".to_owned(),
        algorithm: "PS256".to_owned(),
        ..import(pem())
    }));
    let json = story.done(
        &["import", "--jwk", "key.jwk", "--verify-only", "--issuer", "https://other.example", "-o", "json"],
        b"",
    );
    assert!(stderr(&json).contains("skipped: `keys[1].use` must be `sig` (kid"), "{}", stderr(&json));
    assert!(!stderr(&json).contains('\u{1b}'));
    let json: Value = serde_json::from_str(stdout(&json)).unwrap();
    assert_eq!((&json[0]["state"], &json[1]["state"]), (&"PENDING".into(), &"ACTIVE".into()));
    story.asked(&Asked::Import(ImportKeyRequest {
        usage: KeyUsage::VerifyOnly.into(),
        issuer: "https://other.example".to_owned(),
        ..import(Material::JwkJson("{\"the\":\"jwk\"}".to_owned()))
    }));
    let read = story.done(&["import", "--secret-file", "text"], b"");
    assert!(stderr(&read).starts_with("the secret has 32 bytes, read as base64url\n"), "{}", stderr(&read));
    story.asked(&Asked::Import(import(secret())));
    let read = story.done(&["import", "--secret-file", "base64"], b"");
    assert!(stderr(&read).starts_with("the secret has 33 bytes, read as base64\n"), "{}", stderr(&read));
    story.asked(&Asked::Import(import(Material::Secret(
        STANDARD.decode("+//7//v/+//7//v/+//7//v/+//7//v/+//7//v/+//7").unwrap(),
    ))));
    story.done(&["import", "--secret-file", "-", "--raw"], SECRET.as_bytes());
    story.asked(&Asked::Import(import(secret())));
    story.done(&["import", "--secret-file", "bytes", "--raw"], b"");
    story.asked(&Asked::Import(import(Material::Secret(b"\xff\n".to_vec()))));

    for (arguments, words) in [
        (&[][..], "--secret-file"),
        (&["--pem", "key.pem", "--jwk", "key.jwk"], "cannot be used with"),
        (&["--pem", "key.pem", "--raw"], "cannot be used with"),
        (&["--raw"], "--secret-file"),
        (&["--pem", "bytes"], "--pem: bytes is not text"),
        (&["--pem", "absent"], "--pem: absent cannot be read"),
        (&["--jwk", "nothing"], "--jwk: nothing is empty"),
        (&["--jwk", "-"], "--jwk: stdin is empty"),
        (&["--jwk", "huge"], "--jwk: huge is too long"),
        (&["--secret-file", "key.jwk"], "--secret-file: key.jwk is not base64url"),
        (&["--secret-file", "mixed"], "--secret-file: mixed is not base64url"),
        (&["--secret-file", "hex"], "--secret-file: hex could be hex digits"),
        (&["--secret-file", "echo", "--raw"], "--secret-file: echo is text that ends with a line break"),
        (
            &["--secret-file", "echo-crlf", "--raw"],
            "--secret-file: echo-crlf is text that ends with a line break",
        ),
    ] {
        story.wrong(&[&["import"], arguments].concat(), words);
    }
    let leaky = story.run(&["import", "--secret-file", "-"], format!("{SECRET_BASE64URL}!").as_bytes());
    assert!(leaky.status.code() == Some(2) && !stderr(&leaky).contains("MDEy"), "{}", stderr(&leaky));
}
