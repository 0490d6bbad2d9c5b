//! A server at which everything exists that requests are about, so that policy alone decides; and the same requests to
//! `tokend policy explain`.

use std::{cell::Cell, ffi::OsString, fs};

use tempfile::TempDir;
use tokend::{
    model::{Algorithm, ClientSecret, Pattern, Ttl},
    proto::v1::{
        self, revoke_token_request::Target as V1Target, session_service_client::SessionServiceClient,
    },
};
use tokio::runtime::Runtime;
use tonic::{Code, Status};

use crate::{
    exchanges::field,
    harness::{TestClient, TestServer, accepted, fields, reason, seconds},
    key_calls::import,
    login::{PASSWORD, log_in},
    made_keys::{made, pem_request, verify_only},
    policy_asking::Asking,
    sessions::refresh,
    users::{create, user},
};

/// Stands for the id of the client that asks.
pub const SELF: &str = "self";
pub const AUDIENCES: [&str; 4] = ["orders", "billing", "billing-eu", "mail"];
pub const SCOPES: [&str; 3] = ["read", "write", "admin"];
pub const SUBJECTS: [&str; 3] = ["alice", "bob", "user:7"];
/// Users, and their scopes.
pub const USERS: [(&str, &[&str]); 3] = [("anna", &["read"]), ("ben", &["read", "write"]), ("carl", &[])];
/// Subjects of which everything may be revoked without harm to other requests.
pub const REVOCABLE: [&str; 3] = ["gone-1", "gone-2", "left:3"];
/// Clients of which the same holds.
pub const OWNERS: [&str; 2] = ["shop", "bank"];
/// The issuer of an imported key.
pub const FOREIGN: &str = "https://old.test";
const MAX_TTL: u64 = 900;
const ALGORITHMS: &str = "mail=EdDSA,orders=ES256";

/// What a client may.
#[derive(Debug, Clone)]
pub struct May {
    pub permissions: v1::Permissions,
    pub default_audiences: Vec<String>,
    pub algorithm: String,
}

/// What is asked for of a token.
#[derive(Debug, Clone)]
pub struct Wish {
    pub audiences: Vec<String>,
    pub scopes: Vec<String>,
    pub life: Option<i64>,
}

#[derive(Debug, Clone)]
pub struct Token {
    pub subject: String,
    pub audiences: Vec<String>,
    pub scopes: Vec<String>,
    pub foreign: bool,
}

#[derive(Debug, Clone)]
pub enum Actor {
    Nobody,
    Own,
    Other(Token),
}

