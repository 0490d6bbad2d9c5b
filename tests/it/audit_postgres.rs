//! The audit log in PostgreSQL: what its table holds, and what becomes of calls while the server is away.

use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection, Row as _};
use tokend::{
    audit::{AuditMode, AuditSettings, SinkSettings},
    database::DatabaseLocation,
    server::Settings,
};
use tonic::Code;
use url::Url;

use crate::{
    harness::{TestServer, accepted, assert_refused, for_alice, settings},
    postgres::{Database, Server, missing},
};

fn to_database(url: &Url) -> Settings {
    let sinks = vec![SinkSettings::Postgres(DatabaseLocation::parse(url.as_str()).unwrap())];
    Settings { audit: AuditSettings { mode: AuditMode::Required, sinks, buffer: 1000 }, ..settings() }
}

async fn serve(url: &Url) -> TestServer {
    let settings = to_database(url);
    TestServer::with(|own| *own = settings).await
}

/// Time in seconds, number and event of each call, in their order.
async fn calls(url: &Url) -> Vec<(i64, i64, Value)> {
    let mut connection = PgConnection::connect(url.as_str()).await.unwrap();
    let sql = "SELECT extract(epoch FROM time)::bigint, sequence, event::text FROM audit_events \
               WHERE event ->> 'event' = 'call' ORDER BY time, instance, sequence";
    let rows = sqlx::query(sql).fetch_all(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1), serde_json::from_str(row.get(2)).unwrap())).collect()
}

#[tokio::test]
async fn each_event_is_a_row() {
    let Some(database) = Database::create().await else { return };
    let server = serve(&database.url).await;
    let issued = accepted(server.root.issue(for_alice()).await);
    server.clock.advance(5);
    assert_refused(server.root.check("a\0b.c.d").await, Code::InvalidArgument, "TOKEN_MALFORMED");
    let rows = calls(&database.url).await;
    let [(first_time, first_number, first), (second_time, second_number, second)] = &rows[..] else {
        panic!("{rows:#?}")
    };
    assert_eq!((second_time - first_time, second_number - first_number), (5, 1));
    assert_eq!((&first["jti"], &first["sequence"]), (&json!(issued.jwt_id), &json!(first_number)));
    assert_eq!(second["reason"], "TOKEN_MALFORMED");
    // Another server finds the table, and writes beside it.
    let another = serve(&database.url).await;
    accepted(another.root.issue(for_alice()).await);
    assert_eq!(calls(&database.url).await.len(), 3);
}

#[tokio::test]
async fn an_account_that_may_only_insert_is_enough() {
    let Some(database) = Database::create().await else { return };
    drop(serve(&database.url).await);
    let role = format!("audit_{}", database.url.path().trim_start_matches('/'));
    database
        .execute(format!(
            "CREATE ROLE {role} LOGIN PASSWORD 'hunter3'; GRANT INSERT ON audit_events TO {role}; \
             GRANT SELECT ON tokend_audit_migrations TO {role}"
        ))
        .await;
    let mut url = database.url.clone();
    url.set_username(&role).unwrap();
    url.set_password(Some("hunter3")).unwrap();
    let server = serve(&url).await;
    accepted(server.root.issue(for_alice()).await);
    assert_eq!(calls(&database.url).await.len(), 1);
    let mut connection = PgConnection::connect(url.as_str()).await.unwrap();
    for forbidden in
        ["UPDATE audit_events SET event = '{}'", "DELETE FROM audit_events", "TRUNCATE audit_events"]
    {
        let error = sqlx::query(forbidden).execute(&mut connection).await.unwrap_err().to_string();
        assert!(error.contains("permission denied"), "{forbidden}: {error}");
    }
    database.execute(format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
}

#[tokio::test]
async fn calls_are_refused_while_the_server_is_away_and_answered_when_it_is_back() {
    let Some(mut postgres) = tokio::task::spawn_blocking(Server::start).await.unwrap() else {
        return missing();
    };
    let url = postgres.url("postgres");
    let server = serve(&url).await;
    let token = server.root.token().await;
    // A connection that was cut is made anew, and nobody notices.
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'";
    let mut connection = PgConnection::connect(url.as_str()).await.unwrap();
    sqlx::query(cut).execute(&mut connection).await.unwrap();
    accepted(server.root.issue(for_alice()).await);
    postgres.stop();
    assert_refused(server.root.issue(for_alice()).await, Code::Unavailable, "AUDIT_UNAVAILABLE");
    accepted(server.root.check(&token).await);
    postgres.resume();
    while server.root.issue(for_alice()).await.is_err() {}
    assert_eq!(calls(&url).await.len(), 3);
    let metrics = server.get("/metrics").await.2;
    assert!(metrics.contains("tokend_audit_events_lost_total{sink=\"postgres\"} 1"), "{metrics}");
}
