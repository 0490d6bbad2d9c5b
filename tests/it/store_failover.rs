//! A primary and its standby change places, and passwords change: writes go on within seconds, without a restart.

use std::{
    fs,
    os::unix::fs::symlink,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use tempfile::TempDir;
use tokend::{
    audit::{AuditMode, AuditSettings, SinkSettings},
    database::DatabaseLocation,
    store::{self, Location, OpenError, Store, StoreError},
};
use tokio::task::{JoinSet, block_in_place};

use crate::{
    harness::{TestServer, accepted, for_alice},
    postgres::{Database, Server, missing},
    store_backends::client,
};

/// Within this, writes must work again.
const SECONDS: Duration = Duration::from_secs(20);

/// Two servers with the same data: one takes writes, the other follows it.
struct Pair {
    primary: Server,
    standby: Server,
    /// The database, made on the primary.
    database: String,
}

impl Pair {
    async fn start() -> Option<Self> {
        let Some(primary) = block_in_place(Server::start) else {
            missing();
            return None;
        };
        let database = Database::create_at(&primary.url("postgres")).await;
        let database = database.url.path().trim_start_matches('/').to_owned();
        let standby = block_in_place(|| primary.standby());
        Some(Self { primary, standby, database })
    }

    async fn run(&self, server: &Server, sql: impl Into<String>) {
        let mut connection = PgConnection::connect(server.url(&self.database).as_str()).await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(sql.into())).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }

    /// The primary takes no more writes and keeps its connections, as a fenced one does; the standby is promoted with everything
    /// that the primary had written.
    async fn change_places(&self) {
        self.run(&self.primary, "ALTER SYSTEM SET default_transaction_read_only = on").await;
        self.run(&self.primary, "SELECT pg_reload_conf()").await;
        self.promote().await;
    }

    async fn promote(&self) {
        self.run(&self.standby, "SELECT pg_promote()").await;
    }

    /// Waits until the standby has everything that the primary has.
    async fn catch_up(&self) {
        let mut primary = PgConnection::connect(self.primary.url(&self.database).as_str()).await.unwrap();
        // Commits of the other connections may still be in memory; a synchronous commit writes them all.
        primary.execute("SET synchronous_commit = on").await.unwrap();
        primary.execute("SELECT pg_logical_emit_message(true, 'tokend', '')").await.unwrap();
        let mut behind = true;
        while behind {
            behind = sqlx::query_scalar(
                "SELECT bool_or(replay_lsn < pg_current_wal_lsn()) IS NOT FALSE FROM pg_stat_replication",
            )
            .fetch_one(&mut primary)
            .await
            .unwrap();
        }
    }

    /// Both servers, in one URL.
    fn both(&self) -> String {
        let host = |server: &Server| server.folder().to_str().unwrap().replace('/', "%2F");
        format!("postgres://tokend@{},{}/{}", host(&self.primary), host(&self.standby), self.database)
    }
}

async fn open(url: &str) -> Result<Arc<Store>, OpenError> {
    store::open(&url.parse().unwrap()).await
}

/// Many writes at once, which take all connections of the pool.
async fn write_many(store: &Arc<Store>, prefix: &str) -> Vec<StoreError> {
    let mut writes = JoinSet::new();
    for number in 0..16 {
        let (store, id) = (Arc::clone(store), format!("{prefix}-{number}"));
        writes.spawn(async move { store.create_client(&client(&id, vec![])).await });
    }
    writes.join_all().await.into_iter().filter_map(Result::err).collect()
}

