//! Rows that decide trust carry a MAC: who can write to the database, and has no sealing key, makes nothing that is trusted.

use std::sync::Arc;

use serde_json::json;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, SqliteConnection};
use tempfile::TempDir;
use tokend::{
    clock::{Clock, SystemClock},
    keys::{Resealing, Sealer, SealingSettings, reseal},
    model::Algorithm,
    proto::v1,
    server::{Server, Settings},
    store::{self, Location, Store},
};
use tonic::Code;

use crate::{
    forge::payload,
    harness::{START, TestServer, accepted, assert_refused, for_alice, manual_clock, settings},
    key_calls::{header, list, published, revoke, rotate},
    made_keys::made,
    postgres::Database,
};

/// A database of its own, and a way past the store.
pub enum Db {
    Sqlite(TempDir),
    Postgres(Database),
}

impl Db {
    pub fn sqlite() -> Self {
        Self::Sqlite(TempDir::new().unwrap())
    }

    pub async fn store(&self) -> Arc<Store> {
        let location = match self {
            Self::Sqlite(folder) => Location::Sqlite(folder.path().join("tokend.db")),
            Self::Postgres(database) => database.url.as_str().parse().unwrap(),
        };
        store::open(&location).await.unwrap()
    }

    /// Runs SQL, and counts it as a change, so that running servers load it.
    pub async fn run(&self, sql: &str) {
        let sql = format!("{sql}; UPDATE change_sequence SET value = value + 1, keys = value + 1");
        match self {
            Self::Sqlite(folder) => {
                let url = format!("sqlite:{}", folder.path().join("tokend.db").display());
                let mut connection = SqliteConnection::connect(&url).await.unwrap();
                sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
                connection.close().await.unwrap();
            }
            Self::Postgres(database) => {
                let mut connection: PgConnection = database.connect().await;
                sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
            }
        }
    }

    /// What an attacker does first: a changed row then keeps its MAC.
    async fn without_triggers(&self) {
        for table in ["signing_keys", "clients"] {
            let on = if matches!(self, Self::Sqlite(..)) { String::new() } else { format!(" ON {table}") };
            self.run(&format!("DROP TRIGGER {table}_stale_mac{on}")).await;
        }
    }
}

/// Makes each function a test on a SQLite file and on PostgreSQL.
macro_rules! on_both_databases {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test] async fn $name() { super::$name($crate::row_macs::Db::sqlite()).await; })+
        }
        mod postgres {
            $(#[tokio::test] async fn $name() {
                let Some(database) = crate::postgres::Database::create().await else { return };
                super::$name($crate::row_macs::Db::Postgres(database)).await;
            })+
        }
    };
}

pub(crate) use on_both_databases;

on_both_databases!(
    a_forged_key_verifies_nothing,
    a_changed_key_row_is_no_key,
    a_changed_client_row_is_no_client,
    a_key_whose_row_was_changed_can_be_replaced,
);

pub const fn requiring(mut settings: Settings) -> Settings {
    settings.keys.sealing.require_row_macs = true;
    settings
}

pub async fn start(db: &Db, settings: Settings) -> TestServer {
    TestServer::on(db.store().await, settings, manual_clock()).await
}

pub async fn start_error(db: &Db, settings: Settings) -> String {
    let opened = Server::with_store(settings, db.store().await, manual_clock()).await;
    opened.err().expect("it must not start").to_string()
}

/// `tokend key reseal` with these settings.
pub async fn reseal_with(db: &Db, sealing: &SealingSettings) -> Resealing {
    let store = db.store().await;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let done = reseal(&store, &Sealer::new(sealing, &store, &clock).unwrap()).await.unwrap();
    store.close().await;
    done
}

/// Rows of keys and of clients that are not trusted, and rows that are accepted without a MAC.
pub async fn counts(server: &TestServer) -> [u64; 4] {
    let (_, _, metrics) = server.get("/metrics").await;
    let value = |name: &str, table: &str| {
        let line = format!("{name}{{table=\"{table}\"}} ");
        let line = metrics.lines().find_map(|found| found.strip_prefix(&line)).expect(name);
        line.parse().unwrap()
    };
    let (untrusted, unsigned) = ("tokend_rows_untrusted", "tokend_rows_unsigned");
    let [keys, clients] = ["signing_keys", "clients"];
    [value(untrusted, keys), value(untrusted, clients), value(unsigned, keys), value(unsigned, clients)]
}

/// The row of a key of the attacker's own, as one that has retired and verifies this issuer's tokens.
fn forged_row(mac: &str) -> String {
    let jwk = &made(Algorithm::Es256).public_jwk;
    let public = json!({"kty": jwk["kty"], "crv": jwk["crv"], "x": jwk["x"], "y": jwk["y"]});
    format!(
        "INSERT INTO signing_keys (key_id, algorithm, state, created_at, usage, public, mac) \
         VALUES ('forged', 'ES256', 'retired', {START}, 'verify', '{public}', {mac})"
    )
}

