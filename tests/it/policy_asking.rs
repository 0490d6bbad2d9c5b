//! What a request is about, made before the client's permissions are taken from it; and the same in flags.

use serde_json::{Value, json};
use tokend::{
    model::Algorithm,
    proto::v1::{self, revoke_token_request::Target as V1Target},
};

use crate::{
    exchanges::{exchange_by, exchange_of},
    harness::{ISSUER, TestClient, accepted, seconds},
    login::{PASSWORD, log_in},
    made_keys::made,
    policy_scene::{AUDIENCES, Actor, Ask, Call, FOREIGN, OWNERS, SELF, Scene, Target, Token, USERS, Wish},
    revoke_calls::subject as whole_subject,
    sessions::sid,
};

/// One client that asks, while it may do everything.
pub struct Asking<'a> {
    pub scene: &'a Scene,
    pub client: &'a TestClient,
    pub id: &'a str,
}

impl Asking<'_> {
    fn named(&self, text: &str) -> String {
        if text == SELF { self.id.to_owned() } else { text.to_owned() }
    }

    fn all_named(&self, texts: &[String]) -> Vec<String> {
        texts.iter().map(|text| self.named(text)).collect()
    }

    /// The question, its flags and the call, with all that the call needs.
    pub async fn ready(&self, ask: &Ask) -> (&'static str, Vec<String>, Call) {
        match ask {
            Ask::Issue { subject, wish, claims, refresh } => {
                let subject = subject.as_ref().map(|subject| self.named(subject)).unwrap_or_default();
                let mut flags = wish.flags();
                flags.extend((!subject.is_empty()).then(|| format!("--subject={subject}")));
                flags.extend((!claims.is_empty()).then(|| format!("--claims-json={claims}")));
                flags.extend(refresh.then(|| "--refresh".to_owned()));
                ("issue", flags, Call::Issue(wish.issue(subject, claims, *refresh)))
            }
            Ask::Verify(audiences) => {
                let request = v1::VerifyTokenRequest {
                    token: self.for_all().await,
                    audiences: audiences.clone(),
                    ..Default::default()
                };
                ("verify", flags("--audience", audiences), Call::Verify(request))
            }
            Ask::Introspect(audiences) => {
                let (token, audiences) = (self.for_all().await, audiences.clone());
                let flags = flags("--audience", &audiences);
                (
                    "introspect",
                    flags,
                    Call::Introspect(v1::IntrospectTokenRequest { token, audiences, ..Default::default() }),
                )
            }
            Ask::Call(method) => ("call", vec![(*method).to_owned()], Call::Method(method)),
            Ask::Login { user, wish, refresh } => {
                let mut flags = wish.flags();
                flags.push(format!("--username={}", USERS[*user].0));
                flags.extend(held("--user-scope", USERS[*user].1));
                flags.extend(refresh.then(|| "--refresh".to_owned()));
                ("login", flags, Call::Login(wish.login(*user, *refresh)))
            }
            Ask::Refresh { subject, begun, claims, wish } => {
                let subject = self.named(subject);
                let session = accepted(self.client.issue(begun.issue(subject.clone(), claims, true)).await);
                let mut flags = self.refresh_flags(begun, wish);
                flags.push(format!("--subject={subject}"));
                flags.extend((!claims.is_empty()).then(|| format!("--claims-json={claims}")));
                ("refresh", flags, Call::Refresh(wish.refresh(session.refresh_token)))
            }
            Ask::RefreshLogin { user, begun, wish } => {
                let mut begun = begun.clone();
                begun.scopes.retain(|scope| USERS[*user].1.contains(&scope.as_str()));
                let session = accepted(log_in(self.client, begun.login(*user, true)).await);
                let mut flags = self.refresh_flags(&begun, wish);
                flags.push("--by-login".to_owned());
                flags.extend(held("--user-scope", USERS[*user].1));
                ("refresh", flags, Call::Refresh(wish.refresh(session.refresh_token)))
            }
            Ask::Revoke(target) => {
                let (flags, target) = self.revocation(target).await;
                ("revoke", flags, Call::Revoke(target))
            }
            Ask::Exchange { token, may_act, actor, wish } => {
                self.exchange(token, *may_act, actor, wish).await
            }
        }
    }

    /// A token that is for everybody.
    async fn for_all(&self) -> String {
        let audiences = AUDIENCES.map(str::to_owned).to_vec();
        let wish = Wish { audiences, scopes: Vec::new(), life: None };
        accepted(self.client.issue(wish.issue(String::new(), "", false)).await).access_token
    }

    fn refresh_flags(&self, begun: &Wish, wish: &Wish) -> Vec<String> {
        let mut all = wish.narrowing();
        all.extend(flags("--session-audience", &begun.audiences));
        let scopes: Vec<&str> = begun.scopes.iter().map(String::as_str).collect();
        all.extend(held("--session-scope", &scopes));
        all
    }

    fn owner(&self, client: &str) -> &TestClient {
        OWNERS.iter().position(|id| *id == client).map_or(self.client, |index| &self.scene.owners[index])
    }

    async fn revocation(&self, target: &Target) -> (Vec<String>, V1Target) {
        match target {
            Target::One { session, client, subject } => {
                let (client_id, subject) = (self.named(client), self.named(subject));
                let wish = Wish { audiences: vec!["orders".to_owned()], scopes: Vec::new(), life: None };
                let begun = self.owner(client).issue(wish.issue(subject.clone(), "", true)).await;
                let begun = accepted(begun);
                let kind = if *session { "--session" } else { "--token" };
                let flags =
                    [kind.to_owned(), format!("--subject={subject}"), format!("--client={client_id}")];
                let target = match session {
                    true => V1Target::SessionId(sid(&begun.access_token)),
                    false => V1Target::Token(begun.access_token),
                };
                (flags.to_vec(), target)
            }
            Target::Foreign => {
                let token = Token {
                    subject: "alice".to_owned(),
                    audiences: vec!["orders".to_owned()],
                    scopes: Vec::new(),
                    foreign: true,
                };
                let token = self.token(&token, None).await;
                (vec!["--token".to_owned(), format!("--token-issuer={FOREIGN}")], V1Target::Token(token))
            }
            Target::JwtId => (vec!["--jwt-id=x".to_owned()], V1Target::JwtId("x".to_owned())),
            Target::Subject(subject) => {
                let subject = self.named(subject);
                (vec![format!("--subject={subject}")], whole_subject(&subject, None))
            }
            Target::Client(client) => {
                let client = self.named(client);
                (vec![format!("--client={client}")], V1Target::ClientId(client))
            }
        }
    }

    async fn exchange(
        &self,
        token: &Token,
        may_act: Option<(&'static str, &'static str)>,
        actor: &Actor,
        wish: &Wish,
    ) -> (&'static str, Vec<String>, Call) {
        let may_act = may_act.map(|(subject, issuer)| {
            let mut named = json!({ "sub": self.named(subject) });
            if !issuer.is_empty() {
                named["iss"] = issuer.into();
            }
            named
        });
        let subject_token = self.token(token, may_act.as_ref()).await;
        let mut all = wish.flags();
        all.push(format!("--server-issuer={ISSUER}"));
        all.push(format!("--subject={}", self.named(&token.subject)));
        all.extend(flags("--token-audience", &self.all_named(&token.audiences)));
        let scopes: Vec<&str> = token.scopes.iter().map(String::as_str).collect();
        all.extend(held("--token-scope", &scopes));
        all.extend(token.foreign.then(|| format!("--token-issuer={FOREIGN}")));
        all.extend(may_act.map(|may_act| format!("--token-may-act={may_act}")));
        let request = match actor {
            Actor::Nobody => exchange_of(&subject_token),
            Actor::Own => {
                all.push("--with-actor".to_owned());
                exchange_by(&subject_token, &self.for_all().await)
            }
            Actor::Other(actor) => {
                all.push(format!("--actor-subject={}", self.named(&actor.subject)));
                all.extend(flags("--actor-audience", &self.all_named(&actor.audiences)));
                all.extend(actor.foreign.then(|| format!("--actor-issuer={FOREIGN}")));
                exchange_by(&subject_token, &self.token(actor, None).await)
            }
        };
        let request = v1::ExchangeTokenRequest {
            audiences: wish.audiences.clone(),
            scopes: wish.scopes.clone(),
            ttl: wish.ttl(),
            ..request
        };
        ("exchange", all, Call::Exchange(request))
    }

    /// The token as its issuer makes it.
    async fn token(&self, token: &Token, may_act: Option<&Value>) -> String {
        let subject = self.named(&token.subject);
        let audiences = self.all_named(&token.audiences);
        let claims = may_act.map(|may_act| json!({ "may_act": may_act }).to_string()).unwrap_or_default();
        if token.foreign {
            let number = self.scene.foreign_tokens.get();
            self.scene.foreign_tokens.set(number + 1);
            let mut payload = json!({
                "iss": FOREIGN, "sub": subject, "aud": audiences, "scope": token.scopes.join(" "),
                "exp": self.scene.server.clock.seconds() + 600, "jti": format!("old-{number}"),
            });
            may_act.iter().for_each(|may_act| payload["may_act"] = (*may_act).clone());
            return made(Algorithm::Es256).token(&self.scene.foreign_key, &payload);
        }
        let wish = Wish { audiences, scopes: token.scopes.clone(), life: None };
        // By one whose tokens are signed in one way, whatever their audiences are.
        let issuer = &self.scene.owners[0];
        accepted(issuer.issue(wish.issue(subject, &claims, false)).await).access_token
    }
}

