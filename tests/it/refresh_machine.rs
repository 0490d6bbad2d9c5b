//! The machine of sessions as it is driven through its API, and the plain model of it.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use tokend::{
    model::{Client, ClientId, ClientRecord, ClientSecret, ClientSettings, SecretRecord, UnixTime},
    proto::v1::{
        self, batch_verify_tokens_result,
        revoke_token_request::{SubjectTarget, Target},
    },
    server::Settings,
    store::Store,
};

use crate::{
    counting_store::CountingStore,
    harness::{ManualClock, START, TestClient, TestServer, accepted, everything, reason, settings},
    login::{PASSWORD, alice, log_in, with_alice},
    refresh_model::{IDLE, LONGEST, Named, Revoked, Step, Token, window},
    sessions::{living, refresh, session_for_alice, sid, using, using_in},
    users,
};

const CLIENTS: [&str; 2] = ["web", "app"];
const SUBJECTS: [&str; 2] = ["alice", "u-alice"];
/// The default lifetime of an access token.
const LIFE: i64 = 900;

/// What a step came to.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    Nothing,
    Began,
    /// A refresh token of this number, counted from the session's first.
    Refreshed(usize),
    Refused(String),
}

fn refused(reason: &str) -> Outcome {
    Outcome::Refused(reason.to_owned())
}

struct Begun {
    session_id: String,
    client: usize,
    tokens: Vec<String>,
}

/// Two replicas on one store, and all that they answered.
pub struct Machine {
    store: Arc<Store>,
    clock: Arc<ManualClock>,
    replicas: Vec<TestServer>,
    begun: Vec<Begun>,
    access_tokens: Vec<String>,
}

fn own_settings() -> Settings {
    let mut settings = settings();
    settings.sessions.reuse_window = window();
    settings.sessions.idle_ttl = std::time::Duration::from_secs(IDLE.unsigned_abs());
    settings.sessions.max_ttl = std::time::Duration::from_secs(LONGEST.unsigned_abs());
    settings
}

fn secret(client: usize) -> ClientSecret {
    ClientSecret::from_text(format!("tkd_{}_secret-of-the-tests", CLIENTS[client]))
}

/// A client that may do everything.
fn record(client: usize) -> ClientRecord {
    let at = UnixTime::from_seconds(START);
    let settings = ClientSettings { display_name: "machine".to_owned(), ..everything() };
    ClientRecord {
        client: Client {
            client_id: ClientId::parse(CLIENTS[client]).unwrap(),
            settings,
            create_time: at,
            update_time: at,
            revision: 1,
            mac: None,
        },
        secrets: vec![SecretRecord {
            secret_id: CLIENTS[client].to_owned(),
            digest: secret(client).digest(),
            create_time: at,
            expire_time: None,
        }],
    }
}

impl Machine {
    /// On a store that may have been driven before: whatever is left over there has ended by the clock.
    pub async fn start(store: &Arc<Store>, clock: &Arc<ManualClock>) -> Self {
        clock.advance(2 * LONGEST);
        let store = CountingStore::quiet(store);
        for client in 0..CLIENTS.len() {
            store.put_client(&record(client)).await.unwrap();
        }
        let mut replicas = Vec::new();
        for _ in 0..2 {
            replicas.push(TestServer::on(store.clone(), own_settings(), Arc::clone(clock)).await);
        }
        if users::get(&replicas[0].root, "u-alice").await.is_err() {
            with_alice(&replicas[0]).await;
        }
        let mut machine =
            Self { store, clock: Arc::clone(clock), replicas, begun: Vec::new(), access_tokens: Vec::new() };
        machine.take(&Step::Disable { disabled: false }).await;
        machine
    }

    fn client(&self, client: usize, replica: usize) -> TestClient {
        TestClient { channel: self.replicas[replica].root.channel.clone(), secret: Some(secret(client)) }
    }

    pub async fn take(&mut self, step: &Step) -> Outcome {
        match step {
            Step::Begin { client, login } => self.begin(*client, *login).await,
            Step::Use { session, token, by, request, replica } => {
                let count = self.begun.len();
                if count == 0 {
                    return Outcome::Nothing;
                }
                self.refresh(session % count, *token, *by, *request, *replica).await
            }
            Step::Pass { seconds } => {
                self.clock.advance(*seconds);
                Outcome::Nothing
            }
            Step::Revoke { target, replica } => self.revoke(*target, *replica).await,
            Step::Disable { disabled } => {
                let user = v1::User {
                    user_id: "u-alice".to_owned(),
                    username: "alice".to_owned(),
                    disabled: *disabled,
                    ..Default::default()
                };
                accepted(users::update(&self.replicas[0].root, user, &["disabled"]).await);
                Outcome::Nothing
            }
            Step::Restart { replica } => {
                self.replicas[*replica].begin_stop();
                self.replicas[*replica].stopped().await;
                let started = TestServer::on(self.store.clone(), own_settings(), self.clock.clone()).await;
                self.replicas[*replica] = started;
                Outcome::Nothing
            }
        }
    }

