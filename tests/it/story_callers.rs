//! The part of the story with people who log in and clients that sign.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tokend::{model::Algorithm, proto::v1};

use crate::{
    caller_tokens::public,
    harness::{accepted, for_alice},
    made_keys::made,
    story::Story,
};

const PASSWORD: &str = "a-password-of-the-story";
const OTHER: &str = "another-password-of-the-story";
const HASH: &str = "$2b$05$cyPPbYH.pJqzX2pEMssSPu7TjU6ca9P4PUtSG3pcze6iyozNLh01m";

impl Story {
    /// A user who logs in, mistypes, and gets other passwords.
    pub async fn people(&mut self) {
        for (what, text) in [("a password", PASSWORD), ("a password", OTHER), ("a hash", HASH)] {
            self.hide(what, text);
            self.hide(what, URL_SAFE_NO_PAD.encode(text));
        }
        let root = self.root.clone();
        let user = v1::User { user_id: "u-1".to_owned(), username: "maria".to_owned(), ..Default::default() };
        let create =
            v1::CreateUserRequest { user: Some(user), password: PASSWORD.to_owned(), ..Default::default() };
        accepted(root.users().create_user(root.request(create.clone())).await);
        self.refusal(root.users().create_user(root.request(create)).await);
        let log_in = async |username: &str, password: &str| {
            let request = v1::LoginRequest {
                username: username.to_owned(),
                password: password.to_owned(),
                audiences: vec!["orders".to_owned()],
                ..Default::default()
            };
            root.tokens().login(root.request(request)).await
        };
        let token = accepted(log_in("maria", PASSWORD).await).into_inner().access_token;
        self.hide_token(&token);
        // The password where the name belongs, and another's.
        for (username, password) in [(PASSWORD, "maria"), ("maria", OTHER), ("nobody", PASSWORD)] {
            self.refusal(log_in(username, password).await);
        }
        for (password, password_hash) in [(OTHER, ""), ("", HASH), (OTHER, HASH)] {
            let request = v1::SetUserPasswordRequest {
                user_id: "u-1".to_owned(),
                password: password.to_owned(),
                password_hash: password_hash.to_owned(),
                ..Default::default()
            };
            let set = root.users().set_user_password(root.request(request)).await;
            if password.is_empty() || password_hash.is_empty() {
                accepted(set);
            } else {
                self.refusal(set);
            }
        }
    }

    /// A client that signs assertions: one is used, and used again. `token` is one of the server's.
    pub async fn assertions(&mut self, token: &str) {
        let payload = token.split('.').nth(1).unwrap();
        let own: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap();
        let key = made(Algorithm::Es256);
        let client = v1::Client {
            client_id: "signer".to_owned(),
            authentication: Some(v1::Authentication {
                methods: vec![v1::AuthenticationMethod::PrivateKeyJwt.into()],
                assertion_keys: Some(v1::AssertionKeys {
                    jwks_json: json!({ "keys": [public(key, "story")] }).to_string(),
                    ..Default::default()
                }),
                ..Default::default()
            }),
            permissions: Some(v1::Permissions {
                methods: vec!["TokenService/IssueToken".to_owned()],
                audiences: vec!["orders".to_owned()],
                scopes: vec!["read".to_owned()],
                subjects: vec!["alice".to_owned()],
                ..Default::default()
            }),
            ..Default::default()
        };
        let root = self.root.clone();
        let create = v1::CreateClientRequest { client: Some(client), ..Default::default() };
        let created = accepted(root.clients().create_client(root.request(create)).await).into_inner();
        assert_eq!(created.client_secret, "", "it may present none");
        let assertion = |jwt_id: &str| {
            let claims = json!({
                "iss": "signer", "sub": "signer", "aud": own["iss"], "jti": jwt_id,
                "iat": own["iat"], "exp": own["iat"].as_i64().unwrap() + 240,
            });
            key.token("story", &claims)
        };
        let (good, wrong) = (assertion("story-1"), format!("{}A", assertion("story-2")));
        for token in [&good, &wrong] {
            self.hide_token(token);
        }
        self.issue("story-assertion", Self::with(for_alice(), &[&format!("Bearer {good}")])).await;
        for token in [good, wrong] {
            let request = Self::with(for_alice(), &[&format!("Bearer {token}")]);
            self.refusal(root.tokens().issue_token(request).await);
        }
    }
}
