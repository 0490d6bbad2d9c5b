//! Clients by their certificates, through real TLS: who is let in, and each way of failing at it.

use rcgen::{BasicConstraints, DnType, IsCa, SanType, date_time_ymd};
use tokend::proto::v1::{self, AuthenticationMethod::MutualTls};
use tonic::{Code, Status};

use crate::{
    harness::{TestClient, TestServer, accepted, assert_refused, for_alice},
    tls_harness::{Files, Pair, TestAuthority, tls_client, tls_server},
};

const WEB: &str = "spiffe://example.org/web";

/// A server over TLS, and the client `web`, which is known by its certificate alone.
struct Story {
    authority: TestAuthority,
    _files: Files,
    server: TestServer,
}

impl Story {
    async fn new() -> Self {
        let authority = TestAuthority::new();
        let files = Files::new(&authority);
        let server = tls_server(&authority, &files, |_| {}).await;
        let story = Self { authority, _files: files, server };
        let client = client("web", &[MutualTls.into()], &[WEB], &["web.example.org"]);
        let secret = story.create(client).await;
        assert_eq!(secret, "", "it may present none");
        story
    }

    async fn create(&self, client: v1::Client) -> String {
        let root = &self.server.root;
        let request = v1::CreateClientRequest { client: Some(client), ..Default::default() };
        accepted(root.clients().create_client(root.request(request)).await).into_inner().client_secret
    }

    /// What calls with this certificate, on a connection of its own.
    async fn with(&self, pair: Option<&Pair>) -> TestClient {
        tls_client(&self.server, &self.authority, pair, None).await
    }

