//! Clients by their certificates' names, as the transport tells them; and how many failures are borne of whom.

use std::sync::Arc;

use tokend::{
    access::AuthenticationError,
    model::{Algorithm, AuthenticationMethod, ClientSettings, Peer, PeerCertificate},
};

use crate::{
    caller_door::{Door, peer},
    caller_tokens::{by, by_assertion, claims, public},
    harness::START,
    made_keys::{made, make},
};

/// A peer with a certificate of these names.
fn holder(uris: &[&str], dns_names: &[&str]) -> Peer {
    let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
    let certificate =
        PeerCertificate { uris: texts(uris), dns_names: texts(dns_names), expires_at: Some(START + 100) };
    Peer { certificate: Some(Arc::new(certificate)), ..peer("10.0.0.1") }
}

fn named(uris: &[&str], dns_names: &[&str]) -> ClientSettings {
    let mut settings = by(&[AuthenticationMethod::MutualTls]);
    settings.authentication.certificate.uris = uris.iter().map(|&text| text.to_owned()).collect();
    settings.authentication.certificate.dns_names = dns_names.iter().map(|&text| text.to_owned()).collect();
    settings
}

#[track_caller]
fn assert_invalid(answer: Result<String, AuthenticationError>, check: &str) {
    match answer {
        Err(AuthenticationError::Invalid(invalid)) => assert!(invalid.problem.contains(check), "{invalid}"),
        other => panic!("{other:?} where {check} was expected"),
    }
}

#[tokio::test]
async fn a_certificate_is_its_clients_by_exactly_one_name() {
    let door = Door::bearing(10).await;
    door.register("web", named(&["spiffe://test/web"], &["web.test"])).await;
    door.register("orders", named(&["spiffe://test/orders"], &[])).await;
    door.register("one", named(&["spiffe://test/shared"], &[])).await;
    door.register("other", named(&["spiffe://test/shared"], &["other.test"])).await;
    for good in [
        holder(&["spiffe://test/web"], &[]),
        holder(&[], &["web.test"]),
        holder(&["spiffe://test/web", "spiffe://elsewhere/x"], &["unknown.test", "web.test"]),
    ] {
        assert_eq!(door.ask(&good, None).await.unwrap(), "web");
    }
    let several = "several clients";
    assert_invalid(
        door.ask(&holder(&["spiffe://test/web", "spiffe://test/orders"], &[]), None).await,
        several,
    );
    assert_invalid(door.ask(&holder(&["spiffe://test/shared"], &[]), None).await, several);
    assert_invalid(door.ask(&holder(&["spiffe://test/shared"], &["other.test"]), None).await, several);
    for unknown in [
        holder(&["spiffe://test/web/"], &[]),
        holder(&["spiffe://test/WEB"], &[]),
        holder(&["web.test"], &["spiffe://test/web"]),
        holder(&[], &["www.web.test", "*.test", "test"]),
        holder(&[], &[]),
    ] {
        let answer = door.ask(&unknown, None).await;
        assert!(matches!(answer, Err(AuthenticationError::Missing)), "{unknown:?}: {answer:?}");
    }
}

#[tokio::test]
async fn a_certificate_counts_with_other_credentials_and_no_longer_than_it_lasts() {
    let door = Door::bearing(10).await;
    door.register("web", named(&["spiffe://test/web"], &[])).await;
    let key = make(Algorithm::Es256);
    door.register("signer", by_assertion(&[public(&key, "k")])).await;
    let assertion = |jwt_id: &str| format!("Bearer {}", key.token("k", &claims("signer", jwt_id)));
    let web = holder(&["spiffe://test/web"], &[]);
    assert_invalid(door.ask(&web, Some(&assertion("1"))).await, "and an authorization value");
    assert_invalid(door.ask(&web, Some("Bearer x")).await, "and an authorization value");
    // A certificate that names no client is not a credential.
    let proxy = holder(&["spiffe://test/proxy"], &[]);
    assert_eq!(door.ask(&proxy, Some(&assertion("1"))).await.unwrap(), "signer");
    // The connection stays open, and the certificate ends.
    door.clock.advance(99);
    assert_eq!(door.ask(&web, None).await.unwrap(), "web");
    door.clock.advance(1);
    assert_invalid(door.ask(&web, None).await, "expired");
    let endless = PeerCertificate { expires_at: None, ..(**web.certificate.as_ref().unwrap()).clone() };
    let endless = Peer { certificate: Some(Arc::new(endless)), ..web };
    assert_invalid(door.ask(&endless, None).await, "expired");
}

