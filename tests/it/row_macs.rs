//! Rows that decide trust carry a MAC: who can write to the database, and has no sealing key, makes nothing that is trusted.

use std::{path::PathBuf, sync::Arc};

use serde_json::json;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, SqliteConnection};
use tempfile::TempDir;
use tokend::{
    clock::{Clock, SystemClock},
    keys::{Outcome, Resealing, Sealer, SealingKey, SealingSettings, parse_local_keys, reseal},
    model::{Algorithm, ClientSecret},
    proto::v1,
    server::{Server, Settings},
    store::{self, Location, Store},
};
use tonic::Code;

use crate::{
    forge::payload,
    harness::{
        SEALING_KEY, START, TestClient, TestServer, accepted, assert_refused, for_alice, manual_clock,
        settings,
    },
    key_calls::{header, list, published, revoke, rotate},
    made_keys::made,
    postgres::Database,
};

/// A database of its own, and a way past the store.
enum Db {
    Sqlite(TempDir, PathBuf),
    Postgres(Database),
}

impl Db {
    fn sqlite() -> Self {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("tokend.db");
        Self::Sqlite(folder, path)
    }

    async fn store(&self) -> Arc<dyn Store> {
        let location = match self {
            Self::Sqlite(_, path) => Location::Sqlite(path.clone()),
            Self::Postgres(database) => database.url.as_str().parse().unwrap(),
        };
        store::open(&location).await.unwrap()
    }

