//! A database of the release before the permissions `verify_issuers`, `exchange_actors` and `admin_clients`: its clients keep their
//! rights; and that release's statements on the new schema, for its replicas run on while others are replaced.

use std::{
    borrow::Cow,
    io,
    sync::{Arc, Mutex},
};

use sqlx::{
    AssertSqlSafe, Connection as _, PgConnection, SqlSafeStr as _, SqliteConnection,
    migrate::{Migrate, Migration, MigrationType, Migrator},
};
use tokend::{
    model::{ClientRecord, Pattern, Permissions},
    store::{self, Location, Store},
};

use crate::{
    postgres::Database,
    store_backends::{client, full_settings, id, open_postgres},
    store_users::record,
};

/// The migrations of that release.
macro_rules! migrations {
    ($database:literal: $($file:literal),+) => {
        [$(($file, include_str!(concat!("../../src/store/migrations/", $database, "/", $file, ".sql")))),+]
    };
    ($database:literal) => {
        migrations!($database: "0001_foundation", "0002_key_lifecycle", "0003_sealing_keys", "0004_users", "0005_assertions",
            "0006_sessions")
    };
}

async fn apply(connection: &mut impl Migrate, texts: [(&'static str, &'static str); 6]) {
    let migration = |(version, (file, sql)): (i64, (&'static str, &'static str))| {
        let name = file.split_once('_').unwrap().1;
        Migration::new(version, Cow::Borrowed(name), MigrationType::Simple, sql.into_sql_str(), false)
    };
    let mut migrator = Migrator::with_migrations((1..).zip(texts).map(migration).collect());
    migrator.dangerous_set_table_name("tokend_migrations");
    migrator.run_direct(None, connection, false).await.unwrap();
}

/// A client as that release registers it; and a user who has the id of a client.
fn registering(client_id: &str) -> String {
    format!(
        "INSERT INTO clients (client_id, settings, created_at, updated_at, revision) VALUES ('{client_id}', '{}', 1, 1, 1)",
        its_settings(client_id)
    )
}

const USERS: &str = "INSERT INTO users (user_id, username, disabled, claims, scopes, password_hash, created_at, updated_at, \
     password_updated_at, revision) VALUES ('before', 'alice', FALSE, '{}', '[]', 'hash', 1, 1, 1, 1), \
     ('foreign:https://a#x', 'bob', FALSE, '{}', '[]', 'hash', 1, 1, 1, 1), \
     ('carol', 'carol', FALSE, '{}', '[]', 'hash', 1, 1, 1, 1)";

/// How that release changes a client.
fn changing(client_id: &str) -> String {
    format!(
        "UPDATE clients SET settings = '{}', updated_at = 5, revision = revision + 1 WHERE client_id = '{client_id}'",
        its_settings("changed there")
    )
}

/// What that release makes of the settings, and reads again: it refuses a document with a field that it does not know.
fn its_settings(display_name: &str) -> String {
    let settings = serde_json::to_string(&client("x", vec![]).client.settings).unwrap();
    settings.replace("\"x\"", &format!("\"{display_name}\""))
}

/// What comes of `action`, and what was logged on the way.
pub async fn warnings_of<T>(action: impl Future<Output = T>) -> (T, String) {
    let log = LogTo::default();
    let written = Arc::clone(&log.0);
    let subscriber = tracing_subscriber::fmt().with_writer(move || log.clone()).with_ansi(false).finish();
    let guard = tracing::subscriber::set_default(subscriber);
    let done = action.await;
    drop(guard);
    let text = String::from_utf8(written.lock().unwrap().clone()).unwrap();
    (done, text)
}

#[derive(Clone, Default)]
struct LogTo(Arc<Mutex<Vec<u8>>>);

impl io::Write for LogTo {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The user with a client's id, and the one that is called like a subject of another issuer; and no other.
fn warns_of_both(log: &str) {
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("WARN")).collect();
    assert_eq!(lines.len(), 2, "{log}");
    assert!(lines[0].contains("user_id=\"before\"") && lines[0].contains("RFC 9700"), "{log}");
    assert!(lines[1].contains("user_id=\"foreign:https://a#x\""), "{log}");
}