    /// IssueToken on a connection with this certificate, and these headers.
    async fn issue(&self, pair: Option<&Pair>, headers: &[(&'static str, &str)]) -> Result<(), Status> {
        let mut request = tonic::Request::new(for_alice());
        for (name, value) in headers {
            request.metadata_mut().append(*name, value.parse().unwrap());
        }
        self.with(pair).await.tokens().issue_token(request).await.map(|_| ())
    }
}

fn client(client_id: &str, methods: &[i32], uris: &[&str], dns_names: &[&str]) -> v1::Client {
    let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect::<Vec<String>>();
    v1::Client {
        client_id: client_id.to_owned(),
        authentication: Some(v1::Authentication {
            methods: methods.to_vec(),
            certificate: Some(v1::CertificateNames { uris: texts(uris), dns_names: texts(dns_names) }),
            ..Default::default()
        }),
        permissions: Some(v1::Permissions {
            methods: texts(&["TokenService/*"]),
            audiences: texts(&["orders"]),
            scopes: texts(&["*"]),
            subjects: texts(&["*"]),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn uri(uri: &str) -> Vec<SanType> {
    vec![SanType::URI(uri.try_into().unwrap())]
}

const INVALID: &str = "CREDENTIALS_INVALID";
const MISSING: &str = "CREDENTIALS_MISSING";

#[tokio::test]
async fn a_certificate_opens_the_door_to_its_own_client() {
    let story = Story::new().await;
    let by_uri = story.authority.client(WEB);
    let by_dns = story.authority.client_with(|params| {
        params.subject_alt_names = vec![SanType::DnsName("Web.example.org".try_into().unwrap())];
    });
    for pair in [&by_uri, &by_dns] {
        let web = story.with(Some(pair)).await;
        let issued = accepted(
            web.issue(v1::IssueTokenRequest { audiences: vec!["orders".to_owned()], ..Default::default() })
                .await,
        );
        let claims = accepted(story.server.root.check(&issued.access_token).await).token_claims.unwrap();
        assert_eq!((claims.subject.as_str(), claims.client_id.as_str()), ("web", "web"));
    }
}

#[tokio::test]
async fn every_way_of_failing_with_a_certificate() {
    let story = Story::new().await;
    let (authority, stranger) = (&story.authority, TestAuthority::new());
    let web = authority.client(WEB);
    let secret = story.server.root.secret.clone().unwrap();
    let bearer = format!("Bearer {}", secret.reveal());

    // A certificate that names no client is not a credential, and neither is a header.
    let nameless = authority.client_with(|params| params.distinguished_name.push(DnType::CommonName, WEB));
    let unknown = authority.client("spiffe://example.org/other");
    let longer = authority.client("spiffe://example.org/web/");
    let header = format!("By=x;Hash=y;URI={WEB}");
    let forwarded =
        [("x-forwarded-client-cert", &*header), ("x-client-cert", "web"), ("x-ssl-client-s-dn", "CN=web")];
    for pair in [None, Some(&nameless), Some(&unknown), Some(&longer)] {
        assert_refused(story.issue(pair, &[]).await, Code::Unauthenticated, MISSING);
        assert_refused(story.issue(pair, &forwarded).await, Code::Unauthenticated, MISSING);
        // Such a connection may still carry another credential.
        accepted(story.issue(pair, &[("authorization", &bearer)]).await);
    }
    // Two credentials are one too many, whichever is good.
    for authorization in [&*bearer, "Bearer tkd_web_x", "Basic d2ViOng="] {
        let doubled = story.issue(Some(&web), &[("authorization", authorization)]).await;
        assert_refused(doubled, Code::Unauthenticated, INVALID);
    }
    // What the handshake refuses never reaches a method.
    let expired = authority.client_with(|params| {
        params.subject_alt_names = uri(WEB);
        params.not_after = date_time_ymd(2020, 1, 1);
    });
    let of_authority = authority.client_with(|params| {
        params.subject_alt_names = uri(WEB);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    });
    let foreign = stranger.client(WEB);
    for pair in [&expired, &of_authority, &foreign] {
        let address = format!("https://{}", story.server.grpc);
        let endpoint = tonic::transport::Channel::from_shared(address).unwrap();
        let channel = endpoint.tls_config(authority.trust(Some(pair))).unwrap().connect().await;
        if let Ok(channel) = channel {
            let refused = TestClient { channel, secret: None }.issue(for_alice()).await.err().unwrap();
            assert!(![Code::Ok, Code::Unauthenticated].contains(&refused.code()), "{refused:?}");
        }
    }
    accepted(story.issue(Some(&web), &[]).await);
}

#[tokio::test]
async fn no_kind_of_credential_stands_in_for_another() {
    let story = Story::new().await;
    let name = "spiffe://example.org/both";
    let secret_kind = v1::AuthenticationMethod::ClientSecret.into();
    let secret = story.create(client("both", &[secret_kind, MutualTls.into()], &[name], &[])).await;
    let (pair, bearer) = (story.authority.client(name), format!("Bearer {secret}"));
    accepted(story.issue(Some(&pair), &[]).await);
    accepted(story.issue(None, &[("authorization", &bearer)]).await);
    // From now on by certificate alone: the secret that it has is worth nothing.
    let root = &story.server.root;
    let only = v1::UpdateClientRequest {
        client: Some(client("both", &[MutualTls.into()], &[name], &[])),
        update_mask: Some(prost_types::FieldMask { paths: vec!["authentication.methods".to_owned()] }),
        ..Default::default()
    };
    accepted(root.clients().update_client(root.request(only)).await);
    assert_refused(story.issue(None, &[("authorization", &bearer)]).await, Code::Unauthenticated, INVALID);
    accepted(story.issue(Some(&pair), &[]).await);
}

#[tokio::test]
async fn an_open_connection_ends_with_its_certificate_and_with_its_client() {
    let story = Story::new().await;
    let until_2030 = story.authority.client_with(|params| {
        params.subject_alt_names = uri(WEB);
        params.not_after = date_time_ymd(2030, 1, 1);
    });
    let (web, lasting) = (story.with(Some(&until_2030)).await, story.authority.client(WEB));
    let lasting = story.with(Some(&lasting)).await;
    web.token().await;
    // 2030-01-01T00:00:00Z is 1,893,456,000.
    story.server.clock.advance(1_893_456_000 - story.server.clock.seconds());
    story.server.rounds.make().await.unwrap();
    assert_refused(web.issue(for_alice()).await, Code::Unauthenticated, INVALID);
    lasting.token().await;
    // On the same connection, at the next call.
    let root = &story.server.root;
    let disable = v1::UpdateClientRequest {
        client: Some(v1::Client { client_id: "web".to_owned(), disabled: true, ..Default::default() }),
        ..Default::default()
    };
    accepted(root.clients().update_client(root.request(disable)).await);
    assert_refused(lasting.issue(for_alice()).await, Code::Unauthenticated, INVALID);
}

#[tokio::test]
async fn without_tls_no_header_makes_a_certificate() {
    let server = TestServer::with(|_| {}).await;
    let store_client = client("web", &[MutualTls.into()], &[WEB], &[]);
    let request = v1::CreateClientRequest { client: Some(store_client), ..Default::default() };
    accepted(server.root.clients().create_client(server.root.request(request)).await);
    let mut request = tonic::Request::new(for_alice());
    request.metadata_mut().insert("x-forwarded-client-cert", format!("URI={WEB}").parse().unwrap());
    assert_refused(server.root.tokens().issue_token(request).await, Code::Unauthenticated, MISSING);
}
