//! The stores that the suites run on, and the records that they put into them.

use std::{num::NonZeroU32, sync::Arc};

use tempfile::TempDir;
use tokend::{
    model::{
        Algorithm, AssertionKeys, Authentication, AuthenticationMethod, CertificateNames, ChangeSequence,
        ClaimCondition, Client, ClientId, ClientLimits, ClientRecord, ClientSettings, KeyChange, KeyId,
        KeyRecord, KeyState, Pattern, Permissions, Role, SealingKeyId, SealingKeyRecord, SecretDigest,
        SecretRecord, TokenType, Ttl, UnixIds, UnixTime, WorkloadIdentity,
    },
    store::{self, Location, Store, StoreError},
};

use crate::postgres::Database;

/// A store under test, with what must live as long.
pub struct Backend {
    pub store: Arc<Store>,
    _folder: Option<TempDir>,
    _database: Option<Database>,
}

pub async fn memory() -> Option<Backend> {
    let store = store::open(&Location::Memory).await.unwrap();
    Some(Backend { store, _folder: None, _database: None })
}

pub async fn sqlite_file() -> Option<Backend> {
    let folder = TempDir::new().unwrap();
    let store = store::open(&Location::Sqlite(folder.path().join("tokend.db"))).await.unwrap();
    Some(Backend { store, _folder: Some(folder), _database: None })
}

pub async fn postgres() -> Option<Backend> {
    let database = Database::create().await?;
    let store = open_postgres(&database).await;
    Some(Backend { store, _folder: None, _database: Some(database) })
}

pub async fn open_postgres(database: &Database) -> Arc<Store> {
    store::open(&database.url.as_str().parse().unwrap()).await.unwrap()
}

/// How many rounds of a race to run: as many as usual, or `TOKEND_RACES` times as many for a long look.
pub fn rounds(usual: usize) -> usize {
    usual * std::env::var("TOKEND_RACES").ok().and_then(|times| times.parse().ok()).unwrap_or(1)
}

/// Makes each function a test on each backend.
macro_rules! on_every_store {
    ($($name:ident),+ $(,)?) => {
        $crate::store_backends::on_every_store!(@ memory: $($name)+);
        $crate::store_backends::on_every_store!(@ sqlite_file: $($name)+);
        $crate::store_backends::on_every_store!(@ postgres: $($name)+);
    };
    (@ $backend:ident: $($name:ident)+) => {
        mod $backend {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    let Some(backend) = $crate::store_backends::$backend().await else { return };
                    super::$name(std::sync::Arc::clone(&backend.store)).await;
                    backend.store.close().await;
                }
            )+
        }
    };
}
pub(crate) use on_every_store;

pub const fn at(seconds: i64) -> UnixTime {
    UnixTime::from_seconds(seconds)
}

pub fn id(text: &str) -> ClientId {
    ClientId::parse(text).unwrap()
}

/// An active ES256 key.
pub fn key(name: &str, create_time: i64) -> KeyRecord {
    let key = pending(name, create_time);
    KeyRecord { state: KeyState::Active, ..key }
}

/// A pending ES256 key.
pub fn pending(name: &str, create_time: i64) -> KeyRecord {
    KeyRecord::pending(
        KeyId::from_text(name),
        Algorithm::Es256,
        format!("sealed \0 {name}").into_bytes(),
        Some("{}".to_owned()),
        at(create_time),
        at(create_time + 10),
    )
}

/// The active key of the candidate's algorithm, made of it if there is none; without the numbers that the store gives.
pub async fn ensure_key(store: &Store, candidate: &KeyRecord) -> Result<KeyRecord, StoreError> {
    loop {
        let set = store.keys().await?;
        if let Some(active) = set.active(candidate.algorithm) {
            return Ok(bare(active));
        }
        store.change_keys(&KeyChange::of(&set).put(candidate.clone())).await?;
    }
}

/// A key without the numbers that the store gives.
pub fn bare(record: &KeyRecord) -> KeyRecord {
    let none = ChangeSequence(0);
    KeyRecord { publish_sequence: none, change_sequence: none, ..record.clone() }
}

/// Every key without the numbers that the store gives.
pub async fn stored_keys(store: &Store) -> Vec<KeyRecord> {
    store.keys().await.unwrap().keys.iter().map(bare).collect()
}

