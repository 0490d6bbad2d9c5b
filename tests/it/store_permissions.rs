//! A database that tokend may not write: refused at start with what an operator needs to know, and noticed later.

use std::{
    fs::{self, File, Permissions},
    io::{ErrorKind, Write as _},
    os::unix::{
        fs::{MetadataExt as _, PermissionsExt as _, chown},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tempfile::TempDir;

use crate::process::{FREE_PORTS, Watched, stderr};

/// `nobody` and its group.
const USER: u32 = 65534;

/// tokend for another user than root, who may do everything.
struct Scene {
    folder: TempDir,
}

impl Scene {
    /// None unless the tests run as root: only root can be another user.
    fn make() -> Option<Self> {
        if fs::metadata("/proc/self").unwrap().uid() != 0 {
            let what = "NOT RUN: this test runs tokend as another user, and must be run as root";
            let _ = writeln!(std::io::stderr(), "store_permissions: {what}");
            return None;
        }
        let folder = TempDir::new().unwrap();
        let scene = Self { folder };
        set(scene.folder.path(), 0, 0o755);
        fs::copy(env!("CARGO_BIN_EXE_tokend"), scene.at("tokend")).unwrap();
        set(&scene.at("tokend"), 0, 0o755);
        for name in ["etc", "db"] {
            fs::create_dir(scene.at(name)).unwrap();
            set(&scene.at(name), USER, 0o700);
        }
        // Another test may have forked while the copy was open for writing, and holds it open until it executes its program.
        let made = loop {
            match scene.command(&["init", "--issuer", "https://id.example.com"]).output() {
                Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => std::thread::yield_now(),
                made => break made.unwrap(),
            }
        };
        assert!(made.status.success(), "{}", stderr(&made));
        Some(scene)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.at("tokend"));
        command.args(arguments).args(["--store", &format!("sqlite:{}", self.at("db/tokend.db").display())]);
        command.env_clear().env("HOME", self.at("etc")).current_dir(self.at("etc"));
        command.stdin(Stdio::null()).uid(USER).gid(USER);
        command
    }

    fn serve(&self) -> Command {
        let arguments = ["serve", "--config", "tokend.toml", "--allow-plaintext", "--drain-delay", "0s"];
        self.command(&[&arguments, &FREE_PORTS[..]].concat())
    }
}

fn set(path: &Path, user: u32, mode: u32) {
    chown(path, Some(user), Some(user)).unwrap();
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn what_may_not_be_written_is_refused_with_owner_mode_and_user() {
    let Some(scene) = Scene::make() else { return };
    // The path whose owner and mode are changed, the mode, and the path that is at fault.
    for (path, mode, named) in [
        ("db/tokend.db", 0o600, "db/tokend.db"),
        ("db/tokend.db", 0o644, "db/tokend.db"),
        ("db/tokend.db-wal", 0o600, "db/tokend.db-wal"),
        ("db/tokend.db-shm", 0o644, "db/tokend.db-shm"),
        ("db", 0o755, "db"),
        ("db", 0o700, "db"),
    ] {
        let path = scene.at(path);
        let is_new = !path.exists();
        if is_new {
            File::create(&path).unwrap();
        }
        let before = fs::metadata(&path).unwrap();
        set(&path, 0, mode);
        let ended = scene.serve().output().unwrap();
        let said = stderr(&ended);
        assert!(!ended.status.success(), "{}: it started", path.display());
        let facts =
            format!("belongs to user 0 and group 0 and has mode {mode:04o}, and tokend runs as user {USER}");
        assert!(said.contains(&facts) && said.contains(scene.at(named).to_str().unwrap()), "{said}");
        assert!(!said.contains("not a sound"), "{said}");
        set(&path, USER, before.mode() & 0o777);
        if is_new {
            fs::remove_file(&path).unwrap();
        }
    }
}

#[test]
fn a_file_that_may_no_longer_be_written_is_noticed() {
    let Some(scene) = Scene::make() else { return };
    let mut server = Watched::of(scene.serve());
    server.logged("serving");
    let file = scene.at("db/tokend.db");
    set(&file, 0, 0o644);
    let degraded = server.logged("degraded: the store accepts no writes");
    assert_eq!((&degraded["reason"], &degraded["ready"]), (&"STORE_READ_ONLY".into(), &false.into()));
    let line = server.logged("the store accepts no writes");
    let problem = line["problem"].as_str().unwrap();
    assert!(problem.contains("tokend.db cannot be written") && problem.contains("mode 0644"), "{problem}");
    set(&file, USER, 0o600);
    let mended = server.logged("no longer degraded");
    assert_eq!((&mended["reason"], &mended["ready"]), (&"STORE_READ_ONLY".into(), &true.into()));
    server.running.signal("-TERM");
    assert_eq!(server.ended().code, Some(0));
}
