//! What is checked of the store, and of the JWK set that is published from it.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use serde_json::Value;
use url::Url;

use super::Findings;
use crate::{
    access::{KeySource, fetch_jwk_set},
    clock::Clock,
    config::Config,
    database::printable,
    keys::{CLOCK_MARGIN, inspect},
    model::UnixTime,
    store::{self, Location, OpenError, OpenOptions, Store, StoreError, backup},
};

const FETCH: Duration = Duration::from_secs(5);

/// Checks the store. Returns the ids of the published keys, if they could be read.
pub(super) async fn check(
    config: &Config,
    clock: &Arc<dyn Clock>,
    findings: &mut Findings,
) -> Option<BTreeSet<String>> {
    let location = config.settings.store.at_once();
    if let Location::Sqlite(path) = &location
        && !path.exists()
    {
        for stray in backup::strays(path) {
            findings.problem(
                format!("store: {} is there without its database", stray.display()),
                "the database was moved or removed without it; SQLite would read it as a part of another one",
                format!("mv {0} {0}.stray", stray.display()),
            );
        }
    }
    let store = match store::open_with(&location, &OpenOptions::UNCHANGED).await {
        Ok(store) => store,
        Err(OpenError::Older) => {
            let cause = OpenError::Older.to_string();
            findings.warning(format!("store {location}"), cause, "back it up, and start the server");
            return None;
        }
        Err(error) => {
            let cure = match error {
                OpenError::Missing { .. } => "correct the setting; or, for a first start, tokend init",
                OpenError::Damaged { .. } => "tokend restore BACKUP --replace",
                OpenError::Unreachable { .. } => "test the same URL with psql; read the log of the database",
                _ => "see docs/troubleshooting.md, The server does not start",
            };
            findings.problem(format!("store {location}"), error.to_string(), cure);
            return None;
        }
    };
    findings.ok(format!("store {location}: reachable, with the schema of this release"));
    let published = check_contents(config, &store, clock, findings).await;
    store.close().await;
    match published {
        Ok(published) => published,
        Err(error) => {
            findings.problem(format!("store {location}"), error.to_string(), "read the log of the database");
            None
        }
    }
}

async fn check_contents(
    config: &Config,
    store: &Arc<Store>,
    clock: &Arc<dyn Clock>,
    findings: &mut Findings,
) -> Result<Option<BTreeSet<String>>, StoreError> {
    match store.write_problem().await? {
        Some(problem) => {
            findings.problem("store: takes no writes", problem, "connect to the primary, or free the disk");
        }
        None => findings.ok("store: takes writes"),
    }
    let tables = store.tables_without_rights().await?;
    if !tables.is_empty() {
        findings.problem(
            "store: the role lacks rights",
            format!("it may not read and write {}", tables.join(", ")),
            "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO ROLE",
        );
    }
    check_clock(store.clock().await?.now, clock.now(), findings);
    check_replicas(store, findings).await?;
    Ok(check_keys(config, store, clock, findings).await)
}

/// `database`: the time of the database, if it has a clock.
fn check_clock(database: Option<UnixTime>, now: UnixTime, findings: &mut Findings) {
    let Some(database) = database else { return };
    let apart = database.since(now).max(now.since(database));
    let what = format!("clock: {} s from the database's", apart.as_secs());
    if apart <= CLOCK_MARGIN {
        findings.ok(what);
    } else {
        let cause = format!("it is {now} here, and {database} at the database");
        findings.problem(
            what,
            cause,
            "timedatectl status; synchronize both clocks, or tokend key accept-clock",
        );
    }
}

async fn check_replicas(store: &Store, findings: &mut Findings) -> Result<(), StoreError> {
    // Replicas report the last change of the keys only.
    let changed = store.keys().await?.keys.iter().map(|key| key.change_sequence).max();
    let reports = store.replicas().await?;
    let behind: Vec<&str> = reports
        .iter()
        .filter(|report| Some(report.held) < changed)
        .map(|report| &*report.replica_id)
        .collect();
    if behind.is_empty() {
        findings.ok(format!("replicas: {} reported, all with the last change of the keys", reports.len()));
    } else {
        findings.warning(
            format!("replicas: {} of {} lack the last change of the keys", behind.len(), reports.len()),
            format!("{}: stopped without saying so, or cut off from the store", behind.join(", ")),
            "repeat doctor in 15 seconds; then read the logs of those replicas",
        );
    }
    Ok(())
}

async fn check_keys(
    config: &Config,
    store: &Arc<Store>,
    clock: &Arc<dyn Clock>,
    findings: &mut Findings,
) -> Option<BTreeSet<String>> {
    let keys = match inspect(store, &config.settings.keys, clock).await {
        Ok(keys) => keys,
        Err(error) => {
            findings.problem("sealing key", error.to_string(), "see docs/sealing.md");
            return None;
        }
    };
    let live = || keys.iter().filter(|(key, _)| key.state.verifies());
    if live().next().is_none() {
        findings.warning("keys: there are none", "no server has started on this store", "start the server");
    }
    let mut is_sound = true;
    for (key, problem) in live() {
        if let Some(problem) = problem {
            is_sound = false;
            let cure = "put the former sealing key back as a second line; see docs/sealing.md";
            findings.problem(format!("key {} cannot be used", key.key_id), problem, cure);
        }
        if key.create_time > clock.now().after(CLOCK_MARGIN) {
            is_sound = false;
            findings.warning(
                format!("key {} was created in the future, {}", key.key_id, key.create_time),
                "the clock was wrong then, or is wrong now",
                "correct the clock; then see docs/rotation.md, The clock",
            );
        }
    }
    if is_sound {
        findings.ok(format!("keys: the sealing key opens all {}", live().count()));
    }
    Some(live().filter(|(key, _)| key.is_published()).map(|(key, _)| key.key_id.to_string()).collect())
}

/// Fetches the JWK set at the URL that the discovery documents announce.
pub(super) async fn check_jwk_set(
    config: &Config,
    published: Option<BTreeSet<String>>,
    is_running: bool,
    findings: &mut Findings,
) {
    let text = &config.settings.discovery.jwks_uri;
    let shown = printable(text);
    // Checked with the settings.
    let Ok(uri) = Url::parse(text) else { return };
    let source = KeySource::Uri { uri, ca_file: None, bearer_token_file: None };
    let cure = format!("curl --verbose {shown}; let {shown} reach http_addr, or set jwks_uri");
    let set = match fetch_jwk_set(&source, FETCH).await {
        Ok(set) => set,
        // The proxy may be there, and only the server is missing.
        Err(problem) if !is_running => {
            return findings.warning(
                format!("JWK set {shown}: not reachable; no server runs here"),
                problem,
                cure,
            );
        }
        Err(problem) => return findings.problem(format!("JWK set {shown}: not reachable"), problem, cure),
    };
    let set: Value = serde_json::from_slice(&set).unwrap_or_default();
    let Some(keys) = set.get("keys").and_then(Value::as_array) else {
        return findings.problem(format!("JWK set {shown}"), "the response is no JWK set", cure);
    };
    let served: BTreeSet<String> =
        keys.iter().filter_map(|key| Some(key.get("kid")?.as_str()?.to_owned())).collect();
    match published {
        Some(published) if published != served => findings.problem(
            format!("JWK set {shown}: not the keys of this store"),
            format!("it has the keys {}", served.into_iter().collect::<Vec<_>>().join(", ")),
            "let it reach this server, and no other or older one; a cache must keep it for max-age only",
        ),
        _ => findings.ok(format!("JWK set {shown}: reachable, {} keys", keys.len())),
    }
}
