//! A server on a PostgreSQL that the test can take away from it, and what it does with and without.

use tokend::{
    proto::v1::{self, revoke_token_request::Target},
    server::Settings,
    store,
};
use tonic::{Code, Status};

use crate::{
    harness::{TestClient, TestServer, accepted, assert_refused, for_alice, manual_clock, settings},
    postgres::{Database, Server, missing},
};

/// More calls than a pool has connections, each of which may find one that is dead.
const TRIES: usize = 20;

/// A server with its database.
pub struct Scene {
    pub postgres: Server,
    _database: Database,
    pub server: TestServer,
}

/// What a caller was told is done.
pub struct Told {
    /// A token that is good.
    good: String,
    /// The refresh token that is good.
    pub refresh: String,
    /// Of a session that was revoked.
    ended: v1::IssueTokenResponse,
    /// A token that was revoked by itself.
    revoked: String,
}

impl Scene {
    /// None if there is no PostgreSQL on this machine; that was then said.
    pub async fn set() -> Option<Self> {
        Self::set_with(|_, database| database.url.to_string()).await
    }

    /// The same, with the store at what `location` says.
    pub async fn set_with(location: impl FnOnce(&Server, &Database) -> String) -> Option<Self> {
        Self::set_as(settings(), location).await
    }

    /// The same, with these settings.
    pub async fn set_as(
        settings: Settings,
        location: impl FnOnce(&Server, &Database) -> String,
    ) -> Option<Self> {
        let Some(postgres) = tokio::task::spawn_blocking(Server::start_durable).await.unwrap() else {
            missing();
            return None;
        };
        let database = Database::create_at(&postgres.url("postgres")).await;
        let settings = Settings { store: location(&postgres, &database).parse().unwrap(), ..settings };
        let store = store::open(&settings.store).await.unwrap();
        let server = TestServer::on(store, settings, manual_clock()).await;
        Some(Self { postgres, _database: database, server })
    }

    /// Has things done that must stay done.
    pub async fn act(&self) -> Told {
        let root = &self.server.root;
        let (first, ended) = (accepted(begin(root).await), accepted(begin(root).await));
        let refreshed = accepted(refresh(root, &first.refresh_token).await);
        let revoked = root.token().await;
        accepted(revoke(root, Target::Token(ended.refresh_token.clone())).await);
        accepted(revoke(root, Target::Token(revoked.clone())).await);
        Told { good: refreshed.access_token, refresh: refreshed.refresh_token, ended, revoked }
    }

    /// Without its store the server does what it can do from memory, and says of the rest that the store is away.
    pub async fn serves_without_its_store(&self, told: &Told) {
        let root = &self.server.root;
        let token = root.token().await;
        // At once: each may wait for a while for the store to come back, and nobody else waits with it.
        let waiting = async {
            tokio::join!(
                async { away(begin(root).await) },
                async { away(refresh(root, &told.refresh).await) },
                async { away(revoke(root, Target::Token(token.clone())).await) },
                async { away(revoke(root, Target::Token(told.refresh.clone())).await) },
                async { away(revoke(root, subject("alice")).await) },
            )
        };
        let serving = async {
            for _ in 0..20 {
                let token = root.token().await;
                accepted(root.check(&token).await);
                accepted(root.check(&told.good).await);
                self.refuses_what_was_revoked(told).await;
            }
        };
        tokio::join!(waiting, serving);
        accepted(root.check(&token).await);
        self.refuses_what_was_revoked(told).await;
    }

    /// With the store back, what was told before holds, and all goes on without a restart.
    pub async fn goes_on_with_its_store(&self, told: &Told) {
        let root = &self.server.root;
        let first = until_accepted(async || begin(root).await).await;
        // A connection that died is noticed at its next use: all of the others are tried.
        until_accepted(async || {
            self.server.rounds.make().await.map_err(|error| Status::unavailable(error.to_string()))
        })
        .await;
        let refreshed = until_accepted(async || refresh(root, &told.refresh).await).await;
        accepted(root.check(&refreshed.access_token).await);
        accepted(refresh(root, &first.refresh_token).await);
        accepted(root.check(&told.good).await);
        self.refuses_what_was_revoked(told).await;
        let ended = refresh(root, &told.ended.refresh_token).await;
        assert_refused(ended, Code::Unauthenticated, "REFRESH_TOKEN_INVALID");
        let token = root.token().await;
        until_accepted(async || revoke(root, Target::Token(token.clone())).await).await;
        assert_refused(root.check(&token).await, Code::InvalidArgument, "TOKEN_REVOKED");
    }

    async fn refuses_what_was_revoked(&self, told: &Told) {
        for token in [&told.revoked, &told.ended.access_token] {
            assert_refused(self.server.root.check(token).await, Code::InvalidArgument, "TOKEN_REVOKED");
        }
    }
}

/// Must fail, and say why.
#[track_caller]
pub fn away<T>(answer: Result<T, Status>) {
    assert_refused(answer, Code::Unavailable, "STORE_UNAVAILABLE");
}

/// Calls again as long as the store is away, which must end soon.
pub async fn until_accepted<T>(call: impl AsyncFn() -> Result<T, Status>) -> T {
    for _ in 0..TRIES {
        match call().await {
            Err(status) if status.code() == Code::Unavailable => {}
            answer => return accepted(answer),
        }
    }
    accepted(call().await)
}

/// A token with a session.
pub async fn begin(client: &TestClient) -> Result<v1::IssueTokenResponse, Status> {
    client.issue(v1::IssueTokenRequest { include_refresh_token: true, ..for_alice() }).await
}

/// Uses a refresh token.
pub async fn refresh(client: &TestClient, token: &str) -> Result<v1::RefreshTokenResponse, Status> {
    let request = v1::RefreshTokenRequest { refresh_token: token.to_owned(), ..Default::default() };
    Ok(client.tokens().refresh_token(client.request(request)).await?.into_inner())
}

/// Revokes a target.
pub async fn revoke(client: &TestClient, target: Target) -> Result<v1::RevokeTokenResponse, Status> {
    let request = v1::RevokeTokenRequest { target: Some(target), ..Default::default() };
    Ok(client.tokens().revoke_token(client.request(request)).await?.into_inner())
}

/// All of a subject.
pub fn subject(subject: &str) -> Target {
    Target::Subject(v1::revoke_token_request::SubjectTarget {
        subject: subject.to_owned(),
        issued_before_time: None,
    })
}