impl Wish {
    fn ttl(&self) -> Option<prost_types::Duration> {
        self.life.and_then(seconds)
    }

    fn issue(&self, subject: String, claims: &str, refresh: bool) -> v1::IssueTokenRequest {
        v1::IssueTokenRequest {
            subject,
            audiences: self.audiences.clone(),
            scopes: self.scopes.clone(),
            ttl: self.ttl(),
            claims_json: claims.to_owned(),
            include_refresh_token: refresh,
            ..Default::default()
        }
    }

    fn login(&self, user: usize, refresh: bool) -> v1::LoginRequest {
        v1::LoginRequest {
            username: USERS[user].0.to_owned(),
            password: PASSWORD.to_owned(),
            audiences: self.audiences.clone(),
            scopes: self.scopes.clone(),
            ttl: self.ttl(),
            include_refresh_token: refresh,
        }
    }

    fn refresh(&self, refresh_token: String) -> v1::RefreshTokenRequest {
        v1::RefreshTokenRequest {
            refresh_token,
            audiences: self.audiences.clone(),
            scopes: self.scopes.clone(),
            ..Default::default()
        }
    }

    fn flags(&self) -> Vec<String> {
        let mut all = self.narrowing();
        all.extend(self.life.map(|life| format!("--ttl={life}s")));
        all
    }

    fn narrowing(&self) -> Vec<String> {
        let mut all = flags("--audience", &self.audiences);
        all.extend(flags("--scope", &self.scopes));
        all
    }
}

fn flags(name: &str, values: &[String]) -> Vec<String> {
    values.iter().map(|value| format!("{name}={value}")).collect()
}

/// A list, which may be empty.
fn held(name: &str, values: &[&str]) -> Vec<String> {
    let values = if values.is_empty() { &[""][..] } else { values };
    values.iter().map(|value| format!("{name}={value}")).collect()
}