    async fn begin(&mut self, client: usize, login: bool) -> Outcome {
        let by = self.client(client, 0);
        let answer = if login {
            let request = v1::LoginRequest {
                scopes: vec!["read".to_owned(), "write".to_owned()],
                include_refresh_token: true,
                ..alice(PASSWORD)
            };
            log_in(&by, request).await.map(|answer| (answer.access_token, answer.refresh_token))
        } else {
            by.issue(session_for_alice()).await.map(|answer| (answer.access_token, answer.refresh_token))
        };
        match answer {
            Ok((access_token, refresh_token)) => {
                let session_id = sid(&access_token);
                self.access_tokens.push(access_token);
                self.begun.push(Begun { session_id, client, tokens: vec![refresh_token] });
                Outcome::Began
            }
            Err(status) => refused(&reason(&status)),
        }
    }

    async fn refresh(
        &mut self,
        session: usize,
        token: Token,
        by: Option<usize>,
        request: Option<Named>,
        replica: usize,
    ) -> Outcome {
        let begun = &self.begun[session];
        let text = match token {
            Token::Back(back) => begun.tokens[(begun.tokens.len() - 1).saturating_sub(back)].clone(),
            Token::MadeUp => {
                let id = URL_SAFE_NO_PAD.decode(&begun.session_id).unwrap();
                format!("tkr_{}", URL_SAFE_NO_PAD.encode([&id[..], &[9; 48]].concat()))
            }
        };
        let mut asked = request.map_or_else(|| using(&text), |named| using_in(&text, named.number));
        if request.is_some_and(|named| named.narrow) {
            asked.scopes = vec!["read".to_owned()];
        }
        let by = self.client(by.unwrap_or(begun.client), replica);
        match refresh(&by, asked).await {
            Ok(answer) => {
                self.access_tokens.push(answer.access_token);
                let tokens = &mut self.begun[session].tokens;
                let known = tokens.iter().position(|token| *token == answer.refresh_token);
                Outcome::Refreshed(known.unwrap_or_else(|| {
                    tokens.push(answer.refresh_token);
                    tokens.len() - 1
                }))
            }
            Err(status) => refused(&reason(&status)),
        }
    }

    async fn revoke(&self, target: Revoked, replica: usize) -> Outcome {
        let target = match target {
            Revoked::Session(_) if self.begun.is_empty() => return Outcome::Nothing,
            Revoked::Session(session) => {
                Target::SessionId(self.begun[session % self.begun.len()].session_id.clone())
            }
            Revoked::Subject(login) => Target::Subject(SubjectTarget {
                subject: SUBJECTS[usize::from(login)].to_owned(),
                issued_before_time: None,
            }),
            Revoked::Client(client) => Target::ClientId(CLIENTS[client].to_owned()),
        };
        let root = &self.replicas[replica].root;
        let request = v1::RevokeTokenRequest { target: Some(target), ..Default::default() };
        accepted(root.tokens().revoke_token(root.request(request)).await);
        Outcome::Nothing
    }

    /// Which of the access tokens, in the order of their issue, are good: at both replicas, or they do not agree.
    pub async fn good_tokens(&self) -> Vec<bool> {
        let mut answers = Vec::new();
        for replica in &self.replicas {
            replica.rounds.make().await.unwrap();
            answers.push(self.verified(&replica.root).await);
        }
        assert_eq!(answers[0], answers[1], "the replicas do not agree");
        answers.pop().unwrap()
    }

    async fn verified(&self, by: &TestClient) -> Vec<bool> {
        let question = |token: &String| v1::VerifyTokenRequest {
            token: token.clone(),
            audiences: vec!["orders".to_owned()],
            ..Default::default()
        };
        let mut good = Vec::new();
        for tokens in self.access_tokens.chunks(100) {
            let requests = tokens.iter().map(question).collect();
            let request = by.request(v1::BatchVerifyTokensRequest { requests });
            let results = accepted(by.tokens().batch_verify_tokens(request).await).into_inner().results;
            good.extend(results.into_iter().map(|result| {
                matches!(result.result, Some(batch_verify_tokens_result::Result::Verified(_)))
            }));
        }
        good
    }

    /// The sessions that are listed, by the number of their beginning.
    pub async fn listed(&self) -> Vec<usize> {
        let listed = living(&self.replicas[1].root).await;
        let number = |session: &v1::Session| {
            self.begun.iter().position(|begun| begun.session_id == session.session_id).unwrap()
        };
        let mut numbers: Vec<usize> = listed.iter().map(number).collect();
        numbers.sort_unstable();
        numbers
    }
}