#[tokio::test]
async fn a_client_that_may_present_no_certificate_or_is_disabled_is_refused() {
    let door = Door::bearing(10).await;
    let web = holder(&["spiffe://test/web"], &[]);
    let settings = named(&["spiffe://test/web"], &[]);
    let mut other = settings.clone();
    other.authentication.methods = vec![AuthenticationMethod::ClientSecret];
    door.register("web", other).await;
    assert_invalid(door.ask(&web, None).await, "this type of credential");
    door.register("web", ClientSettings { disabled: true, ..settings.clone() }).await;
    assert_invalid(door.ask(&web, None).await, "disabled");
    door.register("web", settings).await;
    assert_eq!(door.ask(&web, None).await.unwrap(), "web");
}

#[tokio::test]
async fn too_many_failures_are_rate_limited_and_lock_no_client_out() {
    let door = Door::bearing(10).await;
    let key = made(Algorithm::Es256);
    door.register("web", by_assertion(&[public(key, "k")])).await;
    door.register("mesh", named(&["spiffe://test/mesh"], &[])).await;
    let good = |jwt_id: &str| format!("Bearer {}", key.token("k", &claims("web", jwt_id)));
    let bad = format!("Bearer {}", make(Algorithm::Es256).token("k", &claims("web", "bad")));
    let (attacker, client) = (peer("10.0.0.1"), peer("10.0.0.2"));
    for _ in 0..10 {
        assert_invalid(door.ask(&attacker, Some(&bad)).await, "signature");
    }
    let answer = door.ask(&attacker, Some(&bad)).await;
    let Err(AuthenticationError::RateLimited { invalid, retry_after }) = answer else { panic!("{answer:?}") };
    assert_eq!((invalid.problem, retry_after.as_secs()), ("not checked", 6));
    // Not even a good one is looked at that comes from there and names the same client: that would cost a signature.
    let answer = door.ask(&attacker, Some(&good("1"))).await;
    assert!(matches!(answer, Err(AuthenticationError::RateLimited { .. })), "{answer:?}");
    // The log is told which check failed, and nothing of the token.
    let said = door.ask(&client, Some(&bad)).await.unwrap_err().to_string();
    let expected = "the assertion's signature does not verify (private_key_jwt, client web)";
    assert_eq!(said, format!("the credential is not valid: {expected}"));
    // The client itself, elsewhere, notices nothing; nor does one with a certificate, even there.
    assert_eq!(door.ask(&client, Some(&good("1"))).await.unwrap(), "web");
    assert_eq!(door.ask(&holder(&["spiffe://test/mesh"], &[]), None).await.unwrap(), "mesh");
    // From everywhere, in the client's name: those who fail hear less, and the client is still let in.
    for host in 10..60 {
        let _ = door.ask(&peer(&format!("10.0.1.{host}")), Some(&bad)).await;
    }
    let answer = door.ask(&peer("10.0.2.1"), Some(&bad)).await;
    let Err(AuthenticationError::RateLimited { invalid, .. }) = answer else { panic!("{answer:?}") };
    assert!(invalid.problem.contains("signature"), "it was checked: {invalid}");
    assert_eq!(door.ask(&client, Some(&good("2"))).await.unwrap(), "web");
    assert_eq!(door.ask(&peer("10.0.2.1"), Some(&good("3"))).await.unwrap(), "web");
    // With time it is forgotten.
    door.clock.advance(6);
    assert_eq!(door.ask(&attacker, Some(&good("4"))).await.unwrap(), "web");
}