/// Writes until it works.
async fn write_soon(store: &Arc<Store>, id: &str) {
    let start = Instant::now();
    while let Err(error) = store.create_client(&client(id, vec![])).await {
        assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
        assert!(start.elapsed() < SECONDS, "after {:?}: {error}", start.elapsed());
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_follow_the_name_to_the_new_primary() {
    let Some(pair) = Pair::start().await else { return };
    let folder = TempDir::new().unwrap();
    // A name that is looked up for each connection: a link to the folder of a socket.
    let name = folder.path().join("name");
    symlink(pair.primary.folder(), &name).unwrap();
    let url = format!("postgres://tokend@localhost/{}?host={}", pair.database, name.display());
    let store = open(&url).await.unwrap();
    let mut changes = store.changes();
    assert!(write_many(&store, "before").await.is_empty());
    assert_eq!(store.write_problem().await.unwrap(), None);
    pair.catch_up().await;
    pair.change_places().await;

    // The name still leads to the old primary: it answers reads, and refuses writes.
    let refused = store.create_client(&client("refused", vec![])).await;
    assert!(
        matches!(&refused, Err(StoreError::Unavailable(error)) if error.to_string().contains("read-only"))
    );
    let problem = store.write_problem().await.unwrap().unwrap();
    assert!(problem.contains("default_transaction_read_only"), "{problem}");
    assert_eq!(store.clients().await.unwrap().len(), 16);

    fs::remove_file(&name).unwrap();
    symlink(pair.standby.folder(), &name).unwrap();
    write_soon(&store, "after").await;
    let errors = write_many(&store, "after").await;
    assert!(errors.is_empty(), "a connection to the old primary was used: {errors:?}");
    assert_eq!(store.write_problem().await.unwrap(), None);
    // The listener follows to the new primary: it reports a change by another replica.
    changes.borrow_and_update();
    let other = open(&url).await.unwrap();
    let (mut number, start) = (0, Instant::now());
    while !changes.has_changed().unwrap() {
        number += 1;
        other.create_client(&client(&format!("other-{number}"), vec![])).await.unwrap();
        assert!(start.elapsed() < 2 * SECONDS, "the new primary is not listened to");
    }
    assert_eq!(store.clients().await.unwrap().len(), 33 + number);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_several_hosts_the_one_that_takes_writes_is_used() {
    let Some(pair) = Pair::start().await else { return };
    let store = open(&pair.both()).await.unwrap();
    assert!(write_many(&store, "before").await.is_empty());
    let database: DatabaseLocation = DatabaseLocation::parse(&pair.both()).unwrap();
    let sinks = vec![SinkSettings::Postgres(database)];
    let audit = AuditSettings { mode: AuditMode::Required, sinks, buffer: 1000 };
    let server = TestServer::with(|settings| settings.audit = audit).await;
    accepted(server.root.issue(for_alice()).await);
    pair.catch_up().await;

    // A standby is no store, and is passed over.
    let host = pair.standby.folder().to_str().unwrap().replace('/', "%2F");
    let alone: Location = format!("postgres://tokend@{host}/{}", pair.database).parse().unwrap();
    let error = store::open(&alone).await.unwrap_err();
    assert!(matches!(&error, OpenError::ReadOnly { .. }) && error.to_string().contains("standby"), "{error}");
    let Location::Postgres(standby) = alone else { panic!("{alone}") };
    let reading = store::open(&Location::Postgres(standby.admit_read_only(true))).await.unwrap();
    assert_eq!(reading.clients().await.unwrap().len(), 16);
    assert!(reading.write_problem().await.unwrap().unwrap().contains("standby"));

    pair.change_places().await;
    write_soon(&store, "after").await;
    assert!(write_many(&store, "after").await.is_empty());
    let start = Instant::now();
    while server.root.issue(for_alice()).await.is_err() {
        assert!(start.elapsed() < SECONDS, "the audit log is not written");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_primary_is_left() {
    let Some(mut pair) = Pair::start().await else { return };
    let store = open(&pair.both()).await.unwrap();
    assert!(write_many(&store, "before").await.is_empty());
    pair.catch_up().await;
    block_in_place(|| pair.primary.kill());
    assert!(!write_many(&store, "lost").await.is_empty());
    pair.promote().await;
    write_soon(&store, "after").await;
    assert!(write_many(&store, "after").await.is_empty());
}

/// Lets the role `app` in with its password only, and sets that.
async fn set_password(server: &Server, password: &str) {
    let mut connection = PgConnection::connect(server.url("postgres").as_str()).await.unwrap();
    let sql = format!("ALTER ROLE app PASSWORD '{password}'");
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app'";
    sqlx::raw_sql(end).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

fn write_file(path: &Path, server: &Server, database: &str, password: &str) {
    let url = format!("postgres://app:{password}@localhost/{database}?host={}", server.folder().display());
    fs::write(path, url).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotated_password_is_read_from_its_file() {
    let Some(server) = block_in_place(Server::start) else { return missing() };
    let database = Database::create_at(&server.url("postgres")).await;
    let name = database.url.path().trim_start_matches('/').to_owned();
    database.execute("CREATE ROLE app SUPERUSER LOGIN").await;
    let rules = server.folder().join("data/pg_hba.conf");
    let before = fs::read_to_string(&rules).unwrap();
    fs::write(&rules, format!("local all app scram-sha-256\n{before}")).unwrap();
    database.execute("SELECT pg_reload_conf()").await;
    set_password(&server, "one").await;

    let folder = TempDir::new().unwrap();
    let file = folder.path().join("store");
    write_file(&file, &server, &name, "one");
    let text = fs::read_to_string(&file).unwrap();
    let location = DatabaseLocation::parse(&text).unwrap().in_file(&file);
    let store = store::open(&Location::Postgres(location.clone())).await.unwrap();
    let audit = AuditSettings {
        mode: AuditMode::Required,
        sinks: vec![SinkSettings::Postgres(location)],
        buffer: 1000,
    };
    let audited = TestServer::with(|settings| settings.audit = audit).await;
    assert!(write_many(&store, "one").await.is_empty());
    accepted(audited.root.issue(for_alice()).await);

    // The file first, then the role; and the other way round.
    write_file(&file, &server, &name, "two");
    store.clients().await.unwrap();
    set_password(&server, "two").await;
    write_soon(&store, "two").await;
    accepted(audited.root.issue(for_alice()).await);
    set_password(&server, "three").await;
    assert!(!write_many(&store, "lost").await.is_empty());
    write_file(&file, &server, &name, "three");
    write_soon(&store, "three").await;
    let errors = write_many(&store, "three").await;
    assert!(errors.is_empty(), "{errors:?}");
    accepted(audited.root.issue(for_alice()).await);
    // A file that makes no sense, names another database or is gone changes nothing.
    for text in ["half-writ", "", "postgres://app:three@localhost/postgres"] {
        fs::write(&file, text).unwrap();
        store.clients().await.unwrap();
    }
    fs::remove_file(&file).unwrap();
    assert!(write_many(&store, "gone").await.is_empty());
}
