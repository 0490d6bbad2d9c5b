//! Fills a SQLite store with revocations, reads them into memory as a server does, and prints time, memory and the time of a lookup.
//!
//! `cargo run --release --example revocations FILE [COUNT]`; `bench/revocations` runs it.
#![allow(
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "the program prints its result, rounded"
)]

use std::{
    error::Error,
    hint::black_box,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sqlx::{Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};
use tokend::{
    clock::{Clock as _, SystemClock},
    model::{TokenClaims, UnixTime},
    revocations::{RevocationSettings, Revocations},
    store::{self, ClockGuard, Location},
};

const LOOKUPS: u64 = 5_000_000;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().ok_or("usage: revocations FILE [COUNT]")?;
    let count: u64 = arguments.next().as_deref().unwrap_or("10000000").parse()?;
    let location = Location::Sqlite(file.clone().into());
    let began = Instant::now();
    store::open(&location).await?.close().await;
    fill(Path::new(&file), count).await?;
    println!("{count} revocations inserted in {:.1} s", began.elapsed().as_secs_f64());
    println!("size of the store: {} MiB", std::fs::metadata(&file)?.len() >> 20);

    let store = store::open(&location).await?;
    let settings = RevocationSettings { staleness_bound: Duration::from_secs(3600), serve_stale: false };
    let (resident, worked) = (resident()?, processor_time()?);
    let began = Instant::now();
    let clock = Arc::new(SystemClock);
    let guard = Arc::new(ClockGuard::new(Arc::clone(&store), clock.clone()));
    let view = Revocations::open(Arc::clone(&store), settings, clock, guard).await?;
    let (taken, worked) = (began.elapsed(), processor_time()?.saturating_sub(worked));
    println!(
        "read into memory in {:.2} s, processor time {:.2} s",
        taken.as_secs_f64(),
        worked.as_secs_f64()
    );
    let (bytes, grown) = (view.bytes(), self::resident()?.saturating_sub(resident));
    println!("memory: {} MiB, {:.1} bytes per revocation", bytes >> 20, bytes as f64 / count as f64);
    println!("growth of the process: {} MiB", grown >> 20);

    for (what, from) in [("revoked", 0), ("not revoked", count)] {
        // More than fit a processor cache, in random order.
        let sample: Vec<TokenClaims> =
            (0..100_000).map(|number| claims(from + mixed(number) % count.max(1))).collect();
        let worked = processor_time()?;
        let (mut refused, now) = (0, SystemClock.now());
        for number in 0..LOOKUPS {
            let claims = sample.get(usize::try_from(number)? % sample.len()).ok_or("none")?;
            refused += u64::from(black_box(view.is_revoked(black_box(claims), true, now))?);
        }
        // Processor time excludes other processes of the machine.
        let each = processor_time()?.saturating_sub(worked).as_nanos() as f64 / LOOKUPS as f64;
        println!("lookup of a token that is {what}: {each:.0} ns ({refused} of {LOOKUPS} revoked)");
    }
    store.close().await;
    Ok(())
}

/// Inserts the revocations in one transaction; they expire in a day.
async fn fill(file: &Path, count: u64) -> Result<(), sqlx::Error> {
    let options = SqliteConnectOptions::new().filename(file).pragma("cache_size", "-1000000");
    let mut database = SqliteConnection::connect_with(&options).await?;
    let now = SystemClock.now().seconds();
    let mut rows = database.begin().await?;
    let before: i64 = sqlx::query_scalar("SELECT value FROM change_sequence").fetch_one(&mut *rows).await?;
    // Inserting in the order of the ids is half an hour faster.
    let mut ids: Vec<(bool, [u8; 16])> =
        (0..count).map(|number| (is_session(number), random_id(number))).collect();
    ids.sort_unstable();
    for (sequence, (session, id)) in (before + 1..).zip(ids) {
        let kind = if session { "session" } else { "token" };
        sqlx::query(
            "INSERT INTO revocations (kind, target, revoked_at, expires_at, sequence, sweep) VALUES (?1, ?2, ?3, ?4, ?5, 0)",
        )
        .bind(kind)
        .bind(URL_SAFE_NO_PAD.encode(id))
        .bind(now)
        .bind(now + 86_400)
        .bind(sequence)
        .execute(&mut *rows)
        .await?;
    }
    sqlx::query("UPDATE change_sequence SET value = value + ?1, revocations = revocations + ?1")
        .bind(count.cast_signed())
        .execute(&mut *rows)
        .await?;
    rows.commit().await?;
    database.close().await
}

/// Whether the revocation is of a session: one in ten.
const fn is_session(number: u64) -> bool {
    number.is_multiple_of(10)
}

/// The claims of a token that the revocation with this number matches.
fn claims(number: u64) -> TokenClaims {
    let session = is_session(number);
    TokenClaims {
        issuer: String::new(),
        subject: "alice".to_owned(),
        audiences: Vec::new(),
        expire_time: UnixTime::MAX,
        not_before_time: None,
        issue_time: Some(SystemClock.now()),
        jwt_id: Some(if session { id(u64::MAX - number) } else { id(number) }),
        client_id: Some("client".to_owned()),
        scopes: Vec::new(),
        actor: None,
        session_id: Some(if session { id(number) } else { id(u64::MAX - number) }),
        origin_time: None,
    }
}

fn id(number: u64) -> String {
    URL_SAFE_NO_PAD.encode(random_id(number))
}

/// 16 bytes that are distributed like random ones.
fn random_id(number: u64) -> [u8; 16] {
    let (high, low) = (mixed(number), mixed(!number));
    (u128::from(high) << 64 | u128::from(low)).to_be_bytes()
}

/// The finaliser of SplitMix64.
const fn mixed(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// The resident memory of the process in bytes: `VmRSS` of Linux.
fn resident() -> Result<usize, Box<dyn Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<usize>()? << 10)
}

/// The processor time of the process, accurate to 10 ms: `utime` and `stime` of Linux.
fn processor_time() -> Result<Duration, Box<dyn Error>> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = stat.rsplit_once(") ").ok_or("no stat")?;
    let ticks: u64 =
        fields.split(' ').skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap_or_default()).sum();
    Ok(Duration::from_millis(ticks * 10))
}
