//! The program and the Unix socket: settings, addresses, two users, and `tokend dev`.

use std::{
    fs,
    io::Write as _,
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Command, Output},
};

use tempfile::TempDir;

use crate::{
    config::Given,
    process::{FREE_PORTS, Serve, dev, init, profiles, run, stderr, stdout, tokend},
};

/// Users that no machine has.
const REGISTERED: u32 = 43_210;
const STRANGER: u32 = 43_211;

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// The program, where every user can run it.
fn public_program(folder: &Path) -> PathBuf {
    let (from, to) = (env!("CARGO_BIN_EXE_tokend"), folder.join("program"));
    if fs::hard_link(from, &to).is_err() {
        fs::copy(from, &to).unwrap();
    }
    to
}

#[test]
fn wrong_settings_are_named() {
    let long = format!("/run/{}", "x".repeat(100));
    for (name, value, expected) in [
        ("grpc_socket", long.as_str(), "grpc_socket: `/run/xx"),
        ("grpc_socket", "/run/", "grpc_socket: `/run/` must be the path of a file, of at most 98 bytes"),
        ("grpc_socket_mode", "rw-rw----", "grpc_socket_mode: `rw-rw----` is no mode of a file in octal"),
        ("grpc_socket_mode", "0888", "grpc_socket_mode: `0888`"),
        ("grpc_socket_mode", "+660", "grpc_socket_mode: `+660`"),
        ("grpc_socket_mode", "1777", "grpc_socket_mode: `1777`"),
        ("grpc_socket_owner", "tokend", "grpc_socket_owner: `tokend` is no owner by numbers"),
        ("grpc_socket_owner", "1:", "grpc_socket_owner: `1:`"),
        ("grpc_socket_owner", ":", "grpc_socket_owner: `:`"),
        ("grpc_socket_owner", "4294967295", "grpc_socket_owner: `4294967295`"),
    ] {
        let problem = Given::sound().flag(name, value).problem();
        assert!(problem.contains(expected) && problem.contains("(flag --"), "{expected}: {problem}");
    }
    let socket = |owner: &str| {
        let given = Given::sound().flag("grpc_socket", "/run/tokend.sock").flag("grpc_socket_owner", owner);
        let socket = given.resolve().config().unwrap().grpc_socket.unwrap();
        (socket.mode, socket.uid, socket.gid)
    };
    assert_eq!(socket("10:20"), (0o660, Some(10), Some(20)));
    assert_eq!(socket("10"), (0o660, Some(10), None));
    assert_eq!(socket(":20"), (0o660, None, Some(20)));
    assert!(Given::sound().resolve().config().unwrap().grpc_socket.is_none());
}

#[test]
fn two_users_are_two_callers() {
    if !is_root() {
        // The output of a test that succeeds is hidden.
        let text = b"two_users_are_two_callers did not run: only root can start processes of other users\n";
        std::io::stderr().write_all(text).unwrap();
        return;
    }
    let folder = TempDir::new().unwrap();
    let home = folder.path();
    let admin = init(home);
    mode(home, 0o755);
    let socket = home.join("tokend.sock");
    let arguments = [
        "--allow-plaintext",
        "true",
        "--drain-delay",
        "0s",
        "--grpc-socket",
        socket.to_str().unwrap(),
        "--grpc-socket-mode",
        "0666",
    ];
    let server = Serve::start(home, &arguments);
    let address = format!("unix:{}", socket.display());
    let create = |id: &str, uid: u32| {
        let uid = uid.to_string();
        let policy = ["--method", "TokenService/IssueToken", "--audience", "orders", "--subject", "*"];
        let method = ["client", "create", id, "--auth-method", "unix_peer", "--unix-uid", &uid];
        // A secret decides over the socket, too.
        tokend(home, &[&method[..], &policy].concat())
            .env("TOKEND_ADDR", &address)
            .env("TOKEND_CLIENT_SECRET", &admin)
            .output()
            .unwrap()
    };
    let created = create("local", REGISTERED);
    assert!(created.status.success(), "{}", stderr(&created));
    assert!(stderr(&created).contains("has no secret"), "{}", stderr(&created));
    let taken = create("other", REGISTERED);
    assert!(stderr(&taken).contains("`local` has it"), "{}", stderr(&taken));

    let program = public_program(home);
    let as_user = |uid: u32, arguments: &[&str]| -> Output {
        let command = tokend(home, &[arguments, &["--addr", &address]].concat());
        Command::new(&program)
            .args(command.get_args())
            .env_clear()
            .env("HOME", home)
            .uid(uid)
            .gid(uid)
            .output()
            .unwrap()
    };
    let issue = ["token", "issue", "--audience", "orders", "--subject", "alice"];
    let issued = as_user(REGISTERED, &issue);
    assert!(issued.status.success() && stdout(&issued).starts_with("ey"), "{}", stderr(&issued));
    let stranger = as_user(STRANGER, &issue);
    assert!(!stranger.status.success() && stderr(&stranger).contains("CREDENTIALS_MISSING"), "{stranger:?}");
    let more = as_user(REGISTERED, &["client", "list"]);
    assert!(stderr(&more).contains("METHOD_NOT_ALLOWED"), "{}", stderr(&more));

    // The mode is the first check: without it, no connection.
    mode(&socket, 0o660);
    let closed = as_user(REGISTERED, &issue);
    let expected = format!("cannot call {address} (--addr): permission denied");
    assert!(stderr(&closed).contains(&expected), "{}", stderr(&closed));

    assert_eq!(server.stop().code, Some(0));
    assert!(!socket.exists(), "removed at stop");
    let gone = as_user(REGISTERED, &issue);
    assert!(stderr(&gone).contains(&format!("cannot call {address}")), "{}", stderr(&gone));
    assert!(stderr(&gone).contains("no such socket"), "{}", stderr(&gone));
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    mode(&socket, 0o666);
    let stale = as_user(REGISTERED, &issue);
    assert!(stderr(&stale).contains("nothing listens there"), "{}", stderr(&stale));
}

