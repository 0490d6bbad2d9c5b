//! PostgreSQL for the tests: a fresh database for each, in the server of `TEST_DATABASE_URL` or in one that this
//! process starts from programs on this machine and that ends with it.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    os::unix::{fs::MetadataExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
};

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use url::Url;

/// Makes the tests that need PostgreSQL fail without it.
const REQUIRE: &str = "TOKEND_REQUIRE_POSTGRES";

/// Serves from `$2/data` on a socket in `$2`, with commits as durable as `$3` says, until its input ends or says `keep`; then, unless it said so, removes
/// all. Its input is a pipe from the test process, which ends with that, however it ends.
const SERVE: &str = r#"
bin=$1 dir=$2 commits=$3
if [ ! -e "$dir/data/PG_VERSION" ]; then
    # A locale that passes over punctuation when it sorts, where there is one: the store must not depend on it.
    set -- -D "$dir/data" -U tokend -A trust -E UTF8 --no-sync
    "$bin/initdb" "$@" --locale-provider=icu --icu-locale=en-US-u-ka-shifted >"$dir/initdb.log" 2>&1 ||
        { rm -rf "$dir/data"; "$bin/initdb" "$@" 2>&1; } || exit 1
fi
"$bin/postgres" -D "$dir/data" -k "$dir" -c listen_addresses= -c fsync=off -c full_page_writes=off \
    -c synchronous_commit="$commits" -c max_connections=300 -c shared_buffers=32MB 2>&1 &
server=$!
# The server alone holds the log from here: when it dies, the reader of the log sees the end.
exec >/dev/null
word=; read -r word
kill -INT $server; wait $server
[ "$word" = keep ] || rm -rf "$dir"
"#;

/// A server of our own.
pub struct Server {
    programs: PathBuf,
    folder: PathBuf,
    /// Whether what was committed outlives [`Self::kill`]. That is slower.
    durable: bool,
    watchdog: Option<Child>,
}

impl Server {
    /// Starts a server with no databases; none if this machine has no programs for it.
    pub fn start() -> Option<Self> {
        Self::start_with(false)
    }

    /// The same; what it has committed outlives [`Self::kill`].
    pub fn start_durable() -> Option<Self> {
        Self::start_with(true)
    }

    fn start_with(durable: bool) -> Option<Self> {
        let programs = programs()?;
        // Not removed by its guard, which a static never drops, but by the watchdog.
        let folder = tempfile::Builder::new().prefix("tokend-pg").tempdir().unwrap().keep();
        let mut server = Self { programs, folder, durable, watchdog: None };
        server.resume();
        Some(server)
    }

    /// A standby of this server, in a folder of its own.
    pub fn standby(&self) -> Self {
        let folder = tempfile::Builder::new().prefix("tokend-pg").tempdir().unwrap().keep();
        let mut copy = Command::new(program("pg_basebackup").expect("pg_basebackup, of the server programs"));
        copy.args(["-U", "tokend", "-R", "-X", "stream", "-c", "fast", "-h"]).arg(&self.folder);
        copy.arg("-D").arg(folder.join("data"));
        as_unprivileged(&mut copy, &folder);
        let copied = copy.output().unwrap();
        assert!(copied.status.success(), "{}", String::from_utf8_lossy(&copied.stderr));
        let (programs, durable) = (self.programs.clone(), self.durable);
        let mut standby = Self { programs, folder, durable, watchdog: None };
        standby.resume();
        standby
    }

