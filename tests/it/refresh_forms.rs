//! Malformed refresh tokens are refused, and end no session.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::{
    harness::{TestServer, accepted},
    sessions::{assert_invalid, begin, refreshed, session_for_alice},
};

/// A token of these 64 bytes.
fn token(bytes: &[u8]) -> String {
    format!("tkr_{}", URL_SAFE_NO_PAD.encode(bytes))
}

fn bytes(token: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(token.strip_prefix("tkr_").unwrap()).unwrap()
}

/// The same with these bytes turned over.
fn turned(token_text: &str, at: std::ops::Range<usize>) -> String {
    let mut bytes = bytes(token_text);
    bytes[at].iter_mut().for_each(|byte| *byte ^= 0x55);
    token(&bytes)
}

#[tokio::test]
async fn garbage_is_no_refresh_token_and_ends_nothing() {
    let server = TestServer::start().await;
    let answer = accepted(server.root.issue(session_for_alice()).await);
    let used = answer.refresh_token;
    let good = refreshed(&server.root, &used).await;
    // Long after the window: each that is taken for a used one would end the session.
    server.clock.advance(60);
    for token_text in [&good, &used] {
        let last = token_text.len() - 1;
        for garbage in [
            "x".to_owned(),
            "tkr_".to_owned(),
            "null".to_owned(),
            token_text[..last].to_owned(),
            token_text[4..].to_owned(),
            token_text[..44].to_owned(),
            format!("{token_text}A"),
            format!("{token_text}="),
            format!("{token_text}\n"),
            format!(" {token_text}"),
            format!("Bearer {token_text}"),
            format!("{token_text}{token_text}"),
            format!("\"{token_text}\""),
            format!("{}B", &token_text[..last]),
            token_text.replacen("tkr_", "TKR_", 1),
            token_text.replacen("tkr_", "tkd_", 1),
            token_text.replacen("tkr_", "tkr_+", 1)[..90].to_owned(),
            "\u{444}".repeat(45),
            answer.access_token.clone(),
            server.root.secret.clone().unwrap().reveal().to_owned(),
            turned(token_text, 0..1),
            turned(token_text, 16..17),
            turned(token_text, 47..48),
            turned(token_text, 48..49),
            turned(token_text, 63..64),
        ] {
            assert_invalid(&server.root, &garbage).await;
        }
    }
    refreshed(&server.root, &good).await;
}

#[tokio::test]
async fn knowledge_of_a_session_id_does_not_suffice_to_end_the_session() {
    let server = TestServer::start().await;
    let used = begin(&server.root).await;
    let other = begin(&server.root).await;
    let good = refreshed(&server.root, &used).await;
    server.clock.advance(60);
    let (own, foreign) = (bytes(&good), bytes(&other));
    for made_up in [
        [&own[..16], &[7; 48]].concat(),
        [&own[..16], &[0; 48]].concat(),
        // A secret and a mark that belong together, of another session.
        [&own[..16], &foreign[16..]].concat(),
        [&own[..16], &foreign[16..48], &own[48..]].concat(),
        [&own[..48], &[0; 16]].concat(),
    ] {
        assert_invalid(&server.root, &token(&made_up)).await;
    }
    for alive in [&good, &other] {
        refreshed(&server.root, alive).await;
    }
}
