//! A database of the first release, brought up to date with everything in it; and that release's statements on the new
//! schema, for its replicas run on while others are replaced.

use std::borrow::Cow;

use sqlx::{
    AssertSqlSafe, Connection as _, PgConnection, SqlSafeStr as _, SqliteConnection,
    migrate::{Migrate, Migration, MigrationType, Migrator},
};
use tokend::{
    model::{ChangeSequence, KeyChange, KeyRecord, KeyState, KeyUsage},
    store::{self, Location, Store},
};

use crate::{
    postgres::Database,
    store_backends::{add_secret, at, client, id, open_postgres, pending, secret},
};

const SQLITE: &str = include_str!("../../src/store/migrations/sqlite/0001_foundation.sql");
const POSTGRES: &str = include_str!("../../src/store/migrations/postgres/0001_foundation.sql");

/// What a first release had stored: an active, a retired and a revoked key, and a client with its secret.
const ROWS: &str = "
    INSERT INTO signing_keys (key_id, algorithm, state, sealed, created_at) VALUES
        ('a', 'ES256', 'active', 'sealed a', 10), ('b', 'ES256', 'retired', 'sealed b', 5),
        ('c', 'HS256', 'revoked', 'sealed c', 7);
    INSERT INTO clients (client_id, settings, created_at, updated_at, revision) VALUES ('billing', '{}', 1, 1, 1);
    INSERT INTO client_secrets (secret_id, client_id, digest, created_at, expires_at, ordinal)
        VALUES ('s', 'billing', DIGEST, 1, NULL, 1);
    UPDATE change_sequence SET value = 5;";

/// The first release's own list of migrations.
async fn apply(connection: &mut impl Migrate, sql: &'static str) {
    let first =
        Migration::new(1, Cow::Borrowed("foundation"), MigrationType::Simple, sql.into_sql_str(), false);
    let mut migrator = Migrator::with_migrations(vec![first]);
    migrator.dangerous_set_table_name("tokend_migrations");
    migrator.run_direct(None, connection, false).await.unwrap();
}

/// What it stored is there, and can be changed.
async fn check(store: &Store) {
    let set = store.keys().await.unwrap();
    assert_eq!(
        (set.sequence, store.change_sequence().await.unwrap()),
        (ChangeSequence(0), ChangeSequence(5))
    );
    let states: Vec<_> = set.keys.iter().map(|key| (key.key_id.as_str(), key.state)).collect();
    assert_eq!(states, [("b", KeyState::Retired), ("c", KeyState::Revoked), ("a", KeyState::Active)]);
    for key in &set.keys {
        assert_eq!(key.sealed.as_deref(), Some(format!("sealed {}", key.key_id).as_bytes()));
        assert_eq!((key.usage, &key.public, &key.issuer), (KeyUsage::SignAndVerify, &None, &None));
        assert_eq!((key.activate_time, key.retire_time, key.expire_time), (None, None, None));
    }
    assert_eq!(set.get("c").unwrap().revocation.as_ref().unwrap().time, at(7));
    assert_eq!(store.clients().await.unwrap()[0].secrets.len(), 1);

    let retired = set.get("a").cloned().unwrap().retire(at(20), std::time::Duration::ZERO).unwrap();
    let next = KeyRecord { state: KeyState::Active, ..pending("next", 20) };
    let made = store.change_keys(&KeyChange::of(&set).put(retired).put(next)).await.unwrap();
    assert_eq!(made, Some(ChangeSequence(6)));
    assert_eq!(store.keys().await.unwrap().get("a").unwrap().sealed, None);
    add_secret(store, &id("billing"), &secret(2, 3, None), at(9)).await.unwrap();
    store.create_client(&client("orders", vec![])).await.unwrap();
}

/// The statements of the first release, as it makes them.
const ITS_OWN: [&str; 2] = [
    "INSERT INTO signing_keys (key_id, algorithm, state, sealed, created_at) VALUES ('old', 'EdDSA', 'active', 'x', 30)",
    "UPDATE change_sequence SET value = value + 1",
];

#[tokio::test]
async fn a_database_of_the_first_release_in_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokend.db");
    let url = format!("sqlite:{}?mode=rwc", path.display());
    let mut old = SqliteConnection::connect(&url).await.unwrap();
    apply(&mut old, SQLITE).await;
    let blobs = ROWS.replace("'sealed ", "x'7365616c656420").replace("DIGEST", "zeroblob(32)");
    let blobs = ["a", "b", "c"].iter().zip(["61", "62", "63"]).fold(blobs, |rows, (name, hex)| {
        rows.replace(&format!("x'7365616c656420{name}'"), &format!("x'7365616c656420{hex}'"))
    });
    sqlx::raw_sql(AssertSqlSafe(blobs)).execute(&mut old).await.unwrap();
    let settings = settings_of_a_client();
    sqlx::query("UPDATE clients SET settings = ?1").bind(settings).execute(&mut old).await.unwrap();
    let store = store::open(&Location::Sqlite(path)).await.unwrap();
    check(&store).await;
    // It is still open there, and goes on.
    for sql in ITS_OWN {
        let sql = sql.replace("'x'", "x'78'");
        sqlx::query(AssertSqlSafe(sql)).execute(&mut old).await.unwrap();
    }
    let read: Vec<(String, String, String, i64)> =
        sqlx::query_as("SELECT key_id, algorithm, state, created_at FROM signing_keys")
            .fetch_all(&mut old)
            .await
            .unwrap();
    assert_eq!(read.len(), 5);
    assert!(store.keys().await.unwrap().get("old").is_some());
}

#[tokio::test]
async fn a_database_of_the_first_release_in_postgres() {
    let Some(database) = Database::create().await else { return };
    let mut old = PgConnection::connect(database.url.as_str()).await.unwrap();
    apply(&mut old, POSTGRES).await;
    let rows = ROWS.replace("DIGEST", "decode(repeat('00', 32), 'hex')");
    sqlx::raw_sql(AssertSqlSafe(rows)).execute(&mut old).await.unwrap();
    sqlx::query("UPDATE clients SET settings = $1")
        .bind(settings_of_a_client())
        .execute(&mut old)
        .await
        .unwrap();
    let store = open_postgres(&database).await;
    check(&store).await;
    for sql in ITS_OWN {
        sqlx::query(AssertSqlSafe(sql.to_owned())).execute(&mut old).await.unwrap();
    }
    assert!(store.keys().await.unwrap().get("old").is_some());
}

fn settings_of_a_client() -> String {
    serde_json::to_string(&client("billing", vec![]).client.settings).unwrap()
}
