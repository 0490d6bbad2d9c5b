//! A database of the release with sessions, brought up to date: every signing key with its NULLs and its guards stays, and that
//! release's statements work on the new schema.

use sqlx::{AssertSqlSafe, Connection as _, PgConnection, SqliteConnection};
use tokend::{
    model::{ChangeSequence, KeyChange, KeyState, KeyUsage},
    store::{self, Location, Store},
};

use crate::{
    postgres::Database,
    store_backends::{at, key, open_postgres, pending},
    store_upgrade_sessions::{POSTGRES, SQLITE, apply},
};

/// A key of each state, each with other columns NULL. `BYTES` stands for a sealed half.
const ROWS: &str = r#"
    INSERT INTO signing_keys (key_id, algorithm, state, sealed, created_at, usage, issuer, public, activate_at, retire_at,
                              expire_at, revocation, publish_sequence, changed_sequence) VALUES
        ('a', 'ES256', 'active', BYTES, 10, 'sign', NULL, '{"kid": "a"}', 11, NULL, NULL, NULL, 3, 4),
        ('b', 'ES256', 'pending', BYTES, 12, 'sign', NULL, '{"kid": "b"}', 20, NULL, NULL, NULL, 5, 5),
        ('c', 'HS256', 'active', BYTES, 13, 'sign', NULL, NULL, 13, NULL, NULL, NULL, 6, 6),
        ('d', 'ES256', 'retired', NULL, 1, 'sign', NULL, '{"kid": "d"}', 2, 3, 9000, NULL, 1, 2),
        ('e', 'EdDSA', 'retired', NULL, 4, 'verify', 'https://partner.example', '{"kid": "e"}', NULL, NULL, 9001, NULL, 7, 7),
        ('f', 'RS256', 'revoked', NULL, 5, 'sign', NULL, '{"kid": "f"}', 5, 6, NULL,
            '{"time":60,"reason":"leaked","by":"ops"}', 8, 9);
    UPDATE change_sequence SET value = 9, keys = 9;
"#;

/// How that release reads keys, publishes one, and erases a private half.
const ITS_READ: &str = "SELECT key_id, algorithm, state, usage, issuer, public, activate_at, retire_at, expire_at, \
    revocation, publish_sequence, changed_sequence FROM signing_keys ORDER BY key_id";
const ITS_WRITES: [&str; 2] = [
    "INSERT INTO signing_keys (key_id, algorithm, state, sealed, created_at, usage, public, activate_at) \
     VALUES ('g', 'EdDSA', 'pending', BYTES, 30, 'sign', '{}', 40)",
    "UPDATE signing_keys SET state = 'retired', sealed = NULL, retire_at = 50 WHERE key_id = 'c'",
];

type Columns = (
    String,
    String,
    String,
    String,
    Option<String>,
    Option<String>,
    Option<i64>,
    Option<i64>,
    Option<i64>,
    Option<String>,
    i64,
    i64,
);