    /// Runs SQL, and counts it as a change, as whoever wants it to be noticed does.
    async fn run(&self, sql: &str) {
        let sql = format!("{sql}; UPDATE change_sequence SET value = value + 1, keys = value + 1");
        match self {
            Self::Sqlite(_, path) => {
                let url = format!("sqlite:{}", path.display());
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
            $(#[tokio::test] async fn $name() { super::$name(super::Db::sqlite()).await; })+
        }
        mod postgres {
            $(#[tokio::test] async fn $name() {
                let Some(database) = crate::postgres::Database::create().await else { return };
                super::$name(super::Db::Postgres(database)).await;
            })+
        }
    };
}

on_both_databases!(
    a_forged_key_verifies_nothing,
    a_changed_key_row_is_no_key,
    a_changed_client_row_is_no_client,
    what_the_previous_release_writes_is_unsigned_until_it_is_signed,
    every_change_that_this_release_makes_is_signed,
    a_key_whose_row_was_changed_can_be_replaced,
);

fn requiring(mut settings: Settings) -> Settings {
    settings.keys.sealing.require_row_macs = true;
    settings
}

async fn start(db: &Db, settings: Settings) -> TestServer {
    TestServer::on(db.store().await, settings, manual_clock()).await
}

async fn start_error(db: &Db, settings: Settings) -> String {
    let opened = Server::with_store(settings, db.store().await, manual_clock()).await;
    opened.err().expect("it must not start").to_string()
}

/// `tokend key reseal` with these settings.
async fn reseal_with(db: &Db, sealing: &SealingSettings) -> Resealing {
    let store = db.store().await;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let done = reseal(&*store, &Sealer::new(sealing, &store, &clock).unwrap()).await.unwrap();
    store.close().await;
    done
}

/// Rows of keys and of clients that are not trusted, and rows that are accepted without a MAC.
async fn counts(server: &TestServer) -> [u64; 4] {
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

fn client(client_id: &str) -> v1::Client {
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

/// The statements of the previous release, which knows no MACs.
const PREVIOUS_RELEASE: &str = "
    UPDATE clients SET settings = replace(settings, '\"read\"', '\"write\"'), updated_at = 5, revision = revision + 1
        WHERE client_id = 'web';
    INSERT INTO signing_keys (key_id, algorithm, state, usage, issuer, sealed, public, created_at, activate_at,
            retire_at, expire_at, revocation, publish_sequence, changed_sequence)
        SELECT key_id, algorithm, state, usage, issuer, sealed, public, created_at - 1, activate_at, retire_at,
            expire_at, revocation, publish_sequence, changed_sequence FROM signing_keys WHERE state = 'active'
        ON CONFLICT (key_id) DO UPDATE SET created_at = excluded.created_at";

async fn what_the_previous_release_writes_is_unsigned_until_it_is_signed(db: Db) {
    let server = start(&db, settings()).await;
    let web = server.client(client("web")).await;
    let token = server.root.token().await;
    db.run(PREVIOUS_RELEASE).await;
    server.rounds.make().await.unwrap();
    assert_eq!(counts(&server).await, [0, 0, 1, 1]);
    accepted(server.root.check(&token).await);
    assert_refused(web.issue(for_alice()).await, Code::PermissionDenied, "SCOPE_NOT_ALLOWED");

    // A server that requires MACs refuses both.
    let strict = start(&db, requiring(settings())).await;
    assert_eq!(counts(&strict).await, [1, 1, 0, 0]);
    assert_refused(strict.root.check(&token).await, Code::InvalidArgument, "TOKEN_KEY_UNKNOWN");
    // So does `key reseal` with its settings.
    let mut sealing = settings().keys.sealing;
    sealing.require_row_macs = true;
    let left = reseal_with(&db, &sealing).await;
    let failed =
        |outcome: &Outcome| matches!(outcome, Outcome::Failed(error) if error.to_string().contains("no MAC"));
    assert_eq!(left.keys.iter().filter(|key| failed(&key.outcome)).count(), 1);
    assert_eq!(left.clients.iter().filter(|client| failed(&client.outcome)).count(), 1);

    // Else it signs them, once.
    sealing.require_row_macs = false;
    for expected in [1, 0] {
        let done = reseal_with(&db, &sealing).await;
        let signed = |outcome: &Outcome| matches!(outcome, Outcome::Signed);
        assert_eq!(done.keys.iter().filter(|key| signed(&key.outcome)).count(), expected);
        assert_eq!(done.clients.iter().filter(|client| signed(&client.outcome)).count(), expected);
    }
    for server in [&strict, &server] {
        server.rounds.make().await.unwrap();
        assert_eq!(counts(server).await, [0; 4]);
        accepted(server.root.check(&token).await);
    }
}

async fn every_change_that_this_release_makes_is_signed(db: Db) {
    let server = start(&db, requiring(settings())).await;
    let root = &server.root;
    let web = server.client(client("web")).await;
    let update = v1::UpdateClientRequest {
        client: Some(v1::Client { display_name: "Web".to_owned(), ..client("web") }),
        update_mask: Some(prost_types::FieldMask { paths: vec!["display_name".to_owned()] }),
        ..Default::default()
    };
    accepted(root.clients().update_client(root.request(update)).await);
    let secret = v1::RotateClientSecretRequest { client_id: "web".to_owned(), ..Default::default() };
    let secret = accepted(root.clients().rotate_client_secret(root.request(secret)).await).into_inner();
    let rotated = TestClient::new(server.grpc, Some(ClientSecret::from_text(secret.client_secret))).await;
    let token = accepted(rotated.issue(for_alice()).await).access_token;
    drop(web);
    rotate(&server, true).await;
    rotate(&server, true).await;
    server.clock.advance(40 * 86_400);
    server.rounds.make().await.unwrap();
    let kid = header(&root.token().await)["kid"].as_str().unwrap().to_owned();
    accepted(revoke(&server, &kid).await);
    assert_eq!(counts(&server).await, [0; 4]);

    let clock = crate::harness::clock_at(server.clock.seconds());
    let again = TestServer::on(db.store().await, requiring(settings()), clock).await;
    assert_eq!(counts(&again).await, [0; 4]);
    accepted(TestClient::new(again.grpc, rotated.secret).await.issue(for_alice()).await);
    drop(token);
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

#[tokio::test]
async fn rows_of_several_sealing_keys_are_trusted_until_one_is_left_out() {
    let db = Db::sqlite();
    let keys = [SEALING_KEY.to_owned(), SealingKey::generate().unwrap().to_text().to_string()];
    let under = |keys: &[&String]| {
        let mut settings = requiring(settings());
        let texts: Vec<_> = keys.iter().map(|key| key.as_str()).collect();
        settings.keys.sealing.local = parse_local_keys(&texts.join("\n")).unwrap();
        settings
    };
    let (old, new) = (&keys[0], &keys[1]);
    let first = start(&db, under(&[old])).await;
    let web = first.client(client("web")).await;
    let token = first.root.token().await;

    // Another replica has a new sealing key before the old one.
    let second = start(&db, under(&[new, old])).await;
    accepted(second.root.check(&token).await);
    let api = second.client(client("api")).await;
    let only_new = start_error(&db, under(&[new])).await;
    assert!(only_new.contains("not trusted") || only_new.contains("does not open"), "{only_new}");
    // The first one does not know the sealing key of what the second one wrote, and refuses it.
    first.rounds.make().await.unwrap();
    let api_at_first = TestClient::new(first.grpc, api.secret.clone()).await;
    assert_refused(api_at_first.issue(for_alice()).await, Code::Unauthenticated, "CREDENTIALS_INVALID");

    let done = reseal_with(&db, &under(&[new, old]).keys.sealing).await;
    assert!(done.keys.iter().all(|key| matches!(key.outcome, Outcome::Moved)));
    let third = start(&db, under(&[new])).await;
    assert_eq!(counts(&third).await, [0; 4]);
    accepted(third.root.check(&token).await);
    accepted(TestClient::new(third.grpc, web.secret.clone()).await.issue(for_alice()).await);
    // What the first one has in memory stays in use: nothing of it was changed but its MAC.
    first.rounds.make().await.unwrap();
    accepted(web.check(&token).await);
    accepted(web.issue(for_alice()).await);
    assert!(published(&first).await.contains(&header(&token)["kid"].as_str().unwrap().to_owned()));
    // It plans nothing with such keys, and a restart tells why.
    first.clock.advance(40 * 86_400);
    first.rounds.make().await.unwrap();
    let error = start_error(&db, under(&[old])).await;
    assert!(error.contains("not trusted") && error.contains("`sealing_key`"), "{error}");
}

#[tokio::test]
async fn a_server_that_requires_macs_does_not_start_on_unsigned_keys() {
    let db = Db::sqlite();
    start(&db, settings()).await;
    db.run("UPDATE signing_keys SET mac = NULL; UPDATE clients SET mac = NULL").await;
    let error = start_error(&db, requiring(settings())).await;
    assert!(error.contains("`require_row_macs`") && error.contains("tokend key reseal"), "{error}");
    reseal_with(&db, &settings().keys.sealing).await;
    let server = start(&db, requiring(settings())).await;
    assert_eq!(counts(&server).await, [0; 4]);
}

/// A change of these numbers makes the MAC of every row wrong that was signed before. What is added to a row must be left out of
/// its content where it has no value.
#[test]
fn the_content_of_rows_stays_what_it_was() {
    use crate::store_backends::{client, full_settings, key, secret};
    use tokend::model::{KeyRevocation, UnixTime};
    let digest = |content: tokend::model::RowContent| {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, content.as_bytes());
        crate::forge::b64(digest)
    };
    let bare = key("kid", 7);
    let mut full = bare.clone();
    full.issuer = Some("https://issuer.example".to_owned());
    (full.retire_time, full.expire_time) = (Some(UnixTime::from_seconds(8)), Some(UnixTime::from_seconds(9)));
    full.revocation = Some(KeyRevocation {
        time: UnixTime::from_seconds(1),
        reason: "why".to_owned(),
        by: "who".to_owned(),
    });
    let simple = client("web", vec![]);
    let mut whole = client("web", vec![secret(2, 1, None), secret(1, 2, Some(3))]);
    whole.client.settings = full_settings();
    let contents = [bare.content(), full.content(), simple.content().unwrap(), whole.content().unwrap()];
    assert_eq!(
        contents.map(digest),
        [
            "XUaiZUl4KsHomzFlcbGfl9Q9ziscsGTHRcKyBwcpSUo",
            "ksxXBBhiAdqx6c8OrS1FYwX8ekD3pA39vuET36qrRBo",
            "3nzBsW4WTLimqsNt2oqcKgIqBILpCEmulmauIcLrtvU",
            "bwK1z-H1WSQ8KP5qagjDsAWODJd_sstgQMDcSzCbYlE",
        ]
    );
}
