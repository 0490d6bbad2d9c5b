//! Opening a PostgreSQL store, and what happens when its server goes.

use std::sync::Arc;

use sqlx::Connection as _;
use tokend::store::{self, Location, OpenError, StoreError};
use tokio::task::JoinSet;

use crate::{
    postgres::{Database, Server, missing},
    store_backends::{client, ensure_key, id, key, open_postgres, secret, stored_keys},
};

async fn refused(database: &Database) -> OpenError {
    let location: Location = database.url.as_str().parse().unwrap();
    store::open(&location).await.expect_err("it opened")
}

#[tokio::test]
async fn what_was_stored_is_there_after_a_restart() {
    let Some(database) = Database::create().await else { return };
    let store = open_postgres(&database).await;
    ensure_key(&store, &key("key", 1)).await.unwrap();
    store.create_client(&client("billing", vec![secret(1, 1, None)])).await.unwrap();
    store.close().await;
    let store = open_postgres(&database).await;
    assert_eq!(stored_keys(&store).await, [key("key", 1)]);
    assert_eq!(store.clients().await.unwrap(), [client("billing", vec![secret(1, 1, None)])]);
    assert_eq!(store.change_sequence().await.unwrap().0, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_may_open_an_empty_database_at_once() {
    let Some(database) = Database::create().await else { return };
    let database = Arc::new(database);
    let mut openings = JoinSet::new();
    for number in 0..16 {
        let database = Arc::clone(&database);
        openings.spawn(async move {
            let store = open_postgres(&database).await;
            let active = ensure_key(&store, &key(&format!("key-{number}"), 1)).await.unwrap();
            store.close().await;
            active
        });
    }
    let keys = openings.join_all().await;
    assert!(keys.iter().all(|key| *key == keys[0]));
    assert_eq!(open_postgres(&database).await.change_sequence().await.unwrap().0, 1);
}

#[tokio::test]
async fn a_newer_database_is_refused_before_anything_is_written() {
    let Some(database) = Database::create().await else { return };
    // As a later release would leave it, with none of today's tables.
    database
        .execute(
            "CREATE TABLE tokend_migrations (version BIGINT, description TEXT, success BOOLEAN, checksum BYTEA, \
             execution_time BIGINT); INSERT INTO tokend_migrations VALUES (9000, 'later', TRUE, '', 0)",
        )
        .await;
    let error = refused(&database).await;
    assert!(matches!(error, OpenError::Newer { found: 9000, known: 1.. }), "{error}");
    let mut connection = database.connect().await;
    let tables: i64 = sqlx::query_scalar("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(tables, 1);
    connection.close().await.unwrap();
}

#[tokio::test]
async fn a_migration_with_another_text_is_refused() {
    let Some(database) = Database::create().await else { return };
    open_postgres(&database).await.close().await;
    database.execute("UPDATE tokend_migrations SET checksum = '\\x00'").await;
    let error = refused(&database).await;
    assert!(matches!(error, OpenError::Migration { version: 1, .. }), "{error}");
}

#[tokio::test]
async fn a_failed_migration_is_rolled_back() {
    let Some(database) = Database::create().await else { return };
    // The last table that the first migration makes is there already.
    database.execute("CREATE TABLE client_secrets (name TEXT)").await;
    let error = refused(&database).await;
    assert!(matches!(error, OpenError::Migration { version: 1, .. }), "{error}");
    database.execute("DROP TABLE client_secrets").await;
    open_postgres(&database).await.create_client(&client("billing", vec![])).await.unwrap();
}

#[tokio::test]
async fn a_start_with_nothing_to_migrate_needs_no_right_to_make_tables() {
    let Some(database) = Database::create().await else { return };
    open_postgres(&database).await.close().await;
    let role = format!("{}_user", database.url.path().trim_start_matches('/'));
    database
        .execute(format!(
            "CREATE ROLE {role} LOGIN PASSWORD 'hunter2'; REVOKE CREATE ON SCHEMA public FROM PUBLIC; \
             GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}"
        ))
        .await;
    let mut url = database.url.clone();
    url.set_username(&role).unwrap();
    url.set_password(Some("hunter2")).unwrap();
    let store = store::open(&url.as_str().parse().unwrap()).await.unwrap();
    store.create_client(&client("billing", vec![])).await.unwrap();
    store.close().await;
    database.execute(format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
}

#[tokio::test]
async fn the_guards_hold_whatever_the_databases_defaults_are() {
    let Some(database) = Database::create().await else { return };
    let name = database.url.path().trim_start_matches('/').to_owned();
    database
        .execute(format!("ALTER DATABASE {name} SET default_transaction_isolation = 'serializable'"))
        .await;
    let store = open_postgres(&database).await;
    let mut racers = JoinSet::new();
    for number in 0..12 {
        let store = Arc::clone(&store);
        racers
            .spawn(async move { store.put_client(&client("billing", vec![secret(number, 1, None)])).await });
    }
    for result in racers.join_all().await {
        result.unwrap();
    }
    assert_eq!(store.client(&id("billing")).await.unwrap().client.revision, 12);
}

#[tokio::test]
async fn a_row_that_makes_no_sense_names_its_place() {
    let Some(database) = Database::create().await else { return };
    let store = open_postgres(&database).await;
    ensure_key(&store, &key("key", 1)).await.unwrap();
    store.create_client(&client("billing", vec![])).await.unwrap();
    database.execute("UPDATE signing_keys SET algorithm = 'XX1'").await;
    database.execute("UPDATE clients SET settings = '{\"new\": 1}'").await;
    let error = store.keys().await.unwrap_err();
    assert!(
        matches!(&error, StoreError::Corrupt { table: "signing_keys", column: "algorithm", row, .. } if row == "key")
    );
    assert!(!format!("{error:?}").contains("sealed"), "{error:?}");
    let error = store.client(&id("billing")).await.unwrap_err();
    assert!(
        matches!(&error, StoreError::Corrupt { table: "clients", column: "settings", row, .. } if row == "billing")
    );
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named_without_the_password() {
    // Bound and not listening: no other process can take the port, and connections are refused.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let port = socket.local_addr().unwrap().port();
    let location = format!("postgres://user:hunter2@127.0.0.1:{port}/tokend").parse().unwrap();
    let error = store::open(&location).await.unwrap_err();
    assert!(matches!(error, OpenError::Unreachable { .. }), "{error}");
    let text = format!("{error} {error:?}");
    assert!(text.contains(&port.to_string()) && !text.contains("hunter2"), "{text}");
}

#[tokio::test]
async fn a_database_that_is_not_there_is_named_without_the_password() {
    let Some(database) = Database::create().await else { return };
    let mut url = database.url.clone();
    url.set_path("no_such_database");
    let error = store::open(&url.as_str().parse().unwrap()).await.unwrap_err();
    assert!(matches!(error, OpenError::Unreachable { .. }), "{error}");
    let text = format!("{error} {error:?}");
    assert!(text.contains("no_such_database") && !text.contains("hunter2"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_outlives_its_servers_restart() {
    let Some(mut server) = tokio::task::spawn_blocking(Server::start).await.unwrap() else {
        return missing();
    };
    let database = Database::create_at(&server.url("postgres")).await;
    let store = open_postgres(&database).await;
    // Several connections, idle in the pool when their server goes.
    let mut readers = JoinSet::new();
    for number in 0..16 {
        let store = Arc::clone(&store);
        readers
            .spawn(async move { store.create_client(&client(&format!("c{number}"), vec![])).await.unwrap() });
    }
    readers.join_all().await;

    for round in 0..2 {
        tokio::task::block_in_place(|| server.stop());
        let answers = [
            store.clients().await.map(drop),
            store.change_sequence().await.map(drop),
            store.create_client(&client("lost", vec![])).await,
            ensure_key(&store, &key("lost", 1)).await.map(drop),
        ];
        for answer in answers {
            assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{answer:?}");
        }
        tokio::task::block_in_place(|| server.resume());
        // A connection that died is noticed at its next use, so that a few more calls may fail; and no more than the
        // pool has connections.
        let mut tries = 0;
        while let Err(error) = store.create_client(&client(&format!("back-{round}"), vec![])).await {
            assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
            tries += 1;
            assert!(tries <= 8, "{error}");
        }
        assert_eq!(store.clients().await.unwrap().len(), 16 + round + 1);
        assert_eq!(store.change_sequence().await.unwrap().0, i64::try_from(16 + round + 1).unwrap());
    }
    store.close().await;
    drop(database);
}