fn rights(record: &ClientRecord) -> [Vec<String>; 3] {
    let Permissions { verify_issuers, exchange_actors, admin_clients, .. } =
        record.client.settings.permissions.clone();
    [verify_issuers, exchange_actors, admin_clients]
        .map(|patterns| patterns.iter().map(Pattern::to_string).collect())
}

fn all() -> [Vec<String>; 3] {
    [(); 3].map(|()| vec!["*".to_owned()])
}

/// The clients of both releases, after `run` has made that release's statements.
async fn check(store: &Store, mut run: impl AsyncFnMut(String)) {
    let before = store.client(&id("before")).await.unwrap();
    assert_eq!(rights(&before), all());
    // The user with a client's id keeps working; no further one is let in.
    assert!(store.user(&crate::store_users::user_id("before")).await.is_ok());
    assert!(store.create_user(&record("before", "bob")).await.is_err());

    // What this release has registered is restricted, and says so.
    store.create_client(&client("plain", vec![])).await.unwrap();
    assert_eq!(rights(&store.client(&id("plain")).await.unwrap()), [const { Vec::<String>::new() }; 3]);
    let mut full = client("full", vec![]);
    full.client.settings = full_settings();
    store.create_client(&full).await.unwrap();
    let settings = serde_json::to_string(&full.client.settings).unwrap();
    for name in ["verify_issuers", "exchange_actors", "admin_clients"] {
        assert!(!settings.contains(name), "the release before would refuse {settings}");
    }

    // A change by the release before leaves these permissions as they are.
    for client_id in ["plain", "full", "before"] {
        let had = rights(&store.client(&id(client_id)).await.unwrap());
        run(changing(client_id)).await;
        let has = store.client(&id(client_id)).await.unwrap();
        assert_eq!((has.client.settings.display_name.as_str(), rights(&has)), ("changed there", had));
    }
    // One that it registers has the rights that it has there.
    run(registering("there")).await;
    assert_eq!(rights(&store.client(&id("there")).await.unwrap()), all());
    // Changed here, it keeps them, or gets others.
    let mut there = store.client(&id("there")).await.unwrap().client;
    let base = there.version();
    there.settings.permissions.admin_clients = Vec::new();
    assert!(store.update_client(&there, base).await.unwrap());
    let [issuers, actors, clients] = rights(&store.client(&id("there")).await.unwrap());
    assert_eq!((issuers, actors, clients), (vec!["*".to_owned()], vec!["*".to_owned()], vec![]));
    // A value that makes no sense is an error that names the column.
    run("UPDATE clients SET permissions = '{\"verify_issuers\":[\"*\"]}' WHERE client_id = 'there'"
        .to_owned())
    .await;
    let error = store.client(&id("there")).await.unwrap_err().to_string();
    assert!(error.contains("clients.permissions of row `there`"), "{error}");
}

#[tokio::test]
async fn clients_of_the_release_before_in_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokend.db");
    let url = format!("sqlite:{}?mode=rwc", path.display());
    let mut old = SqliteConnection::connect(&url).await.unwrap();
    apply(&mut old, migrations!("sqlite")).await;
    for sql in [registering("before"), USERS.to_owned()] {
        sqlx::query(AssertSqlSafe(sql)).execute(&mut old).await.unwrap();
    }
    let (store, warnings) = warnings_of(store::open(&Location::Sqlite(path))).await;
    warns_of_both(&warnings);
    let store = store.unwrap();
    check(&store, async |sql| {
        assert_eq!(sqlx::query(AssertSqlSafe(sql)).execute(&mut old).await.unwrap().rows_affected(), 1);
    })
    .await;
}

#[tokio::test]
async fn clients_of_the_release_before_in_postgres() {
    let Some(database) = Database::create().await else { return };
    let mut old = PgConnection::connect(database.url.as_str()).await.unwrap();
    apply(&mut old, migrations!("postgres")).await;
    for sql in [registering("before"), USERS.to_owned()] {
        sqlx::query(AssertSqlSafe(sql)).execute(&mut old).await.unwrap();
    }
    let (store, warnings) = warnings_of(open_postgres(&database)).await;
    warns_of_both(&warnings);
    check(&store, async |sql| {
        assert_eq!(sqlx::query(AssertSqlSafe(sql)).execute(&mut old).await.unwrap().rows_affected(), 1);
    })
    .await;
}