async fn a_forged_key_verifies_nothing(db: Db) {
    let server = start(&db, requiring(settings())).await;
    let good = server.root.token().await;
    let forged = made(Algorithm::Es256).token("forged", &payload());
    let of_another_row = "(SELECT mac FROM signing_keys WHERE state = 'active')";
    for mac in ["NULL", of_another_row] {
        db.run(&forged_row(mac)).await;
        server.rounds.make().await.unwrap();
        assert_refused(server.root.check(&forged).await, Code::InvalidArgument, "TOKEN_KEY_UNKNOWN");
        accepted(server.root.check(&good).await);
        assert!(!published(&server).await.contains(&"forged".to_owned()));
        assert_eq!(counts(&server).await, [1, 0, 0, 0]);
        let listed = list(&server).await;
        let row = listed.iter().find(|key| key.key_id == "forged").expect("an operator sees it");
        assert!(row.problem.contains("not trusted"), "{row:?}");
        db.run("DELETE FROM signing_keys WHERE key_id = 'forged'").await;
    }
    // Without `require_row_macs` a row without a MAC is accepted, and counted; one with a wrong MAC is not.
    let lenient = start(&db, settings()).await;
    for (mac, is_good, expected) in [("NULL", true, [0, 0, 1, 0]), (of_another_row, false, [1, 0, 0, 0])] {
        db.run(&forged_row(mac)).await;
        lenient.rounds.make().await.unwrap();
        let checked = lenient.root.check(&forged).await;
        assert_eq!(checked.is_ok(), is_good, "{:?}", checked.err());
        assert_eq!(counts(&lenient).await, expected);
        db.run("DELETE FROM signing_keys WHERE key_id = 'forged'").await;
    }
}

async fn a_changed_key_row_is_no_key(db: Db) {
    let server = start(&db, settings()).await;
    let token = server.root.token().await;
    let kid = header(&token)["kid"].as_str().unwrap().to_owned();
    db.without_triggers().await;
    for (column, value) in [
        ("state", "'retired'"),
        ("usage", "'verify'"),
        ("issuer", "'https://elsewhere.example'"),
        ("created_at", "created_at - 1"),
        ("activate_at", "NULL"),
        ("retire_at", "retire_at + 1"),
        ("expire_at", "expire_at + 1"),
        ("public", "(SELECT public FROM signing_keys WHERE state = 'pending')"),
        ("sealed", "(SELECT sealed FROM signing_keys WHERE state = 'pending')"),
        ("mac", "(SELECT mac FROM signing_keys WHERE state = 'pending')"),
    ] {
        db.run(&format!(
            "CREATE TABLE kept AS SELECT * FROM signing_keys; \
             UPDATE signing_keys SET {}{column} = {value} WHERE key_id = '{kid}'",
            // What the table itself asks for of a key that only verifies.
            if column == "usage" { "state = 'retired', " } else { "" },
        ))
        .await;
        server.rounds.make().await.unwrap();
        assert_refused(server.root.check(&token).await, Code::InvalidArgument, "TOKEN_KEY_UNKNOWN");
        assert_refused(server.root.issue(for_alice()).await, Code::FailedPrecondition, "NO_ACTIVE_KEY");
        assert!(!published(&server).await.contains(&kid), "{column}");
        assert_eq!(counts(&server).await, [1, 0, 0, 0], "{column}");
        db.run("DELETE FROM signing_keys; INSERT INTO signing_keys SELECT * FROM kept; DROP TABLE kept")
            .await;
        server.rounds.make().await.unwrap();
        accepted(server.root.check(&token).await);
        accepted(server.root.issue(for_alice()).await);
    }
    // A revoked key stays revoked, whatever else its row says.
    accepted(revoke(&server, &kid).await);
    db.run(&format!("UPDATE signing_keys SET expire_at = 1 WHERE key_id = '{kid}'")).await;
    server.rounds.make().await.unwrap();
    assert_refused(server.root.check(&token).await, Code::InvalidArgument, "TOKEN_REVOKED");
}

pub fn client(client_id: &str) -> v1::Client {
    let permissions = v1::Permissions {
        methods: vec!["TokenService/IssueToken".to_owned(), "TokenService/VerifyToken".to_owned()],
        audiences: vec!["orders".to_owned()],
        verify_audiences: vec!["orders".to_owned()],
        scopes: vec!["read".to_owned()],
        subjects: vec!["alice".to_owned()],
        ..Default::default()
    };
    v1::Client { client_id: client_id.to_owned(), permissions: Some(permissions), ..Default::default() }
}