/// The wrapped sealing key of that number.
pub fn sealing_key(number: u64, provider: &str) -> SealingKeyRecord {
    SealingKeyRecord {
        sealing_key_id: SealingKeyId::from_bytes(number.to_be_bytes()),
        provider: provider.to_owned(),
        wrapped: format!("wrapped \0 {number}").into_bytes(),
        create_time: at(100),
    }
}

/// The secret of that number: numbers that differ in the low 32 bits have other digests.
pub fn secret(number: u32, create_time: i64, expire_time: Option<i64>) -> SecretRecord {
    let mut digest = [0xff; 32];
    digest[..4].copy_from_slice(&number.to_be_bytes());
    SecretRecord {
        secret_id: format!("secret-{number}"),
        digest: SecretDigest::from_bytes(digest),
        create_time: at(create_time),
        expire_time: expire_time.map(at),
    }
}

/// Adds a secret as the registry of clients does: to the client as it was read, and again if it has changed meanwhile.
pub async fn add_secret(
    store: &Store,
    client_id: &ClientId,
    secret: &SecretRecord,
    others_expire: UnixTime,
) -> Result<(), StoreError> {
    loop {
        let mut record = store.client(client_id).await?;
        let base = record.client.version();
        record.add_secret(secret.clone(), others_expire);
        record.client.update_time = secret.create_time;
        if store.update_client_secrets(&record, base).await? {
            return Ok(());
        }
    }
}

/// A client with default settings, made and changed at second 100.
pub fn client(client_id: &str, secrets: Vec<SecretRecord>) -> ClientRecord {
    ClientRecord {
        client: Client {
            client_id: id(client_id),
            settings: ClientSettings { display_name: client_id.to_owned(), ..ClientSettings::default() },
            create_time: at(100),
            update_time: at(100),
            revision: 1,
            mac: None,
        },
        secrets,
    }
}

/// Settings with nothing left at its default, and with texts that are hard on a database.
pub fn full_settings() -> ClientSettings {
    let patterns = |texts: &[&str]| texts.iter().map(|text| Pattern::parse(*text).unwrap()).collect();
    let condition =
        |claim: &str| ClaimCondition { claim: claim.to_owned(), values: patterns(&["acme-*", "1"]) };
    ClientSettings {
        display_name: "Zahlung \"€\" \\ '; -- \u{1f980} \u{0} \u{feff}\u{202e}".to_owned(),
        disabled: true,
        default_audiences: vec!["https://api.example".to_owned(), String::new()],
        default_ttl: Ttl::from_seconds(u64::MAX),
        token_type: TokenType::AccessTokenJwt,
        algorithm: Some(Algorithm::EdDsa),
        permissions: Permissions {
            methods: patterns(&["TokenService/*"]),
            audiences: patterns(&["*"]),
            scopes: patterns(&["read", "read:*"]),
            subjects: patterns(&["user:*"]),
            claims: patterns(&["tenant"]),
            max_ttl: Ttl::from_seconds(1).unwrap(),
            verify_audiences: patterns(&["a", "b"]),
            claim_values: vec![condition("tenant")],
            login_usernames: patterns(&["staff-*"]),
            revoke_subjects: patterns(&["staff-*"]),
            revoke_clients: patterns(&["billing-*"]),
            exchange_subjects: patterns(&["alice"]),
            exchange_audiences: patterns(&["gateway"]),
            exchange_issuers: patterns(&["https://issuer.example"]),
            verify_issuers: patterns(&["https://partner.example"]),
            exchange_actors: patterns(&["gateway-*"]),
            admin_clients: patterns(&["team-a-*"]),
            impersonate: true,
            roles: Role::ALL.to_vec(),
        },
        authentication: Authentication {
            methods: AuthenticationMethod::ALL.to_vec(),
            certificate: CertificateNames {
                uris: vec!["spiffe://example.org/a".to_owned()],
                dns_names: vec!["a.example".to_owned()],
            },
            assertion_keys: Some(AssertionKeys::JwksFile("a.json".to_owned())),
            workload_identities: vec![WorkloadIdentity {
                issuer: "https://kubernetes.example".to_owned(),
                audience: "tokend".to_owned(),
                conditions: vec![condition("/kubernetes.io/namespace")],
            }],
            unix_peer: UnixIds { uids: vec![1000], gids: vec![100, 101] },
        },
        limits: ClientLimits { calls_per_second: NonZeroU32::new(100), concurrent_calls: NonZeroU32::new(1) },
    }
}