#[derive(Debug, Clone)]
pub enum Target {
    One { session: bool, client: &'static str, subject: &'static str },
    Foreign,
    JwtId,
    Subject(&'static str),
    Client(&'static str),
}

#[derive(Debug, Clone)]
pub enum Ask {
    Issue { subject: Option<String>, wish: Wish, claims: String, refresh: bool },
    Verify(Vec<String>),
    Introspect(Vec<String>),
    Call(&'static str),
    Login { user: usize, wish: Wish, refresh: bool },
    Refresh { subject: String, begun: Wish, claims: String, wish: Wish },
    RefreshLogin { user: usize, begun: Wish, wish: Wish },
    Revoke(Target),
    Exchange { token: Token, may_act: Option<(&'static str, &'static str)>, actor: Actor, wish: Wish },
}

/// A request to the server.
pub enum Call {
    Issue(v1::IssueTokenRequest),
    Verify(v1::VerifyTokenRequest),
    Introspect(v1::IntrospectTokenRequest),
    Method(&'static str),
    Login(v1::LoginRequest),
    Refresh(v1::RefreshTokenRequest),
    Revoke(V1Target),
    Exchange(v1::ExchangeTokenRequest),
}

/// What was said about one request: nothing, or reason and field of the refusal.
pub struct Told {
    pub what: &'static str,
    pub arguments: Vec<String>,
    pub explained: Result<(), (String, String)>,
    pub answered: Result<(), (String, String)>,
}

pub struct Scene {
    runtime: Runtime,
    pub server: TestServer,
    pub owners: Vec<TestClient>,
    pub foreign_key: String,
    folder: TempDir,
    clients: Cell<u32>,
    /// How many tokens the other issuer made.
    pub foreign_tokens: Cell<u32>,
}

fn everything() -> v1::Client {
    let any = || vec!["*".to_owned()];
    v1::Client {
        // Whatever the audiences are.
        algorithm: "ES256".to_owned(),
        permissions: Some(v1::Permissions {
            methods: any(),
            audiences: any(),
            scopes: any(),
            subjects: any(),
            claims: any(),
            login_usernames: any(),
            max_ttl: seconds(3600),
            ..Default::default()
        }),
        ..Default::default()
    }
}

impl Scene {
    pub fn start() -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (server, owners, foreign_key) = runtime.block_on(async {
            let server = TestServer::with(|settings| {
                settings.keys.algorithms = vec![Algorithm::Es256, Algorithm::EdDsa];
                settings.rules.max_ttl = Ttl::from_seconds(MAX_TTL).unwrap();
                settings.rules.audience_algorithms = ALGORITHMS
                    .split(',')
                    .map(|rule| rule.split_once('=').unwrap())
                    .map(|(audience, name)| (Pattern::parse(audience).unwrap(), name.parse().unwrap()))
                    .collect();
            })
            .await;
            for (name, scopes) in USERS {
                let scopes = scopes.iter().map(ToString::to_string).collect();
                accepted(create(&server.root, v1::User { scopes, ..user(name) }, PASSWORD).await);
            }
            let mut owners = Vec::new();
            for id in OWNERS {
                owners.push(server.client(v1::Client { client_id: id.to_owned(), ..everything() }).await);
            }
            let mut request = verify_only(pem_request(made(Algorithm::Es256).public_pem(), "ES256"));
            request.issuer = FOREIGN.to_owned();
            let key = accepted(import(&server, request).await);
            (server, owners, key.key_id)
        });
        let folder = TempDir::new().unwrap();
        Self {
            runtime,
            server,
            owners,
            foreign_key,
            folder,
            clients: Cell::new(0),
            foreign_tokens: Cell::new(0),
        }
    }

    /// What is said about these requests of a client that may that.
    pub fn ask(&self, may: &May, asks: &[Ask]) -> Vec<Told> {
        self.clients.set(self.clients.get() + 1);
        let id = format!("web-{}", self.clients.get());
        let file = self.folder.path().join("clients.toml");
        fs::write(&file, toml(&id, may)).unwrap();
        // What ends much comes last.
        let is_last = |ask: &&Ask| matches!(ask, Ask::Revoke(Target::Subject(_) | Target::Client(_)));
        let (last, first): (Vec<&Ask>, Vec<&Ask>) = asks.iter().partition(is_last);
        self.runtime.block_on(async {
            let client = self.register(&id).await;
            let mut ready = Vec::new();
            for ask in first.into_iter().chain(last) {
                ready.push(Asking { scene: self, client: &client, id: &id }.ready(ask).await);
            }
            self.restrict(&id, may).await;
            let mut all = Vec::new();
            for (what, arguments, call) in ready {
                let first = ["explain", &id, what, "-f", file.to_str().unwrap()];
                let mut arguments: Vec<String> =
                    first.iter().map(ToString::to_string).chain(arguments).collect();
                if ["issue", "login", "exchange"].contains(&what) {
                    arguments.push(format!("--server-max-ttl={MAX_TTL}s"));
                }
                if ["issue", "login", "exchange", "refresh"].contains(&what) {
                    arguments.push(format!("--server-audience-algorithms={ALGORITHMS}"));
                }
                let explained = explained(&arguments);
                let answered = self.answered(&client, call).await;
                all.push(Told { what, arguments, explained, answered });
            }
            // Whatever was revoked was issued before.
            self.server.clock.advance(2);
            all
        })
    }

    async fn register(&self, id: &str) -> TestClient {
        let client = Some(v1::Client { client_id: id.to_owned(), ..everything() });
        let request = v1::CreateClientRequest { client, ..Default::default() };
        let root = &self.server.root;
        let secret = accepted(root.clients().create_client(root.request(request)).await).into_inner();
        let secret = Some(ClientSecret::from_text(secret.client_secret));
        TestClient { channel: root.channel.clone(), secret }
    }

    async fn restrict(&self, id: &str, may: &May) {
        let client = v1::Client {
            client_id: id.to_owned(),
            permissions: Some(may.permissions.clone()),
            default_audiences: may.default_audiences.clone(),
            algorithm: may.algorithm.clone(),
            ..Default::default()
        };
        let paths = ["permissions", "default_audiences", "algorithm"].map(str::to_owned).to_vec();
        let update_mask = Some(prost_types::FieldMask { paths });
        let request = v1::UpdateClientRequest { client: Some(client), update_mask, ..Default::default() };
        let root = &self.server.root;
        accepted(root.clients().update_client(root.request(request)).await);
    }

    async fn answered(&self, by: &TestClient, call: Call) -> Result<(), (String, String)> {
        let answer = match call {
            Call::Issue(request) => by.issue(request).await.map(drop),
            Call::Verify(request) => by.verify(request).await.map(drop),
            Call::Introspect(request) => by.tokens().introspect_token(by.request(request)).await.map(drop),
            Call::Method("KeyService/ListKeys") => {
                by.keys().list_keys(by.request(v1::ListKeysRequest::default())).await.map(drop)
            }
            Call::Method("ClientService/ListClients") => {
                by.clients().list_clients(by.request(v1::ListClientsRequest::default())).await.map(drop)
            }
            Call::Method("UserService/ListUsers") => {
                by.users().list_users(by.request(v1::ListUsersRequest::default())).await.map(drop)
            }
            Call::Method("SessionService/ListSessions") => {
                let mut sessions = SessionServiceClient::new(by.channel.clone());
                sessions.list_sessions(by.request(v1::ListSessionsRequest::default())).await.map(drop)
            }
            Call::Method(_) => {
                let request = v1::BatchVerifyTokensRequest::default();
                by.tokens().batch_verify_tokens(by.request(request)).await.map(drop)
            }
            Call::Login(request) => log_in(by, request).await.map(drop),
            Call::Refresh(request) => refresh(by, request).await.map(drop),
            Call::Revoke(target) => {
                let request = v1::RevokeTokenRequest { target: Some(target), ..Default::default() };
                by.tokens().revoke_token(by.request(request)).await.map(drop)
            }
            Call::Exchange(request) => by.exchange(request).await.map(drop),
        };
        answer.map_err(|status| (reason(&status), about(&status)))
    }
}

fn about(status: &Status) -> String {
    match status.code() {
        Code::PermissionDenied => field(status),
        _ => fields(status).into_iter().next().unwrap_or_default(),
    }
}

fn explained(arguments: &[String]) -> Result<(), (String, String)> {
    let said = tokend::cli::explained(arguments.iter().map(OsString::from))
        .unwrap_or_else(|problem| panic!("{arguments:?}: {problem}"));
    let text = |name: &str| said[name].as_str().unwrap_or_default().to_owned();
    let told = if said["allowed"] == true { Ok(()) } else { Err((text("reason"), text("field"))) };
    // The values say the same, and in the same order.
    let mut checks = said["checks"].as_array().unwrap().iter();
    let denied = checks.find(|check| check["allowed"] == false);
    if said["reason"] != "FIELD_INVALID" {
        let denied = denied.map(|check| (&check["reason"], &check["field"]));
        assert_eq!(
            denied,
            told.is_err().then_some((&said["reason"], &said["field"])),
            "{arguments:?} {said}"
        );
    }
    told
}

/// The client as a file says it.
fn toml(id: &str, may: &May) -> String {
    let v1::Permissions { max_ttl, claim_values, impersonate, .. } = &may.permissions;
    let permissions = &may.permissions;
    let lists = [
        ("methods", &permissions.methods),
        ("audiences", &permissions.audiences),
        ("scopes", &permissions.scopes),
        ("subjects", &permissions.subjects),
        ("claims", &permissions.claims),
        ("verify_audiences", &permissions.verify_audiences),
        ("login_usernames", &permissions.login_usernames),
        ("roles", &permissions.roles),
        ("revoke_subjects", &permissions.revoke_subjects),
        ("revoke_clients", &permissions.revoke_clients),
        ("exchange_subjects", &permissions.exchange_subjects),
        ("exchange_audiences", &permissions.exchange_audiences),
        ("exchange_issuers", &permissions.exchange_issuers),
        ("verify_issuers", &permissions.verify_issuers),
        ("exchange_actors", &permissions.exchange_actors),
        ("admin_clients", &permissions.admin_clients),
    ];
    let lists: String = lists.iter().map(|(name, list)| format!("permissions.{name} = {list:?}\n")).collect();
    let values: Vec<String> = claim_values
        .iter()
        .map(|condition| format!("{{ claim = {:?}, values = {:?} }}", condition.claim, condition.values))
        .collect();
    let algorithm = Some(&may.algorithm).filter(|name| !name.is_empty());
    format!(
        "[[client]]\nclient_id = {id:?}\ndefault_audiences = {:?}\n{}{lists}permissions.claim_values = [{}]\n\
         permissions.impersonate = {impersonate}\npermissions.max_ttl = \"{}s\"\n",
        may.default_audiences,
        algorithm.map(|name| format!("algorithm = {name:?}\n")).unwrap_or_default(),
        values.join(", "),
        max_ttl.as_ref().unwrap().seconds,
    )
}