async fn a_changed_client_row_is_no_client(db: Db) {
    let server = start(&db, settings()).await;
    let web = server.client(client("web")).await;
    let other = server.client(client("other")).await;
    accepted(web.issue(for_alice()).await);
    db.without_triggers().await;
    let digest = "(SELECT digest FROM client_secrets WHERE client_id = 'root')";
    for change in [
        "UPDATE clients SET settings = replace(settings, '\"orders\"', '\"*\"') WHERE client_id = 'web'".to_owned(),
        "UPDATE clients SET settings = replace(settings, 'IssueToken', '*') WHERE client_id = 'web'".to_owned(),
        "UPDATE clients SET mac = (SELECT mac FROM clients WHERE client_id = 'other') WHERE client_id = 'web'".to_owned(),
        format!("CREATE TABLE d AS SELECT {digest} AS digest; DELETE FROM client_secrets WHERE client_id = 'root'; \
                 UPDATE client_secrets SET digest = (SELECT digest FROM d) WHERE client_id = 'web'; DROP TABLE d"),
        "UPDATE client_secrets SET expires_at = 9000000000 WHERE client_id = 'web'".to_owned(),
        "UPDATE client_secrets SET client_id = 'web', ordinal = 2 WHERE client_id = 'other'".to_owned(),
        "UPDATE clients SET mac = NULL; UPDATE clients SET client_id = client_id".to_owned(),
    ] {
        let unsigned = change.contains("mac = NULL");
        db.run(&format!(
            "CREATE TABLE kept AS SELECT * FROM clients; CREATE TABLE kept_secrets AS SELECT * FROM client_secrets; {change}"
        ))
        .await;
        server.rounds.make().await.unwrap();
        if unsigned {
            accepted(web.issue(for_alice()).await);
            assert_eq!(counts(&server).await, [0, 0, 0, 3]);
        } else {
            assert_refused(web.issue(for_alice()).await, Code::Unauthenticated, "CREDENTIALS_INVALID");
            assert!(counts(&server).await[1] >= 1, "{change}");
            assert_eq!(other.issue(for_alice()).await.is_ok(), !change.contains("'other'") || change.contains("mac"));
        }
        db.run(
            "DELETE FROM client_secrets; DELETE FROM clients; INSERT INTO clients SELECT * FROM kept; \
             INSERT INTO client_secrets SELECT * FROM kept_secrets; DROP TABLE kept; DROP TABLE kept_secrets",
        )
        .await;
        server.rounds.make().await.unwrap();
        accepted(web.issue(for_alice()).await);
        assert_eq!(counts(&server).await, [0; 4]);
    }
    // To an operator it is as if it were not there, so that no change signs what it says; it can be deleted.
    db.run("UPDATE clients SET settings = replace(settings, '\"orders\"', '\"*\"') WHERE client_id = 'web'")
        .await;
    let root = &server.root;
    let web = || "web".to_owned();
    let get = v1::GetClientRequest { client_id: web() };
    assert_refused(root.clients().get_client(root.request(get)).await, Code::NotFound, "CLIENT_NOT_FOUND");
    let secret = v1::RotateClientSecretRequest { client_id: web(), ..Default::default() };
    let secret = root.clients().rotate_client_secret(root.request(secret)).await;
    assert_refused(secret, Code::NotFound, "CLIENT_NOT_FOUND");
    let page = v1::ListClientsRequest { page_size: 1, ..Default::default() };
    let page = accepted(root.clients().list_clients(root.request(page)).await).into_inner();
    assert_eq!(page.clients[0].client_id, "other");
    let next = v1::ListClientsRequest { page_size: 1, page_token: page.next_page_token };
    let next = accepted(root.clients().list_clients(root.request(next)).await).into_inner();
    assert_eq!((next.clients[0].client_id.as_str(), &*next.next_page_token), ("root", ""));
    let delete = v1::DeleteClientRequest { client_id: web(), ..Default::default() };
    accepted(root.clients().delete_client(root.request(delete)).await);
    server.client(client("web")).await;
}

async fn a_key_whose_row_was_changed_can_be_replaced(db: Db) {
    let server = start(&db, requiring(settings())).await;
    for state in ["active", "pending"] {
        let token = server.root.token().await;
        let before = list(&server).await;
        let changed =
            before.iter().find(|key| key.state().as_str_name().to_lowercase().ends_with(state)).unwrap();
        db.run(&format!("UPDATE signing_keys SET expire_at = 7 WHERE state = '{state}'")).await;
        // The others serve, and what cannot be done is said.
        server.rounds.make().await.unwrap();
        assert_eq!(server.root.check(&token).await.is_ok(), state == "pending");
        let request = v1::RotateKeysRequest { immediately: true, ..Default::default() };
        let refused = server.root.keys().rotate_keys(server.root.request(request)).await;
        assert_refused(refused, Code::FailedPrecondition, "KEY_NOT_ROTATABLE");
        server.clock.advance(86_400);
        server.rounds.make().await.unwrap();

        accepted(revoke(&server, &changed.key_id).await);
        accepted(server.root.issue(for_alice()).await);
        assert_eq!(counts(&server).await, [0; 4]);
        rotate(&server, true).await;
        accepted(server.root.issue(for_alice()).await);
    }
}
