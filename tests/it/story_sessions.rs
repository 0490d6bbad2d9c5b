//! The part of the story with sessions: begun, refreshed, refreshed twice.

use aws_lc_rs::digest::{SHA256, digest};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use tokend::proto::v1;

use crate::{
    harness::accepted,
    sessions::{refresh, session_for_alice, sid, using, using_in},
    story::Story,
};

const PASSWORD: &str = "a-password-of-a-session";

impl Story {
    /// A refresh token, what is secret of it, and what the store keeps of it, in each form that a dump may have them in.
    pub fn hide_refresh_token(&mut self, token: &str) {
        self.hide("a refresh token", token);
        self.hide("a refresh token without its prefix", &token[4..]);
        let bytes = URL_SAFE_NO_PAD.decode(&token[4..]).unwrap();
        let secret = &bytes[16..48];
        for (what, bytes) in [
            ("the bytes of a refresh token", secret.to_vec()),
            ("the mark of a refresh token", bytes[48..].to_vec()),
            ("the digest of a refresh token", digest(&SHA256, secret).as_ref().to_vec()),
        ] {
            self.hide(what, URL_SAFE_NO_PAD.encode(&bytes));
            self.hide(what, STANDARD_NO_PAD.encode(&bytes));
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            self.hide(what, hex.to_uppercase());
            self.hide(what, hex);
            self.hide(what, format!("{bytes:?}").trim_matches(['[', ']']).to_owned());
        }
    }

    /// Begins a session: the access token and the refresh token.
    async fn begun(&mut self, login: bool) -> (String, String) {
        let root = self.root.clone();
        if !login {
            let answer = accepted(root.issue(session_for_alice()).await);
            return (answer.access_token, answer.refresh_token);
        }
        self.hide("a password", PASSWORD);
        let user =
            v1::User { username: "anna".to_owned(), scopes: vec!["read".to_owned()], ..Default::default() };
        let create =
            v1::CreateUserRequest { user: Some(user), password: PASSWORD.to_owned(), ..Default::default() };
        accepted(root.users().create_user(root.request(create)).await);
        let request = v1::LoginRequest {
            username: "anna".to_owned(),
            password: PASSWORD.to_owned(),
            audiences: vec!["orders".to_owned()],
            scopes: vec!["read".to_owned()],
            include_refresh_token: true,
            ..Default::default()
        };
        let answer = accepted(root.tokens().login(root.request(request)).await).into_inner();
        (answer.access_token, answer.refresh_token)
    }

    /// Sessions of all fates.
    pub async fn sessions(&mut self) {
        let root = self.root.clone();
        for login in [false, true] {
            let (access_token, first) = self.begun(login).await;
            self.hide_token(&access_token);
            self.hide_refresh_token(&first);
            let mut tokens = vec![first.clone()];
            for request in 1..3 {
                let answer = accepted(refresh(&root, using_in(tokens.last().unwrap(), request)).await);
                self.hide_token(&answer.access_token);
                self.hide_refresh_token(&answer.refresh_token);
                tokens.push(answer.refresh_token);
            }
            let again = accepted(refresh(&root, using_in(&tokens[1], 2)).await);
            self.hide_token(&again.access_token);
            assert_eq!(again.refresh_token, tokens[2]);
            // Denied, malformed, misplaced, and used twice.
            let denied = v1::RefreshTokenRequest { scopes: vec!["more".to_owned()], ..using(&tokens[2]) };
            self.refusal(refresh(&root, denied).await);
            self.refusal(refresh(&root, using(&format!("{}=", tokens[2]))).await);
            self.refusal(refresh(&root, using(&access_token)).await);
            let misplaced = v1::RefreshTokenRequest { request_id: tokens[2].clone(), ..using("x") };
            self.refusal(refresh(&root, misplaced).await);
            self.refusal(root.check(&tokens[2]).await);
            self.refusal(refresh(&root, using(&first)).await);
            self.refusal(refresh(&root, using(&tokens[2])).await);
            assert_eq!(sid(&access_token), sid(&again.access_token));
        }
    }
}
