//! What the store holds of a credential is not that credential.

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL};
use tokend::model::{ClientId, ClientSecret, REFRESH_TOKEN_PREFIX, SessionId, UnixTime, Username};
use tonic::Code;

use crate::{
    harness::{START, TestClient, TestServer, accepted, assert_refused, for_alice},
    login::{PASSWORD, alice, log_in, with_alice},
    revoke_calls::begin,
    sessions::{refresh, using},
};

#[tokio::test]
async fn a_stored_hash_is_no_secret_no_password_and_no_refresh_token() {
    let server = TestServer::start().await;
    with_alice(&server).await;
    let begun = begin(&server.root).await;

    let root = server.store.client(&ClientId::parse("root").unwrap()).await.unwrap();
    let digest = *root.secrets[0].digest.as_bytes();
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    for text in [hex, BASE64URL.encode(digest), format!("tkd_root_{}", BASE64URL.encode(digest))] {
        let thief =
            TestClient { channel: server.root.channel.clone(), secret: Some(ClientSecret::from_text(text)) };
        assert_refused(thief.issue(for_alice()).await, Code::Unauthenticated, "CREDENTIALS_INVALID");
    }

    let user = server.store.user_by_name(&Username::parse("alice").unwrap()).await.unwrap();
    let answer = log_in(&server.root, alice(user.password.reveal())).await;
    assert_refused(answer, Code::Unauthenticated, "LOGIN_FAILED");
    accepted(log_in(&server.root, alice(PASSWORD)).await);

    // The family key yields the mark of any secret, and the secret of the token that is good is not there.
    let session_id = SessionId::parse(begun.session_id.as_str()).unwrap();
    let session = server.store.session(&session_id, UnixTime::from_seconds(START)).await.unwrap();
    let secret = session.current.as_bytes();
    let family = hmac::Key::new(hmac::HMAC_SHA256, session.family.as_bytes());
    let mark = hmac::sign(&family, secret);
    let bytes = [&BASE64URL.decode(&begun.session_id).unwrap()[..], secret, &mark.as_ref()[..16]].concat();
    let forged = format!("{REFRESH_TOKEN_PREFIX}{}", BASE64URL.encode(bytes));
    assert_eq!(forged.len(), begun.refresh_token.len());
    let answer = refresh(&server.root, using(&forged)).await;
    assert_refused(answer, Code::Unauthenticated, "REFRESH_TOKEN_REUSED");
}