    /// The folder of its socket and its data.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Starts the server, again or for the first time, and waits until it answers.
    pub fn resume(&mut self) {
        let mut command = Command::new("sh");
        command.args(["-c", SERVE, "sh"]).arg(&self.programs).arg(&self.folder);
        command.arg(if self.durable { "on" } else { "off" });
        // A group of its own: what the terminal sends to the tests must not kill the watchdog first.
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0);
        as_unprivileged(&mut command, &self.folder);
        let mut watchdog = command.spawn().unwrap();
        let mut log = BufReader::new(watchdog.stdout.take().unwrap()).lines();
        self.watchdog = Some(watchdog);
        let mut seen = Vec::new();
        loop {
            let Some(line) = log.next() else { panic!("PostgreSQL did not start:\n{}", seen.join("\n")) };
            seen.push(line.unwrap());
            // A standby accepts read-only ones.
            if seen.last().unwrap().contains("ready to accept") {
                break;
            }
        }
        // A server whose log is not read would block when the pipe is full.
        std::thread::spawn(move || log.for_each(drop));
    }

    /// Stops the server as an operator does: connections are cut. Its data stay for [`Self::resume`].
    pub fn stop(&mut self) {
        let mut watchdog = self.watchdog.take().unwrap();
        watchdog.stdin.take().unwrap().write_all(b"keep\n").unwrap();
        watchdog.wait().unwrap();
    }

    /// Kills the server with all of its processes, which get to do nothing more. Its data stay for [`Self::resume`].
    pub fn kill(&mut self) {
        self.signal("-KILL");
        self.stop();
    }

    /// Stops all processes of the server where they are (SIGSTOP): connections stay open, and nothing is answered.
    pub fn freeze(&self) {
        self.signal("-STOP");
    }

    /// Lets the processes go on after [`Self::freeze`].
    pub fn thaw(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let postmaster = fs::read_to_string(self.folder.join("data/postmaster.pid")).unwrap();
        let postmaster = postmaster.lines().next().unwrap();
        let children = fs::read_to_string(format!("/proc/{postmaster}/task/{postmaster}/children")).unwrap();
        // The postmaster first: it would start others in the place of its children.
        let sent = Command::new("kill").args([signal, postmaster]).args(children.split_whitespace()).status();
        sent.unwrap();
    }

    /// The URL of one of the server's databases.
    pub fn url(&self, database: &str) -> Url {
        let mut url = Url::parse("postgres://tokend:hunter2@localhost").unwrap();
        url.set_path(database);
        url.query_pairs_mut().append_pair("host", self.folder.to_str().unwrap());
        url
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        match self.watchdog.take() {
            Some(mut watchdog) => {
                // A test that failed may have left the server frozen, and then it would not end.
                self.thaw();
                drop(watchdog.stdin.take());
                watchdog.wait().unwrap();
            }
            None => fs::remove_dir_all(&self.folder).unwrap(),
        }
    }
}

/// The folder with `initdb` and `postgres`.
fn programs() -> Option<PathBuf> {
    folders().find(|folder| ["initdb", "postgres"].iter().all(|name| folder.join(name).is_file()))
}

/// One of PostgreSQL's programs, if it is installed.
pub fn program(name: &str) -> Option<PathBuf> {
    folders().map(|folder| folder.join(name)).find(|program| program.is_file())
}

fn folders() -> impl Iterator<Item = PathBuf> {
    let on_path = std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect::<Vec<_>>());
    let pg_config = Command::new("pg_config").arg("--bindir").output().ok();
    let pg_config = pg_config.and_then(|output| String::from_utf8(output.stdout).ok());
    let installed = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut folders = on_path.unwrap_or_default();
    folders.extend(pg_config.map(|folder| PathBuf::from(folder.trim())));
    folders.extend(installed.map(|version| version.path().join("bin")));
    folders.into_iter()
}

/// PostgreSQL refuses to run as root.
pub fn as_unprivileged(command: &mut Command, folder: &Path) {
    if fs::metadata("/proc/self").unwrap().uid() == 0 {
        let (user, group) = unprivileged();
        std::os::unix::fs::chown(folder, Some(user), Some(group)).unwrap();
        command.uid(user).gid(group);
    }
}