struct ModelSession {
    client: usize,
    login: bool,
    begun: i64,
    idle_end: i64,
    /// The number of its good refresh token.
    good: usize,
    /// When the one before that was used, and in which request.
    used: Option<(i64, Option<Named>)>,
    revoked: bool,
}

/// What must come out. Time begins at 0.
#[derive(Default)]
pub struct Model {
    now: i64,
    sessions: Vec<ModelSession>,
    /// The session of each access token, and when it was issued.
    access_tokens: Vec<(usize, i64)>,
    /// What was issued before is revoked: by subject, and by client.
    subjects: [i64; 2],
    clients: [i64; 2],
    disabled: bool,
}

impl Model {
    pub fn take(&mut self, step: &Step) -> Outcome {
        match step {
            Step::Begin { login: true, .. } if self.disabled => return refused("LOGIN_FAILED"),
            Step::Begin { client, login } => {
                self.access_tokens.push((self.sessions.len(), self.now));
                self.sessions.push(ModelSession {
                    client: *client,
                    login: *login,
                    begun: self.now,
                    idle_end: self.now + IDLE,
                    good: 0,
                    used: None,
                    revoked: false,
                });
                return Outcome::Began;
            }
            Step::Use { session, token, by, request, .. } if !self.sessions.is_empty() => {
                return self.refresh(session % self.sessions.len(), *token, *by, *request);
            }
            Step::Use { .. } | Step::Restart { .. } => {}
            Step::Pass { seconds } => self.now += seconds,
            Step::Revoke { target: Revoked::Session(session), .. } => {
                let count = self.sessions.len().max(1);
                if let Some(session) = self.sessions.get_mut(session % count) {
                    session.revoked = true;
                }
            }
            Step::Revoke { target: Revoked::Subject(login), .. } => {
                self.subjects[usize::from(*login)] = self.now + 1;
            }
            Step::Revoke { target: Revoked::Client(client), .. } => self.clients[*client] = self.now + 1,
            Step::Disable { disabled } => self.disabled = *disabled,
        }
        Outcome::Nothing
    }

    fn refresh(&mut self, number: usize, token: Token, by: Option<usize>, request: Option<Named>) -> Outcome {
        let (now, lives) = (self.now, self.lives(&self.sessions[number]));
        let session = &mut self.sessions[number];
        let Token::Back(back) = token else { return refused("REFRESH_TOKEN_INVALID") };
        if !lives || by.is_some_and(|by| by != session.client) {
            return refused("REFRESH_TOKEN_INVALID");
        }
        let locked_out = session.login && self.disabled;
        let before = session.used.and_then(|(at, before)| Some((at, before?)));
        let same_name = before
            .zip(request)
            .is_some_and(|((at, before), this)| before.number == this.number && now - at <= 600);
        let same_request = same_name && before.map(|(_, before)| before) == request;
        match session.good - session.good.saturating_sub(back) {
            0 if same_name => return refused("REQUEST_ID_REUSED"),
            0 if locked_out => return refused("REFRESH_TOKEN_INVALID"),
            0 => {
                session.good += 1;
                session.used = Some((now, request));
                session.idle_end = now + IDLE;
            }
            1 if same_name && !same_request => return refused("REQUEST_ID_REUSED"),
            1 if same_request || session.used.is_some_and(|(at, _)| now - at <= 5) => {
                if locked_out {
                    return refused("REFRESH_TOKEN_INVALID");
                }
            }
            _ => {
                session.revoked = true;
                return refused("REFRESH_TOKEN_REUSED");
            }
        }
        let good = session.good;
        self.access_tokens.push((number, now));
        Outcome::Refreshed(good)
    }

    fn is_revoked(&self, session: &ModelSession, issued: i64) -> bool {
        session.revoked
            || issued < self.subjects[usize::from(session.login)]
            || issued < self.clients[session.client]
    }

    fn lives(&self, session: &ModelSession) -> bool {
        let end = session.idle_end.min(session.begun + LONGEST);
        self.now < end && !self.is_revoked(session, session.begun)
    }

    pub fn good_tokens(&self) -> Vec<bool> {
        let good = |(number, issued): &(usize, i64)| {
            let session = &self.sessions[*number];
            let end = (issued + LIFE).min(session.begun + LONGEST);
            self.now < end && !self.is_revoked(session, *issued)
        };
        self.access_tokens.iter().map(good).collect()
    }

    pub fn listed(&self) -> Vec<usize> {
        (0..self.sessions.len()).filter(|number| self.lives(&self.sessions[*number])).collect()
    }
}