#[test]
fn a_second_server_does_not_take_the_socket() {
    let folder = TempDir::new().unwrap();
    init(folder.path());
    let socket = ["--grpc-socket", "tokend.sock", "--allow-plaintext", "true", "--drain-delay", "0s"];
    let first = Serve::start(folder.path(), &socket);
    let arguments = ["serve", "--config", "tokend.toml"];
    let second = run(folder.path(), &[&arguments[..], &FREE_PORTS, &socket].concat());
    let path = folder.path().join("tokend.sock");
    assert!(
        stderr(&second).contains("grpc_socket: ") && stderr(&second).contains("is in use by another process"),
        "{}",
        stderr(&second)
    );
    assert!(path.exists());
    assert_eq!(first.stop().code, Some(0));
    assert!(!path.exists());
}

#[test]
fn dev_has_a_socket_in_the_runtime_directory_on_which_its_user_needs_no_secret() {
    let folder = TempDir::new().unwrap();
    let runtime = TempDir::new().unwrap();
    let mut command = tokend(folder.path(), &[&["dev"], &FREE_PORTS[..]].concat());
    command.env("XDG_RUNTIME_DIR", runtime.path());
    let (server, lines) = crate::process::dev_by(command);
    let line = lines.iter().find_map(|line| line.trim().strip_prefix("grpc socket")).unwrap();
    let path = PathBuf::from(line.trim().strip_prefix("unix:").unwrap());
    assert_eq!(path.parent().unwrap(), runtime.path().join("tokend"));
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

    let profile = fs::read_to_string(&profiles(folder.path())[0]).unwrap();
    assert!(profile.contains(&format!("grpc_socket = \"{}\"", path.display())), "{profile}");
    // A wrong secret would be rejected: none is sent.
    fs::write(
        &profiles(folder.path())[0],
        profile.replace("client_secret = \"tkd_", "client_secret = \"not_"),
    )
    .unwrap();
    let issue = ["token", "issue", "--audience", "orders", "--subject", "alice"];
    for arguments in [&issue[..], &[&issue[..], &["--addr", &format!("unix:{}", path.display())]].concat()] {
        let issued = run(folder.path(), arguments);
        assert!(issued.status.success(), "{}", stderr(&issued));
    }
    let shown = run(folder.path(), &["client", "show", "dev"]);
    let uid = rustix::process::geteuid().as_raw();
    assert!(stdout(&shown).contains(&format!("unix uids           {uid}")), "{}", stdout(&shown));
    assert_eq!(server.stop(), Some(0));
    assert!(!path.exists());
}

#[test]
fn flags_and_files_name_users_and_groups() {
    let folder = TempDir::new().unwrap();
    let (_server, _) = dev(folder.path(), &[]);
    let folder = folder.path();
    let succeed = |arguments: &[&str]| {
        let output = run(folder, arguments);
        assert!(output.status.success(), "{}", stderr(&output));
        stdout(&output).to_owned()
    };
    let ids = ["--unix-uid", "1000", "--unix-uid", "1001", "--unix-gid", "100"];
    succeed(&[&["client", "create", "local", "--auth-method", "unix_peer"], &ids[..]].concat());
    succeed(&["client", "update", "local", "--add-unix-uid", "1002", "--remove-unix-uid", "1000"]);
    succeed(&["client", "update", "local", "--add-unix-gid", "0101", "--remove-unix-gid", "100"]);
    let shown = succeed(&["client", "show", "local"]);
    for line in ["unix uids           1001 1002", "unix gids           101", "authentication      unix_peer"]
    {
        assert!(shown.contains(line), "{line} in {shown}");
    }
    let absent = run(folder, &["client", "update", "local", "--remove-unix-uid", "5"]);
    assert!(stderr(&absent).contains("it contains: 1001 1002"), "{}", stderr(&absent));
    let text = run(folder, &["client", "update", "local", "--add-unix-uid", "root"]);
    assert!(stderr(&text).contains("--add-unix-uid"), "{}", stderr(&text));

    let exported = succeed(&["client", "export"]);
    assert!(exported.contains("uids = [\n    1001,\n    1002,\n]"), "{exported}");
    let apply = |text: &str| {
        fs::write(folder.join("clients.toml"), text).unwrap();
        run(folder, &["client", "apply", "-f", "clients.toml"])
    };
    let same = apply(&exported);
    assert!(same.status.success() && !stderr(&same).contains("local"), "{same:?}");
    let changed = apply(&exported.replace("    1002,\n", "    1003,\n"));
    assert!(
        stderr(&changed).contains("~ local authentication.unix_peer.uids: + 1003, - 1002"),
        "{changed:?}"
    );
    let wrong = apply(&exported.replace("    1002,\n", "    \"1002\",\n"));
    assert!(
        stderr(&wrong).contains("uids: must be a list of whole numbers, without quotes"),
        "{}",
        stderr(&wrong)
    );
    let other = "\n[[client]]\nclient_id = \"other\"\nauthentication = { methods = [\"unix_peer\"], unix_peer = { \
                 uids = [1002] } }\n";
    let twice = apply(&format!("{exported}{other}"));
    assert!(
        stderr(&twice).contains("client `other`: authentication.unix_peer.uids: `local` has the same id"),
        "{}",
        stderr(&twice)
    );
}
