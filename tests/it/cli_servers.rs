//! The program as a server: `dev` and its printed lines, `init` and `serve`, and how they stop.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::TcpListener,
    process::{Command, Stdio},
};

use tempfile::TempDir;
use tokend::{
    model::{AuthenticationMethod, ClientId, ClientSecret, ClientSettings, Role},
    store,
};

use crate::process::{FREE_PORTS, Running, Watched, dev, init, profiles, run, stderr, stdout, tokend, words};

#[test]
fn dev_prints_all_that_a_first_call_needs_and_leaves_a_profile() {
    let folder = TempDir::new().unwrap();
    let (server, lines) = dev(folder.path(), &["--secret", "it's a $ecret \"ü\""]);
    let calls: Vec<&String> = lines.iter().filter(|line| line.starts_with("grpcurl ")).collect();
    assert_eq!(calls.len(), 2, "{lines:#?}");
    let (issue, verify) = (words(calls[0]), words(calls[1]));
    assert_eq!(issue[..3], ["grpcurl", "-plaintext", "-H"]);
    assert!(issue[3].starts_with("authorization: Basic "), "{issue:?}");
    let (flag, request) = (&issue[4], &issue[5]);
    assert_eq!((flag.as_str(), issue[7].as_str()), ("-d", "tokend.v1.TokenService/IssueToken"));
    assert_eq!(request, r#"{"subject":"alice","audiences":["orders"],"scopes":["read"]}"#);
    let asked: serde_json::Value = serde_json::from_str(&verify[5]).unwrap();
    assert_eq!(
        (verify[7].as_str(), &asked["audiences"]),
        ("tokend.v1.TokenService/VerifyToken", &["orders"].into())
    );

    // The other commands find it by the profile.
    let verified =
        run(folder.path(), &["token", "verify", asked["token"].as_str().unwrap(), "--audience", "orders"]);
    assert_eq!(verified.status.code(), Some(0), "{}", stderr(&verified));
    let claims: serde_json::Value = serde_json::from_str(stdout(&verified)).unwrap();
    assert_eq!(claims["sub"], "alice");
    let refused =
        run(folder.path(), &["token", "verify", asked["token"].as_str().unwrap(), "--audience", "other"]);
    assert_eq!((refused.status.code(), stdout(&refused)), (Some(1), ""));
    assert!(stderr(&refused).starts_with("error: TOKEN_AUDIENCE_MISMATCH: "), "{}", stderr(&refused));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let profile = fs::metadata(&profiles(folder.path())[0]).unwrap();
        assert_eq!(profile.permissions().mode() & 0o777, 0o600);
    }
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn the_client_commands_keep_clients() {
    let folder = TempDir::new().unwrap();
    let (_server, _) = dev(folder.path(), &[]);
    let run = |arguments: &[&str]| run(folder.path(), arguments);
    let create = [
        "client",
        "create",
        "login",
        "--method",
        "TokenService/IssueToken",
        "--audience",
        "orders*",
        "--max-ttl",
        "5m",
    ];
    let created = run(&create);
    assert!(stdout(&created).starts_with("tkd_login_") && stdout(&created).lines().count() == 1);
    let secret = stdout(&created);
    let as_login = |arguments: &[&str]| {
        tokend(folder.path(), arguments).env("TOKEND_CLIENT_SECRET", secret).output().unwrap()
    };
    let issue = ["token", "issue", "--audience", "orders.eu", "--ttl", "60s", "-o", "json"];
    let token: serde_json::Value = serde_json::from_str(stdout(&as_login(&issue))).unwrap();
    assert_eq!((&token["expires_in"], &token["token_type"]), (&60.into(), &"Bearer".into()));
    let denied = as_login(&["token", "issue", "--audience", "billing"]);
    assert_eq!(denied.status.code(), Some(1));
    assert!(stderr(&denied).starts_with("error: AUDIENCE_NOT_ALLOWED: "), "{}", stderr(&denied));
    let twice = run(&create);
    assert_eq!((twice.status.code(), stdout(&twice)), (Some(1), ""));

    for number in 0..3 {
        assert_eq!(run(&["client", "create", &format!("c{number}")]).status.code(), Some(0));
    }
    let list: serde_json::Value =
        serde_json::from_str(stdout(&run(&["client", "list", "-o", "json"]))).unwrap();
    let ids: Vec<&str> =
        list.as_array().unwrap().iter().map(|client| client["client_id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["c0", "c1", "c2", "dev", "login"]);
    assert!(stdout(&run(&["client", "show", "login"])).contains("max ttl             5m"));

    let rotated = run(&["client", "rotate-secret", "login", "--overlap", "0s"]);
    assert!(stdout(&rotated).starts_with("tkd_login_") && stdout(&rotated) != secret);
    assert!(stderr(&as_login(&issue)).contains("CREDENTIALS_INVALID"));
    assert_eq!(run(&["client", "delete", "login"]).status.code(), Some(2), "there is no terminal to ask");
    assert_eq!(run(&["client", "delete", "login", "--yes"]).status.code(), Some(0));
    assert_eq!(run(&["client", "show", "login"]).status.code(), Some(1));
    let bad = run(&["client", "create", "BAD", "--method", "a*b"]);
    assert!(
        stderr(&bad).contains("FIELD_INVALID") && stderr(&bad).contains("\n  client.client_id: "),
        "{}",
        stderr(&bad)
    );
}

#[test]
fn dev_keeps_its_data_and_refuses_what_is_not_for_it() {
    let folder = TempDir::new().unwrap();
    let (server, _) = dev(folder.path(), &["--data", "t.db", "--secret", "dev-secret"]);
    let show = run(folder.path(), &["client", "create", "kept"]);
    assert_eq!(show.status.code(), Some(0), "{}", stderr(&show));
    let sealing_key = fs::read_to_string(folder.path().join("t.db.sealing-key")).unwrap();
    assert_eq!(server.stop(), Some(0));
    let (server, lines) = dev(folder.path(), &["--data", "t.db", "--algorithms", "ES256,EdDSA"]);
    assert_eq!(run(folder.path(), &["client", "show", "kept"]).status.code(), Some(0));
    assert_eq!(fs::read_to_string(folder.path().join("t.db.sealing-key")).unwrap(), sealing_key);
    assert!(lines.iter().any(|line| line.starts_with("  key id  ")), "{lines:#?}");
    assert_eq!(server.stop(), Some(0));

    for (arguments, words) in [
        (&["dev", "--grpc-addr", "0.0.0.0:0"][..], "--grpc-addr"),
        (&["dev", "--http-addr", "192.0.2.1:0"], "--http-addr"),
        (&["dev", "--secret", "seven77"], "--secret"),
        (
            &["dev", "--algorithms", "none", "--grpc-addr", "127.0.0.1:0", "--http-addr", "127.0.0.1:0"],
            "algorithms",
        ),
    ] {
        let output = run(folder.path(), arguments);
        assert_eq!((output.status.code(), stdout(&output)), (Some(2), ""));
        assert!(stderr(&output).contains(words), "{}", stderr(&output));
    }
    fs::write(folder.path().join("t.db.sealing-key"), "nonsense").unwrap();
    let broken = run(folder.path(), &[&["dev", "--data", "t.db"], &FREE_PORTS[..]].concat());
    assert_eq!(broken.status.code(), Some(1));
    assert_eq!(fs::read_to_string(folder.path().join("t.db.sealing-key")).unwrap(), "nonsense");
}

#[test]
fn init_makes_what_serve_needs_and_never_overwrites() {
    let folder = TempDir::new().unwrap();
    let run = |arguments: &[&str]| run(folder.path(), arguments);
    let bad = run(&["init", "--dir", "etc", "--issuer", "nonsense"]);
    assert_eq!(bad.status.code(), Some(2), "{}", stderr(&bad));
    assert!(!folder.path().join("etc").exists(), "wrong settings leave nothing behind");

    let made = run(&["init", "--dir", "etc", "--issuer", "https://id.example.com"]);
    assert_eq!(made.status.code(), Some(0), "{}", stderr(&made));
    assert!(stdout(&made).starts_with("tkd_admin_") && stdout(&made).lines().count() == 1);
    let read = |name: &str| fs::read_to_string(folder.path().join("etc").join(name)).unwrap();
    let (configuration, sealing_key) = (read("tokend.toml"), read("sealing.key"));
    assert!(folder.path().join("etc/tokend.db").exists());

    let check = run(&["config", "check", "--config", "etc/tokend.toml"]);
    assert!(
        check.status.code() == Some(2) && stderr(&check).contains("TLS is missing"),
        "{}",
        stderr(&check)
    );
    let check = run(&["config", "check", "--config", "etc/tokend.toml", "--allow-plaintext"]);
    assert_eq!(check.status.code(), Some(0), "{}", stderr(&check));

    let undecided = run(&["init", "--dir", "other"]);
    assert_eq!(undecided.status.code(), Some(0), "{}", stderr(&undecided));
    let check = run(&["config", "check", "--config", "other/tokend.toml", "--allow-plaintext"]);
    assert!(stderr(&check).contains("issuer is missing"), "no issuer is made up: {}", stderr(&check));

    let again = run(&["init", "--dir", "etc"]);
    assert_eq!((again.status.code(), stdout(&again)), (Some(1), ""));
    assert!(stderr(&again).contains("--new-admin-secret"), "{}", stderr(&again));
    let other = run(&["init", "--dir", "etc", "--issuer", "https://other.example.com"]);
    assert_eq!((other.status.code(), stdout(&other)), (Some(2), ""), "the configuration says another");
    assert!(stderr(&other).contains("--issuer: "), "{}", stderr(&other));
    let check = [
        "config",
        "check",
        "--config",
        "etc/tokend.toml",
        "--tls-cert-file",
        "none",
        "--tls-key-file",
        "none",
    ];
    let check = run(&check);
    assert!(!check.status.success() && stderr(&check).contains("`tls_cert_file`: none cannot be read"));
    let renewed = run(&["init", "--dir", "etc", "--new-admin-secret"]);
    assert!(
        stdout(&renewed).starts_with("tkd_admin_") && stdout(&renewed) != stdout(&made),
        "{}",
        stderr(&renewed)
    );
    assert_eq!((read("tokend.toml"), read("sealing.key")), (configuration, sealing_key));
}

#[test]
fn init_makes_the_files_that_the_environment_names() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name);
    let url = format!("sqlite:{}", path("elsewhere.db").display());
    fs::write(path("store"), &url).unwrap();
    let init = |arguments: &[&str], key: &str| {
        let arguments = [&["init", "--dir", "data"], arguments].concat();
        let mut command = tokend(folder.path(), &arguments);
        command.env("TOKEND_SEALING_KEY_FILE", path(key)).env("TOKEND_STORE_FILE", path("store"));
        command.output().unwrap()
    };
    let both = init(&["--store", "sqlite:t.db"], "data/named.key");
    assert!(both.status.code() == Some(2) && stderr(&both).contains("store_file: given together with store"));
    assert!(!path("data").exists(), "wrong settings leave nothing behind");

    let made = init(&[], "data/named.key");
    assert_eq!(made.status.code(), Some(0), "{}", stderr(&made));
    let key = fs::read_to_string(path("data/named.key")).unwrap();
    assert!(path("elsewhere.db").exists() && !path("data/sealing.key").exists());
    let configuration = fs::read_to_string(path("data/tokend.toml")).unwrap();
    assert!(!configuration.contains(&url), "what is in a file for its secrecy stays there: {configuration}");

    let again = init(&["--new-admin-secret"], "data/named.key");
    assert_eq!(again.status.code(), Some(0), "{}", stderr(&again));
    assert_eq!(fs::read_to_string(path("data/named.key")).unwrap(), key);
    let check = ["config", "check", "--config", "data/tokend.toml", "--issuer", "https://id.example.com"];
    let check = run(folder.path(), &[&check[..], &["--allow-plaintext"]].concat());
    assert_eq!(check.status.code(), Some(0), "{}", stderr(&check));
    let absent =
        tokend(folder.path(), &["serve"]).env("TOKEND_SEALING_KEY_FILE", path("no.key")).output().unwrap();
    assert!(
        absent.status.code() == Some(2) && stderr(&absent).contains("no.key cannot be read"),
        "serve makes no key: {}",
        stderr(&absent)
    );
    assert!(!path("no.key").exists());
}

#[test]
fn serve_runs_what_init_created_and_stops_on_a_signal() {
    let folder = TempDir::new().unwrap();
    let made = run(folder.path(), &["init", "--issuer", "https://id.example.com"]);
    let secret = stdout(&made);
    let settings = [
        "serve",
        "--config",
        "tokend.toml",
        "--allow-plaintext",
        "--drain-delay",
        "0s",
        "--log-format",
        "json",
    ];
    let serve = [&settings, &FREE_PORTS[..]].concat();
    let mut child = tokend(folder.path(), &serve).stderr(Stdio::piped()).spawn().unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
    let server = Running(child);
    let started = loop {
        let line: serde_json::Value = serde_json::from_str(&log.next().unwrap().unwrap()).unwrap();
        if line["message"] == "serving" {
            break line;
        }
    };
    // What `admin` keeps, by its role.
    for (noun, found) in [("client", "role:admin"), ("key", "ES256")] {
        let listed = tokend(folder.path(), &[noun, "list", "--addr", started["grpc"].as_str().unwrap()])
            .env("TOKEND_CLIENT_SECRET", secret)
            .output()
            .unwrap();
        assert!(listed.status.success() && stdout(&listed).contains(found), "{}", stderr(&listed));
    }
    let health = run(folder.path(), &["healthcheck", "--http-addr", started["http"].as_str().unwrap()]);
    assert_eq!(health.status.code(), Some(0), "{}", stderr(&health));
    assert_eq!(server.stop(), Some(0));
    assert!(log.map(Result::unwrap).all(|line| !line.contains(secret)));

    let bare = run(folder.path(), &["serve"]);
    assert_eq!(bare.status.code(), Some(2));
    assert!(
        stderr(&bare).contains("issuer is missing") && stderr(&bare).contains("TLS is missing"),
        "{}",
        stderr(&bare)
    );
    fs::write(folder.path().join("sealing.key"), format!("{}\n", "A".repeat(43))).unwrap();
    let wrong = run(folder.path(), &serve);
    assert!(wrong.status.code() == Some(1) && stderr(&wrong).contains("`sealing_key`"), "{}", stderr(&wrong));
}

#[test]
fn a_second_signal_ends_at_once() {
    let folder = TempDir::new().unwrap();
    run(folder.path(), &["init", "--issuer", "https://id.example.com"]);
    let settings = [
        "serve",
        "--config",
        "tokend.toml",
        "--allow-plaintext",
        "--drain-delay",
        "5m",
        "--log-format",
        "text",
    ];
    let mut child =
        tokend(folder.path(), &[&settings, &FREE_PORTS[..]].concat()).stderr(Stdio::piped()).spawn().unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let mut server = Running(child);
    let signal = |name: &str| {
        assert!(Command::new("kill").args([name, &server.0.id().to_string()]).status().unwrap().success());
    };
    assert!(log.any(|line| line.contains("serving")));
    signal("-TERM");
    assert!(log.any(|line| line.contains("stopping")));
    signal("-INT");
    assert!(log.any(|line| line.contains("second signal")));
    assert_eq!(server.0.wait().unwrap().code(), Some(1));
}

#[tokio::test]
async fn init_restores_the_administrator_of_an_existing_store() {
    let folder = TempDir::new().unwrap();
    let first = init(folder.path());
    let admin = ClientId::parse("admin").unwrap();
    let location = format!("sqlite:{}", folder.path().join("tokend.db").display()).parse().unwrap();
    let record = async |change: fn(&mut ClientSettings)| {
        let store = store::open(&location).await.unwrap();
        let mut record = store.client(&admin).await.unwrap();
        change(&mut record.client.settings);
        record.client.mac = None;
        store.put_client(&record).await.unwrap();
        store.close().await;
        record
    };
    // The client loses all permissions and is disabled.
    record(|settings| {
        settings.disabled = true;
        settings.display_name = "the first".to_owned();
        settings.permissions.roles = vec![Role::Viewer];
        settings.authentication.methods = vec![AuthenticationMethod::MutualTls];
    })
    .await;
    let again = run(folder.path(), &["init", "--new-admin-secret"]);
    assert!(again.status.success(), "{}", stderr(&again));
    let record = record(|_| {}).await;
    let settings = &record.client.settings;
    assert!(!settings.disabled && settings.permissions.roles == [Role::Viewer, Role::Admin]);
    assert!(settings.authentication.allows(AuthenticationMethod::ClientSecret));
    assert_eq!(settings.display_name, "the first");
    let digest = |text: &str| ClientSecret::from_text(text).digest();
    let [kept] = record.secrets.as_slice() else { panic!("one secret is left: {record:?}") };
    assert_eq!(kept.digest, digest(stdout(&again)));
    assert_ne!(kept.digest, digest(&first));
}

#[test]
fn serve_stops_on_a_signal_while_it_waits_for_the_store() {
    let folder = TempDir::new().unwrap();
    init(folder.path());
    // A database that takes connections, and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let store = format!("postgres://tokend@{}/tokend", silent.local_addr().unwrap());
    let arguments = ["serve", "--config", "tokend.toml", "--allow-plaintext", "true", "--store", &store];
    let server = Watched::start(folder.path(), &[&arguments[..], &FREE_PORTS].concat());
    let _held = silent.accept().unwrap();
    server.running.signal("-TERM");
    let ended = server.ended();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stderr.iter().any(|line| line.contains("stopped before serving")), "{ended:?}");
}