async fn check(store: &Store) {
    let set = store.keys().await.unwrap();
    assert_eq!((set.sequence, set.keys.len()), (ChangeSequence(9), 6));
    let found = |name: &str| set.get(name).unwrap();
    for (name, state, sealed, public) in [
        ("a", KeyState::Active, true, true),
        ("b", KeyState::Pending, true, true),
        ("c", KeyState::Active, true, false),
        ("d", KeyState::Retired, false, true),
        ("e", KeyState::Retired, false, true),
        ("f", KeyState::Revoked, false, true),
    ] {
        let key = found(name);
        let sealed = sealed.then_some(&b"sealed"[..]);
        assert_eq!((key.state, key.sealed.as_deref()), (state, sealed), "{name}");
        let public = public.then(|| format!(r#"{{"kid": "{name}"}}"#));
        assert_eq!(key.public, public, "{name}");
    }
    let times = |name: &str| (found(name).activate_time, found(name).retire_time, found(name).expire_time);
    assert_eq!(times("d"), (Some(at(2)), Some(at(3)), Some(at(9000))));
    assert_eq!(found("e").issuer.as_deref(), Some("https://partner.example"));
    assert_eq!((found("a").usage, found("e").usage), (KeyUsage::SignAndVerify, KeyUsage::VerifyOnly));
    assert_eq!(found("f").revocation.as_ref().unwrap().reason, "leaked");
    // The guards: one active and one pending key per algorithm.
    for second in [key("second active", 20), pending("second pending", 20)] {
        assert!(store.change_keys(&KeyChange::of(&set).put(second)).await.is_err());
    }
    assert_eq!(store.keys().await.unwrap().sequence, ChangeSequence(9));
}

async fn check_beside(store: &Store) {
    let set = store.keys().await.unwrap();
    assert_eq!(set.get("g").unwrap().state, KeyState::Pending);
    assert_eq!((set.get("c").unwrap().state, &set.get("c").unwrap().sealed), (KeyState::Retired, &None));
}

#[tokio::test]
async fn keys_of_the_release_before_in_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokend.db");
    let url = format!("sqlite:{}?mode=rwc", path.display());
    let mut old = SqliteConnection::connect(&url).await.unwrap();
    apply(&mut old, SQLITE).await;
    let bytes = |sql: &str| AssertSqlSafe(sql.replace("BYTES", "x'7365616c6564'"));
    sqlx::raw_sql(bytes(ROWS)).execute(&mut old).await.unwrap();
    let before: Vec<Columns> = sqlx::query_as(ITS_READ).fetch_all(&mut old).await.unwrap();
    let store = store::open(&Location::Sqlite(path)).await.unwrap();
    let after: Vec<Columns> = sqlx::query_as(ITS_READ).fetch_all(&mut old).await.unwrap();
    assert_eq!((after.len(), after), (6, before));
    check(&store).await;
    // No constraint depends on what json_valid(NULL) is; the other half of each constraint holds.
    let tables: String =
        sqlx::query_scalar("SELECT group_concat(sql) FROM sqlite_schema WHERE name = 'signing_keys'")
            .fetch_one(&mut old)
            .await
            .unwrap();
    for column in ["public", "revocation"] {
        assert!(tables.contains(&format!("CHECK ({column} IS NULL OR json_valid({column}))")), "{tables}");
    }
    assert!(sqlx::raw_sql("UPDATE signing_keys SET public = 'no JSON'").execute(&mut old).await.is_err());
    for sql in ITS_WRITES {
        assert_eq!(sqlx::raw_sql(bytes(sql)).execute(&mut old).await.unwrap().rows_affected(), 1);
    }
    check_beside(&store).await;
    let broken: Vec<(String,)> =
        sqlx::query_as("SELECT \"table\" FROM pragma_foreign_key_check").fetch_all(&mut old).await.unwrap();
    assert_eq!(broken, []);
}

#[tokio::test]
async fn keys_of_the_release_before_in_postgres() {
    let Some(database) = Database::create().await else { return };
    let mut old = PgConnection::connect(database.url.as_str()).await.unwrap();
    apply(&mut old, POSTGRES).await;
    let bytes = |sql: &str| AssertSqlSafe(sql.replace("BYTES", "'sealed'"));
    sqlx::raw_sql(bytes(ROWS)).execute(&mut old).await.unwrap();
    let before: Vec<Columns> = sqlx::query_as(ITS_READ).fetch_all(&mut old).await.unwrap();
    let store = open_postgres(&database).await;
    let after: Vec<Columns> = sqlx::query_as(ITS_READ).fetch_all(&mut old).await.unwrap();
    assert_eq!((after.len(), after), (6, before));
    check(&store).await;
    for sql in ITS_WRITES {
        assert_eq!(sqlx::raw_sql(bytes(sql)).execute(&mut old).await.unwrap().rows_affected(), 1);
    }
    check_beside(&store).await;
}
