//! Where the tables of hostile tokens are tried: a server, and keys of one profile with which the tokens are signed.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use tokend::{keys::SharedSecret, model::Algorithm};
use tonic::Code;

use crate::{
    client_scene::rejected,
    exchanges::good_for_nothing,
    forge::{Forge, Profile, b64},
    harness::{TestServer, accepted, reason, refused},
};

/// A name, the token, and the reason that it must be refused for.
pub type Row = (String, String, &'static str);

/// What the foreign profile takes otherwise than that of tokend's own tokens, by the name of the row: the reason for which VerifyToken
/// refuses, if it does, and the one for which ExchangeToken does.
const FOREIGN: [(&str, Option<&str>, Option<&str>); 15] = [
    ("no type", None, None),
    ("a lower-case type", None, None),
    ("no kid", None, None),
    ("nested", None, None),
    // Signed by the attacker, and verified with the only key of the issuer.
    ("jwk without kid", Some("TOKEN_SIGNATURE_INVALID"), Some("TOKEN_SIGNATURE_INVALID")),
    ("no sub", None, Some("TOKEN_CLAIM_INVALID")),
    ("an empty sub", None, Some("TOKEN_CLAIM_INVALID")),
    // Only this server's own tokens must be revocable by `jti`.
    ("an empty jti", None, None),
    ("a jti of 256 bytes", None, None),
    ("a jti with U+0000", None, None),
    ("scope as list", None, None),
    ("client_id as object", None, None),
    ("act as text", None, None),
    ("act without sub", None, Some("TOKEN_CLAIM_INVALID")),
    ("an actor's actor without sub", None, Some("TOKEN_CLAIM_INVALID")),
];

pub struct Scene {
    pub server: TestServer,
    pub forge: Forge,
    /// A token that is good.
    pub good: String,
    profile: Profile,
}

impl Scene {
    pub async fn new(profile: Profile) -> Self {
        let algorithms =
            [Algorithm::Es256, Algorithm::Hs256, Algorithm::Es384, Algorithm::Rs256, Algorithm::Ps256];
        let server = TestServer::with(|settings| {
            settings.keys.algorithms = algorithms.to_vec();
            // Shared with others, who may well write such payloads.
            settings.keys.shared_secret = Some(SharedSecret(zeroize::Zeroizing::new(vec![8; 32])));
        })
        .await;
        let forge = Forge::by(profile, &server, &algorithms).await;
        let mut scene = Self { server, forge, good: String::new(), profile };
        scene.good = scene.token().await;
        scene
    }

    /// Another good token.
    pub async fn token(&self) -> String {
        match self.profile {
            Profile::Own => self.server.root.token().await,
            Profile::Foreign => {
                let mut claims = self.forge.payload();
                claims["jti"] = format!("of the {}", self.good.len()).into();
                self.forge.token(Algorithm::Es256, &claims)
            }
        }
    }

    /// What VerifyToken and ExchangeToken refuse a row for, which the foreign profile may take.
    fn expected(&self, name: &str, expected: &'static str) -> (Option<&'static str>, Option<&'static str>) {
        let foreign = FOREIGN.iter().find(|row| self.profile == Profile::Foreign && row.0 == name);
        foreign.map_or((Some(expected), Some(expected)), |(_, verify, exchange)| (*verify, *exchange))
    }

    /// A verifier of a service must refuse each row as well, for the same reason. It has tokend's own public keys only: of the foreign
    /// profile it takes nothing, and a key that is a secret is unknown. Rows of good form under the secret are signed with ES256 for it.
    async fn all_refused_offline(&self, rows: &[Row]) {
        let offline = crate::client_scene::offline(&self.server).await;
        let secret = self.forge.kid(Algorithm::Hs256);
        let by_secret = b64(self.forge.header(Algorithm::Hs256));
        for (name, token, expected) in rows {
            let (head, rest) = token.split_once('.').unwrap_or_default();
            let token = match rest.split_once('.') {
                Some((payload, _)) if head == by_secret && *expected != "TOKEN_SIGNATURE_INVALID" => {
                    let input = format!("{}.{payload}", b64(self.forge.header(Algorithm::Es256)));
                    &self.forge.sign_input(Algorithm::Es256, &input)
                }
                _ => token,
            };
            let reason = rejected(offline.verify(token).await);
            let head = token.split('.').next().and_then(|head| URL_SAFE_NO_PAD.decode(head).ok());
            let is_secret = head.is_some_and(|head| String::from_utf8_lossy(&head).contains(secret));
            if is_secret || self.profile == Profile::Foreign {
                continue;
            }
            assert_eq!(reason, *expected, "offline: {name}");
        }
        let is_good = offline.verify(&self.good).await.is_ok();
        assert_eq!(is_good, self.profile == Profile::Own, "offline: the good token");
    }

    /// Every row must be refused, unless the profile takes it; the good token must verify around each. Answers how many there are.
    pub async fn all_refused(&self, rows: Vec<Row>) -> usize {
        let Self { server, good, .. } = self;
        let count = rows.len();
        self.all_refused_offline(&rows).await;
        // Before the good token is in the verified-token cache, and then with it there.
        for (name, token, expected) in &rows {
            if let (Some(expected), _) = self.expected(name, expected) {
                assert_eq!(reason(&refused(server.root.check(token).await)), expected, "{name}");
            }
        }
        for (name, token, expected) in rows {
            accepted(server.root.check(good).await);
            let (verify, exchange) = self.expected(&name, expected);
            let answer = server.root.check(&token).await;
            let Some(expected) = verify else {
                accepted(answer);
                if let Some(expected) = exchange {
                    let answer = server.root.exchange(crate::exchanges::exchange_of(&token)).await;
                    assert_eq!(reason(&refused(answer)), expected, "{name}");
                }
                continue;
            };
            let status = refused(answer);
            assert_eq!(status.code(), Code::InvalidArgument, "{name}");
            assert_eq!(reason(&status), expected, "{name}: {}", status.message());
            assert!(!status.message().contains("alice"), "{name}: a claim in {}", status.message());
            good_for_nothing(server, good, &name, &token, expected).await;
        }
        accepted(server.root.check(good).await);
        count
    }
}

pub fn rows(named: Vec<(&str, String, &'static str)>) -> Vec<Row> {
    named.into_iter().map(|(name, token, expected)| (name.to_owned(), token, expected)).collect()
}

/// The token cut at its dots.
pub fn cut(token: &str) -> (String, String, String) {
    let mut parts = token.split('.').map(str::to_owned);
    (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap())
}