/// User and group of `postgres`, or of `nobody`.
fn unprivileged() -> (u32, u32) {
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let ids = |name: &str| {
        let mut fields = users.lines().map(|line| line.split(':').collect::<Vec<_>>());
        let found = fields.find(|fields| fields[0] == name)?;
        Some((found[2].parse().ok()?, found[3].parse().ok()?))
    };
    ids("postgres").or_else(|| ids("nobody")).expect("a user to run PostgreSQL as, who is not root")
}

/// Where this process' databases are made; none if there is no PostgreSQL.
fn maintenance_url() -> Option<&'static Url> {
    static SERVER: OnceLock<Option<(Option<Server>, Url)>> = OnceLock::new();
    let server = SERVER.get_or_init(|| {
        if let Ok(url) = std::env::var("TEST_DATABASE_URL") {
            return Some((None, Url::parse(&url).expect("TEST_DATABASE_URL is no URL")));
        }
        let server = Server::start()?;
        let url = server.url("postgres");
        Some((Some(server), url))
    });
    server.as_ref().map(|(_, url)| url)
}

/// Says loudly that a test did not run, or fails where PostgreSQL is required.
pub fn missing() {
    let what = "NOT RUN: this test needs PostgreSQL: install its server programs (Debian: `apt install postgresql`) \
                or set TEST_DATABASE_URL";
    assert!(std::env::var_os(REQUIRE).is_none_or(|value| value != "1"), "{what}");
    // Past the capture of test output: written to the file, not through `eprintln!`.
    let _ = writeln!(std::io::stderr(), "{}: {what}", std::thread::current().name().unwrap_or("?"));
}

/// A fresh database, dropped with this value.
pub struct Database {
    pub url: Url,
    maintenance: Url,
}

impl Database {
    /// None if there is no PostgreSQL; that was then said, see [`missing`].
    pub async fn create() -> Option<Self> {
        let Some(maintenance) = tokio::task::spawn_blocking(maintenance_url).await.unwrap() else {
            missing();
            return None;
        };
        Some(Self::create_at(maintenance).await)
    }

    /// A fresh database beside the one at `maintenance`.
    pub async fn create_at(maintenance: &Url) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("tokend_test_{}_{}", std::process::id(), COUNT.fetch_add(1, Relaxed));
        execute(maintenance, format!("CREATE DATABASE {name}")).await;
        let mut url = maintenance.clone();
        url.set_path(&name);
        Self { url, maintenance: maintenance.clone() }
    }

    /// A connection past the store.
    pub async fn connect(&self) -> PgConnection {
        PgConnection::connect(self.url.as_str()).await.unwrap()
    }

    /// Runs SQL past the store.
    pub async fn execute(&self, sql: impl Into<String>) {
        execute(&self.url, sql.into()).await;
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // The databases of our own server go with it.
        if std::env::var_os("TEST_DATABASE_URL").is_none() {
            return;
        }
        let (maintenance, name) =
            (self.maintenance.clone(), self.url.path().trim_start_matches('/').to_owned());
        let drop_it = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(execute(&maintenance, format!("DROP DATABASE {name} WITH (FORCE)")));
        };
        let _ = std::thread::spawn(drop_it).join();
    }
}

async fn execute(url: &Url, sql: String) {
    let mut connection = PgConnection::connect(url.as_str()).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

#[test]
fn a_server_ends_with_its_watchdogs_input() {
    let Some(mut server) = Server::start() else { return missing() };
    let folder: &Path = &server.folder.clone();
    let postmaster = fs::read_to_string(folder.join("data/postmaster.pid")).unwrap();
    let process = Path::new("/proc").join(postmaster.lines().next().unwrap());
    // What the system does to the pipe when the test process is killed.
    let mut watchdog = server.watchdog.take().unwrap();
    drop(watchdog.stdin.take());
    watchdog.wait().unwrap();
    assert!(!folder.exists());
    assert!(!process.exists());
    // Nothing is left for its drop.
    fs::create_dir(folder).unwrap();
}
