//! ClientService: how clients prove who they are, and the rest of what only operators decide, there and back.

use tokend::proto::v1::{self, AuthenticationMethod as Method};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::harness::{TestServer, accepted, assert_refused, fields, refused};

/// An Ed25519 key of RFC 8037 appendix A.
const PUBLIC: &str = r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
const PRIVATE: &str = r#"{"kty":"OKP","crv":"Ed25519","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
const SHARED: &str = r#"{"kty":"oct","alg":"HS256","k":"c2hhcmVkLXNlY3JldC1vZi0zMi1ieXRlcy1vci1tb3JlISE"}"#;

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

fn set(keys: &[&str]) -> String {
    format!(r#"{{"keys":[{}]}}"#, keys.join(","))
}

fn condition(claim: &str, values: &[&str]) -> v1::ClaimCondition {
    v1::ClaimCondition { claim: claim.to_owned(), values: texts(values) }
}

/// A client that uses all that there is.
fn full() -> v1::Client {
    let identity = v1::WorkloadIdentity {
        issuer: "https://kubernetes.default.svc".to_owned(),
        audience: "tokend".to_owned(),
        conditions: vec![
            condition("sub", &["system:serviceaccount:shop:orders"]),
            condition("/a~1b/c", &["x*"]),
        ],
    };
    v1::Client {
        client_id: "orders".to_owned(),
        authentication: Some(v1::Authentication {
            client_secrets: Vec::new(),
            methods: [
                Method::ClientSecret,
                Method::MutualTls,
                Method::PrivateKeyJwt,
                Method::WorkloadIdentity,
                Method::UnixPeer,
            ]
            .map(i32::from)
            .to_vec(),
            certificate: Some(v1::CertificateNames {
                uris: texts(&["spiffe://example.org/orders"]),
                dns_names: texts(&["orders.shop.svc"]),
            }),
            assertion_keys: Some(v1::AssertionKeys { jwks_json: set(&[PUBLIC]), ..Default::default() }),
            workload_identities: vec![identity],
            unix_peer: Some(v1::UnixIds { uids: vec![1000], gids: vec![100, 0] }),
        }),
        permissions: Some(v1::Permissions {
            claims: texts(&["tenant", "limits"]),
            claim_values: vec![condition("tenant", &["acme", "acme-*"]), condition("/limits/rate", &["10"])],
            login_usernames: texts(&["staff-*"]),
            roles: texts(&["viewer", "user-admin"]),
            ..Default::default()
        }),
        limits: Some(v1::ClientLimits { calls_per_second: 100, concurrent_calls: 7 }),
        ..Default::default()
    }
}

/// The same without what authenticates, but for this.
fn only(authentication: v1::Authentication) -> v1::Client {
    v1::Client { authentication: Some(authentication), ..Default::default() }
}

async fn create(server: &TestServer, client: v1::Client) -> Result<v1::CreateClientResponse, Status> {
    let request = v1::CreateClientRequest { client: Some(client), request_id: String::new() };
    Ok(server.root.clients().create_client(server.root.request(request)).await?.into_inner())
}

#[tokio::test]
async fn everything_that_operators_decide_comes_back() {
    let server = TestServer::start().await;
    let made = accepted(create(&server, full()).await);
    let request = v1::GetClientRequest { client_id: "orders".to_owned() };
    let shown = accepted(server.root.clients().get_client(server.root.request(request)).await);
    let client = shown.into_inner().client.unwrap();
    assert_eq!(made.client.as_ref(), Some(&client));
    let asked = full();
    let mut authentication = client.authentication.unwrap();
    assert_eq!(authentication.client_secrets.len(), 1);
    authentication.client_secrets.clear();
    assert_eq!(Some(authentication), asked.authentication);
    assert_eq!(client.limits, asked.limits);
    let (permissions, asked) = (client.permissions.unwrap(), asked.permissions.unwrap());
    assert_eq!(permissions.claim_values, asked.claim_values);
    assert_eq!((permissions.login_usernames, permissions.roles), (asked.login_usernames, asked.roles));
}

#[tokio::test]
async fn a_client_that_presents_no_secret_is_given_none() {
    let server = TestServer::start().await;
    let names = v1::CertificateNames { uris: texts(&["spiffe://example.org/web"]), ..Default::default() };
    let web = v1::Client {
        client_id: "web".to_owned(),
        ..only(v1::Authentication {
            methods: vec![Method::MutualTls.into()],
            certificate: Some(names),
            ..Default::default()
        })
    };
    let made = accepted(create(&server, web).await);
    assert_eq!(made.client_secret, "");
    assert_eq!(made.client.unwrap().authentication.unwrap().client_secrets, []);
    let request = v1::RotateClientSecretRequest { client_id: "web".to_owned(), ..Default::default() };
    let rotated = server.root.clients().rotate_client_secret(server.root.request(request)).await;
    assert_refused(rotated, Code::FailedPrecondition, "CLIENT_SECRET_NOT_USED");
}

#[tokio::test]
async fn a_method_needs_what_it_works_with_and_nothing_else_is_given() {
    let server = TestServer::start().await;
    let belongings = ["certificate", "assertion_keys", "workload_identities", "unix_peer"];
    let bare = v1::Authentication {
        methods: [Method::MutualTls, Method::PrivateKeyJwt, Method::WorkloadIdentity, Method::UnixPeer]
            .map(i32::from)
            .to_vec(),
        ..Default::default()
    };
    let mut idle = full().authentication.unwrap();
    idle.methods = vec![Method::ClientSecret.into()];
    let unsaid = v1::Authentication { methods: Vec::new(), ..idle.clone() };
    for wrong in [bare, idle, unsaid] {
        let status =
            assert_refused(create(&server, only(wrong)).await, Code::InvalidArgument, "FIELD_INVALID");
        assert_eq!(fields(&status), belongings.map(|name| format!("client.authentication.{name}")));
    }
    for methods in [vec![0], vec![1, 9]] {
        let status =
            refused(create(&server, only(v1::Authentication { methods, ..Default::default() })).await);
        let [field] = &fields(&status)[..] else { panic!("{:?}", fields(&status)) };
        assert!(field.starts_with("client.authentication.methods["), "{field}");
    }
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_by_its_field() {
    let server = TestServer::start().await;
    type Change = fn(&mut v1::Client);
    let cases: [(&str, Change); 18] = [
        ("default_audiences[0]", |client| {
            client.permissions.as_mut().unwrap().audiences = texts(&["*"]);
            client.default_audiences = texts(&["a\n"]);
        }),
        ("authentication.certificate.uris[0]", |client| {
            client.authentication.as_mut().unwrap().certificate.as_mut().unwrap().uris = texts(&["orders"]);
        }),
        ("authentication.certificate.dns_names[1]", |client| {
            let names = texts(&["a.b", "*.b"]);
            client.authentication.as_mut().unwrap().certificate.as_mut().unwrap().dns_names = names;
        }),
        ("authentication.certificate.uris", |client| {
            let names = vec!["spiffe://a/b".to_owned(); 17];
            client.authentication.as_mut().unwrap().certificate.as_mut().unwrap().uris = names;
        }),
        ("authentication.assertion_keys", |client| {
            let keys = client.authentication.as_mut().unwrap().assertion_keys.as_mut().unwrap();
            keys.jwks_file = "orders.json".to_owned();
        }),
        ("authentication.assertion_keys.jwks_file", |client| {
            let keys = v1::AssertionKeys { jwks_file: "../orders.json".to_owned(), ..Default::default() };
            client.authentication.as_mut().unwrap().assertion_keys = Some(keys);
        }),
        ("authentication.workload_identities[0].issuer", |client| {
            client.authentication.as_mut().unwrap().workload_identities[0].issuer.clear();
        }),
        ("authentication.workload_identities[0].conditions", |client| {
            client.authentication.as_mut().unwrap().workload_identities[0].conditions.clear();
        }),
        ("authentication.workload_identities[0].conditions[0].values", |client| {
            client.authentication.as_mut().unwrap().workload_identities[0].conditions[0].values.clear();
        }),
        ("authentication.workload_identities[0].conditions[1].claim", |client| {
            let conditions = &mut client.authentication.as_mut().unwrap().workload_identities[0].conditions;
            conditions[1].claim = "/a~2".to_owned();
        }),
        ("authentication.workload_identities", |client| {
            let identities = &mut client.authentication.as_mut().unwrap().workload_identities;
            *identities = vec![identities[0].clone(); 17];
        }),
        ("permissions.claim_values[0].claim", |client| {
            client.permissions.as_mut().unwrap().claim_values[0].claim = "tennant".to_owned();
        }),
        ("permissions.claim_values[1].claim", |client| {
            let permissions = client.permissions.as_mut().unwrap();
            permissions.claims = texts(&["*"]);
            permissions.claim_values[1].claim = "sub".to_owned();
        }),
        ("permissions.claim_values[1].claim", |client| {
            client.permissions.as_mut().unwrap().claim_values[1].claim = "tenant".to_owned();
        }),
        ("permissions.roles[1]", |client| {
            client.permissions.as_mut().unwrap().roles = texts(&["viewer", "root"]);
        }),
        ("permissions.login_usernames[0]", |client| {
            client.permissions.as_mut().unwrap().login_usernames = texts(&["*@example.org"]);
        }),
        ("limits.calls_per_second", |client| client.limits.as_mut().unwrap().calls_per_second = -1),
        ("limits.concurrent_calls", |client| client.limits.as_mut().unwrap().concurrent_calls = i32::MIN),
    ];
    for (field, change) in cases {
        let mut client = full();
        change(&mut client);
        let status = assert_refused(create(&server, client).await, Code::InvalidArgument, "FIELD_INVALID");
        assert_eq!(fields(&status), [format!("client.{field}")]);
    }
    accepted(create(&server, full()).await);
}

#[tokio::test]
async fn keys_for_assertions_are_public_ones_and_others_are_not_repeated() {
    let server = TestServer::start().await;
    let place = "client.authentication.assertion_keys.jwks_json";
    let d = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A";
    for (jwks_json, field) in [
        (set(&[PRIVATE]), format!("{place}.keys[0]")),
        (set(&[SHARED]), format!("{place}.keys[0]")),
        (set(&[PUBLIC, PRIVATE]), format!("{place}.keys[1]")),
        (PUBLIC.to_owned(), place.to_owned()),
        (PRIVATE.to_owned(), format!("{place}.keys[0]")),
        (set(&[]), format!("{place}.keys")),
        (format!("{{\"keys\":[], \"{d}"), place.to_owned()),
        (set(&[&PUBLIC.replace("sig", "enc").replace("11qY", "21qY")]), format!("{place}.keys[0].x")),
    ] {
        let authentication = v1::Authentication {
            methods: vec![Method::PrivateKeyJwt.into()],
            assertion_keys: Some(v1::AssertionKeys { jwks_json: jwks_json.clone(), ..Default::default() }),
            ..Default::default()
        };
        let status = refused(create(&server, only(authentication)).await);
        assert_eq!(fields(&status), [field], "{jwks_json}");
        let told = format!("{status:?} {:?}", status.get_error_details());
        assert!(!told.contains(d) && !told.contains("c2hhcmVk"), "{told}");
    }
}

#[tokio::test]
async fn a_certificate_or_a_user_is_one_clients() {
    let server = TestServer::start().await;
    accepted(create(&server, full()).await);
    let mut second = full();
    second.client_id = "second".to_owned();
    let status =
        assert_refused(create(&server, second.clone()).await, Code::InvalidArgument, "FIELD_INVALID");
    let names = [
        "certificate.uris[0]",
        "certificate.dns_names[0]",
        "unix_peer.uids[0]",
        "unix_peer.gids[0]",
        "unix_peer.gids[1]",
    ];
    assert_eq!(fields(&status), names.map(|name| format!("client.authentication.{name}")));
    assert!(format!("{:?}", status.get_error_details()).contains("`orders`"), "says whose they are");
    let names = v1::CertificateNames { uris: texts(&["spiffe://example.org/second"]), ..Default::default() };
    let authentication = second.authentication.as_mut().unwrap();
    authentication.certificate = Some(names);
    authentication.unix_peer = Some(v1::UnixIds { uids: vec![100], gids: vec![1000] });
    accepted(create(&server, second).await);
}
