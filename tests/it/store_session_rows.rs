//! Rows of sessions and revocations that make no sense: the error names the place, and shows nothing that opens anything.

use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, sqlite::SqliteConnectOptions};
use tokend::{
    model::{ChangeSequence, RevocationTarget, SessionFilter},
    store::{self, Location, Store, StoreError},
};

use crate::{
    postgres::Database,
    store_backends::{at, id, open_postgres},
    store_revocations::revocation,
    store_sessions::{rotation, session, session_id},
};

async fn fill(store: &Store) {
    store.create_session(&session(1, "web", "alice")).await.unwrap();
    assert!(store.rotate_session(&rotation(1, 0, 200)).await.unwrap());
    store.revoke(&revocation(RevocationTarget::Client(id("web"), at(50)), None)).await.unwrap();
}

fn names(error: &StoreError, place: &str) {
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
    assert!(error.to_string().starts_with(place), "{error}, not {place}");
    assert!(!format!("{error:?}").contains("736563"), "{error:?}");
}

#[tokio::test]
async fn a_session_that_makes_no_sense_names_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokend.db");
    let good = session_id(1);
    for (set, column) in [
        ("session_id = '!!!'", "session_id"),
        ("client_id = 'Bad'", "client_id"),
        ("user_id = ''", "user_id"),
        ("scope = '{}'", "scope"),
        (r#"scope = '{"audiences":[],"scopes":[],"claims":"[]","ttl":null}'"#, "scope"),
        (r#"scope = '{"audiences":[],"scopes":[],"claims":"{}","ttl":0}'"#, "scope"),
        (r#"scope = '{"audiences":[],"scopes":[],"claims":"{}","ttl":null,"only":[]}'"#, "scope"),
        ("family = x'736563'", "family"),
        ("current_digest = x'736563'", "current_digest"),
        ("replaced_digest = x'736563'", "replaced_digest"),
        ("replaced_request = x'736563'", "replaced_request"),
        ("successor = NULL", "replaced_digest"),
        ("replaced_at = NULL", "replaced_digest"),
    ] {
        let location = Location::Sqlite(path.clone());
        let store = store::open(&location).await.unwrap();
        fill(&store).await;
        store.close().await;
        execute(&path, &format!("PRAGMA ignore_check_constraints = 1; UPDATE sessions SET {set}")).await;
        let store = store::open(&location).await.unwrap();
        let listed = store.sessions_page(&SessionFilter::default(), at(300), None, 9).await;
        if column == "session_id" {
            names(&listed.unwrap_err(), "sessions.session_id of row `!!!`");
        } else {
            let place = format!("sessions.{column} of row `{good}`");
            names(&store.session(&good, at(300)).await.unwrap_err(), &place);
            // A list is of the sessions alone.
            let of_a_session = ["client_id", "user_id", "scope"].contains(&column);
            assert_eq!(listed.is_err(), of_a_session, "{set}");
            listed.err().iter().for_each(|error| names(error, &place));
        }
        store.close().await;
        std::fs::remove_file(&path).unwrap();
    }
}

#[tokio::test]
async fn a_revocation_that_makes_no_sense_names_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokend.db");
    for (set, place) in [
        ("kind = 'device'", "revocations.kind of row `device web`"),
        ("target = 'Bad'", "revocations.target of row `client Bad`"),
        ("issued_before = NULL", "revocations.issued_before of row `client web`"),
        ("kind = 'token'", "revocations.issued_before of row `token web`"),
        ("kind = 'session', issued_before = NULL", "revocations.target of row `session web`"),
    ] {
        let location = Location::Sqlite(path.clone());
        let store = store::open(&location).await.unwrap();
        fill(&store).await;
        store.close().await;
        execute(&path, &format!("PRAGMA ignore_check_constraints = 1; UPDATE revocations SET {set}")).await;
        let store = store::open(&location).await.unwrap();
        names(&store.revocations(ChangeSequence(0), 9).await.unwrap_err(), place);
        store.close().await;
        std::fs::remove_file(&path).unwrap();
    }
}

async fn execute(path: &std::path::Path, sql: &str) {
    let mut connection = SqliteConnectOptions::new().filename(path).connect().await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

#[tokio::test]
async fn rows_that_make_no_sense_name_their_places_in_postgres() {
    let Some(database) = Database::create().await else { return };
    let store = open_postgres(&database).await;
    fill(&store).await;
    database.execute("UPDATE sessions SET scope = '{}'").await;
    database.execute("UPDATE revocations SET target = 'Bad'").await;
    let place = format!("sessions.scope of row `{}`", session_id(1));
    names(&store.session(&session_id(1), at(300)).await.unwrap_err(), &place);
    let revocations = store.revocations(ChangeSequence(0), 9).await;
    names(&revocations.unwrap_err(), "revocations.target of row `client Bad`");
    // The database itself takes none of the others.
    for (table, set) in [
        ("sessions", "session_id = '!!!'"),
        ("sessions", "family = 'sec'"),
        ("sessions", "successor = NULL"),
        ("sessions", "replaced_at = NULL"),
        ("sessions", "idle_expires_at = expires_at + 1"),
        ("revocations", "issued_before = NULL"),
        ("revocations", "kind = 'token'"),
        ("revocations", "kind = 'everything'"),
        ("change_sequence", "revocations = value + 1"),
    ] {
        let mut connection = database.connect().await;
        let sql = AssertSqlSafe(format!("UPDATE {table} SET {set}"));
        let refused = sqlx::query(sql).execute(&mut connection).await.unwrap_err();
        assert!(refused.as_database_error().unwrap().is_check_violation(), "{set}: {refused}");
        connection.close().await.unwrap();
    }
}
