//! A database of the release before sessions, brought up to date; and that release's statements on the new schema, for its
//! replicas run on while others are replaced.

use std::borrow::Cow;

use sqlx::{
    Connection as _, PgConnection, SqlSafeStr as _, SqliteConnection,
    migrate::{Migrate, Migration, MigrationType, Migrator},
};
use tokend::{
    model::{ChangeSequence, KeyChange, RevocationTarget},
    store::{self, Location, Store},
};

use crate::{
    postgres::Database,
    store_backends::{at, client, open_postgres, pending},
    store_revocations::{all, revocation},
    store_sessions::{session, session_id},
};

/// The migrations of that release, and that of the release after it.
macro_rules! migrations {
    ($database:literal) => {
        [
            (
                "foundation",
                include_str!(concat!("../../src/store/migrations/", $database, "/0001_foundation.sql")),
            ),
            (
                "key_lifecycle",
                include_str!(concat!("../../src/store/migrations/", $database, "/0002_key_lifecycle.sql")),
            ),
            (
                "sealing_keys",
                include_str!(concat!("../../src/store/migrations/", $database, "/0003_sealing_keys.sql")),
            ),
            ("users", include_str!(concat!("../../src/store/migrations/", $database, "/0004_users.sql"))),
            (
                "assertions",
                include_str!(concat!("../../src/store/migrations/", $database, "/0005_assertions.sql")),
            ),
            (
                "sessions",
                include_str!(concat!("../../src/store/migrations/", $database, "/0006_sessions.sql")),
            ),
        ]
    };
}

pub type Texts = [(&'static str, &'static str)];

pub const SQLITE: &Texts = &migrations!("sqlite");
pub const POSTGRES: &Texts = &migrations!("postgres");

pub async fn apply(connection: &mut impl Migrate, texts: &Texts) {
    let migration = |(version, &(name, sql)): (i64, &(&'static str, &'static str))| {
        Migration::new(version, Cow::Borrowed(name), MigrationType::Simple, sql.into_sql_str(), false)
    };
    let mut migrator = Migrator::with_migrations((1..).zip(texts).map(migration).collect());
    migrator.dangerous_set_table_name("tokend_migrations");
    migrator.run_direct(None, connection, false).await.unwrap();
}

/// Changes to keys and clients that there were before.
const CHANGES: &str = "UPDATE change_sequence SET value = 9, keys = 7";

/// How that release counts a change to a client, and one to the keys.
const ITS_CLIENT_CHANGE: &str = "UPDATE change_sequence SET value = value + 1";
const ITS_KEY_CHANGE: &str = "UPDATE change_sequence SET value = value + 1, keys = value + 1 WHERE keys = 7";

/// Sessions and revocations can be kept, and are no change to what was counted before.
async fn check(store: &Store) {
    assert_eq!(store.change_sequence().await.unwrap(), ChangeSequence(9));
    assert_eq!(all(store).await, []);
    assert_eq!(store.revocations(ChangeSequence(0), 9).await.unwrap().complete, ChangeSequence(9));
    store.create_session(&session(1, "web", "alice")).await.unwrap();
    let revoked = store.revoke(&revocation(RevocationTarget::Session(session_id(1)), None)).await.unwrap();
    assert_eq!(revoked.sequence, ChangeSequence(10));
    assert!(store.session(&session_id(1), at(300)).await.is_err());
    assert_eq!(store.change_sequence().await.unwrap(), ChangeSequence(9));
}

/// What a replica of that release changed meanwhile is seen, and does not stand in the way.
async fn check_beside(store: &Store) {
    assert_eq!(store.change_sequence().await.unwrap(), ChangeSequence(11));
    let set = store.keys().await.unwrap();
    assert_eq!(set.sequence, ChangeSequence(12));
    let made = store.change_keys(&KeyChange::of(&set).put(pending("next", 20))).await.unwrap();
    assert_eq!(made, Some(ChangeSequence(13)));
    store.create_client(&client("orders", vec![])).await.unwrap();
    let again = store.revoke(&revocation(RevocationTarget::Everything(at(50)), None)).await.unwrap();
    assert_eq!(again.sequence, ChangeSequence(15));
    assert_eq!(store.change_sequence().await.unwrap(), ChangeSequence(13));
}

#[tokio::test]
async fn a_database_of_the_release_before_in_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokend.db");
    let url = format!("sqlite:{}?mode=rwc", path.display());
    let mut old = SqliteConnection::connect(&url).await.unwrap();
    apply(&mut old, &SQLITE[..5]).await;
    sqlx::query(CHANGES).execute(&mut old).await.unwrap();
    let store = store::open(&Location::Sqlite(path)).await.unwrap();
    check(&store).await;
    for sql in [ITS_CLIENT_CHANGE, ITS_KEY_CHANGE] {
        assert_eq!(sqlx::query(sql).execute(&mut old).await.unwrap().rows_affected(), 1);
    }
    check_beside(&store).await;
}

#[tokio::test]
async fn a_database_of_the_release_before_in_postgres() {
    let Some(database) = Database::create().await else { return };
    let mut old = PgConnection::connect(database.url.as_str()).await.unwrap();
    apply(&mut old, &POSTGRES[..5]).await;
    sqlx::query(CHANGES).execute(&mut old).await.unwrap();
    let store = open_postgres(&database).await;
    check(&store).await;
    for sql in [ITS_CLIENT_CHANGE, ITS_KEY_CHANGE] {
        assert_eq!(sqlx::query(sql).execute(&mut old).await.unwrap().rows_affected(), 1);
    }
    check_beside(&store).await;
}
