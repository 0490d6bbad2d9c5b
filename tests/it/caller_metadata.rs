//! Metadata that is nearly a credential.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use tokend::{model::Algorithm, proto::v1};
use tonic::{
    Code, Request, Status,
    metadata::{Ascii, MetadataMap, MetadataValue},
};

use crate::{
    caller_tokens::{by_assertion, claims, issue_by, issue_with, public, register, unlimited},
    harness::{TestServer, accepted, assert_refused, for_alice},
    made_keys::made,
};

const AUTHORIZATION: &str = "authorization";

/// IssueToken with the metadata that `fill` puts in.
async fn issue_filled(
    server: &TestServer,
    fill: impl FnOnce(&mut MetadataMap),
) -> Result<v1::IssueTokenResponse, Status> {
    let mut request = Request::new(for_alice());
    fill(request.metadata_mut());
    Ok(server.root.tokens().issue_token(request).await?.into_inner())
}

fn bytes(value: &[u8]) -> MetadataValue<Ascii> {
    MetadataValue::try_from(value).unwrap()
}

#[tokio::test]
async fn binary_metadata_is_no_credential() {
    let server = TestServer::start().await;
    let secret = server.root.secret.clone().unwrap();
    let good = format!("Bearer {}", secret.reveal());
    let basic = format!("Basic {}", STANDARD.encode(format!("root:{}", secret.reveal())));
    for value in [good.as_bytes(), basic.as_bytes(), secret.reveal().as_bytes(), b"", b"\xff\x00"] {
        let binary = || MetadataValue::from_bytes(value);
        let alone = issue_filled(&server, |metadata| {
            metadata.insert_bin("authorization-bin", binary());
        });
        assert_refused(alone.await, Code::Unauthenticated, "CREDENTIALS_MISSING");
        // Nor is it a second one.
        let beside = issue_filled(&server, |metadata| {
            metadata.insert_bin("authorization-bin", binary());
            metadata.insert(AUTHORIZATION, good.parse().unwrap());
        });
        accepted(beside.await);
    }
}

#[tokio::test]
async fn what_is_no_ascii_text_is_refused_and_never_trimmed_to_what_would_be_good() {
    let server = TestServer::start().await;
    let secret = server.root.secret.clone().unwrap();
    let good = format!("Bearer {}", secret.reveal());
    let with = |before: &[u8], after: &[u8]| [before, good.as_bytes(), after].concat();
    let inside = good.replacen(' ', "\u{a0}", 1).into_bytes();
    let umlaut = format!("B\u{e9}arer {}", secret.reveal()).into_bytes();
    let full_width = format!("\u{ff22}earer {}", secret.reveal()).into_bytes();
    for value in [
        with(b"", b"\xff"),
        with(b"\xff", b""),
        with("\u{feff}".as_bytes(), b""),
        with(b"", "\u{a0}".as_bytes()),
        with(b"", "\u{e9}".as_bytes()),
        inside,
        umlaut,
        full_width,
        good.replacen(' ', "\t", 1).into_bytes(),
        with(b"", b"\t"),
        with(b"\t", b""),
        b"\xff".to_vec(),
        "Bearer \u{1f511}".as_bytes().to_vec(),
    ] {
        let shown = String::from_utf8_lossy(&value).into_owned();
        let answer = issue_filled(&server, |metadata| {
            metadata.insert(AUTHORIZATION, bytes(&value));
        })
        .await;
        assert!(answer.is_err(), "taken: {shown:?}");
        assert_refused(answer, Code::Unauthenticated, "CREDENTIALS_INVALID");
        accepted(issue_with(&server, &[(AUTHORIZATION, &good)]).await);
        // Beside the good one it is a second one.
        let both = issue_filled(&server, |metadata| {
            metadata.append(AUTHORIZATION, good.parse().unwrap());
            metadata.append(AUTHORIZATION, bytes(&value));
        });
        assert_refused(both.await, Code::Unauthenticated, "CREDENTIALS_INVALID");
    }
}

#[tokio::test]
async fn an_empty_value_is_a_value() {
    let server = TestServer::start().await;
    let good = format!("Bearer {}", server.root.secret.clone().unwrap().reveal());
    for value in ["", " ", "Bearer", "Bearer ", "Basic", "Basic ", "Basic Og==", ":"] {
        let answer = issue_with(&server, &[(AUTHORIZATION, value)]).await;
        assert_refused(answer, Code::Unauthenticated, "CREDENTIALS_INVALID");
        let both = issue_with(&server, &[(AUTHORIZATION, value), (AUTHORIZATION, &good)]).await;
        assert_refused(both, Code::Unauthenticated, "CREDENTIALS_INVALID");
        accepted(issue_with(&server, &[(AUTHORIZATION, &good)]).await);
    }
}

#[tokio::test]
async fn a_scheme_is_known_in_any_letters_and_by_nothing_less() {
    let server = TestServer::with(unlimited).await;
    register(&server, "web", by_assertion(&[public(made(Algorithm::Es256), "k")])).await;
    let secret = server.root.secret.clone().unwrap();
    let secret = secret.reveal();
    let basic = STANDARD.encode(format!("root:{secret}"));
    for (number, scheme) in ["Bearer", "bearer", "BEARER", "bEaReR"].into_iter().enumerate() {
        accepted(issue_with(&server, &[(AUTHORIZATION, &format!("{scheme} {secret}"))]).await);
        let assertion = made(Algorithm::Es256).token("k", &claims("web", &number.to_string()));
        accepted(issue_with(&server, &[(AUTHORIZATION, &format!("{scheme} {assertion}"))]).await);
    }
    for scheme in ["Basic", "basic", "BASIC", "bAsIc"] {
        accepted(issue_with(&server, &[(AUTHORIZATION, &format!("{scheme} {basic}"))]).await);
    }
    for value in [
        format!("Bear {secret}"),
        format!("Bearers {secret}"),
        format!("Token {secret}"),
        format!("DPoP {secret}"),
        format!("Negotiate {basic}"),
        format!("Basic {secret}"),
        format!("Bearer {basic}"),
        format!("Bearer: {secret}"),
        format!("Bearer={secret}"),
        format!("Bearer Bearer {secret}"),
        format!("\"Bearer\" {secret}"),
    ] {
        let answer = issue_with(&server, &[(AUTHORIZATION, &value)]).await;
        assert!(answer.is_err(), "taken: {value}");
        assert_refused(answer, Code::Unauthenticated, "CREDENTIALS_INVALID");
        accepted(issue_by(&server, secret).await);
    }
}
