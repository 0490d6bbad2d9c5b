//! Stories of the first hour with the program: a server that cannot be called, two of them at once, a client that changes.

use std::{fs, net::TcpListener, path::Path, thread};

use serde_json::Value;
use tempfile::TempDir;

use crate::process::{
    FREE_PORTS, Watched, dev, dev_address, entry, init, profiles, run, stderr, stdout, tokend,
};

/// What a command that must fail says, on one line.
#[track_caller]
fn fails(folder: &Path, arguments: &[&str]) -> String {
    let output = tokend(folder, arguments).env("TOKEND_CLIENT_SECRET", "tkd_a_b").output().unwrap();
    assert_eq!((output.status.code(), stdout(&output)), (Some(1), ""), "{}", stderr(&output));
    assert_eq!(stderr(&output).trim().lines().count(), 1, "{}", stderr(&output));
    stderr(&output).trim().to_owned()
}

#[track_caller]
fn done(folder: &Path, arguments: &[&str]) -> (String, String) {
    let output = run(folder, arguments);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", stderr(&output));
    (stdout(&output).to_owned(), stderr(&output).to_owned())
}

/// A server that sends this text on each connection, whatever it receives.
fn speaking(bytes: &'static [u8]) -> String {
    use std::io::{Read as _, Write as _};
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(bytes);
        }
    });
    address
}

#[test]
fn a_server_that_cannot_be_called_is_named_with_what_to_do() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let said = fails(folder, &["client", "list", "--addr", &free]);
    assert!(said.starts_with(&format!("error: cannot call http://{free} (--addr): ")), "{said}");
    assert!(said.contains("refused") && said.ends_with("give another address with --addr"), "{said}");
    let by_variable = tokend(folder, &["client", "list"])
        .env("TOKEND_ADDR", &free)
        .env("TOKEND_CLIENT_SECRET", "tkd_a_b")
        .output()
        .unwrap();
    assert!(stderr(&by_variable).contains("(TOKEND_ADDR)"), "{}", stderr(&by_variable));
    let said = fails(folder, &["client", "list", "--addr", "host.invalid:1"]);
    assert!(
        said.contains("https://host.invalid:1") && said.ends_with("correct the host name in --addr"),
        "{said}"
    );

    // Plaintext where TLS is spoken: the alert of a TLS server, and the handshake of another kind of server.
    for record in [&b"\x15\x03\x01\x00\x02\x02\x46"[..], b"\x16\x03\x03\x00\x04\x00\x00\x00\x00"] {
        let tls = speaking(record);
        let said = fails(folder, &["client", "list", "--addr", &tls]);
        assert!(said.ends_with(&format!("the server speaks TLS; use --addr https://{tls}")), "{said}");
    }
    let nginx = speaking(b"HTTP/1.1 400 Bad Request\r\n\r\nThe plain HTTP request was sent to HTTPS port");
    let said = fails(folder, &["client", "list", "--addr", &format!("http://{nginx}")]);
    assert!(said.contains("the server speaks TLS"), "{said}");
    // Another protocol than gRPC.
    let web = speaking(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n");
    for scheme in ["http", "https"] {
        let said = fails(folder, &["client", "list", "--addr", &format!("{scheme}://{web}")]);
        assert!(said.contains("speaks HTTP/1.1 and no gRPC") && said.contains("`grpc_addr`"), "{said}");
    }
    // And one that says nothing that is known.
    let ssh = speaking(b"SSH-2.0-OpenSSH_9.6\r\n");
    let said = fails(folder, &["client", "list", "--addr", &ssh]);
    assert!(said.starts_with(&format!("error: cannot call http://{ssh} (--addr): ")), "{said}");
    // A password in an address is not repeated.
    let wrong = tokend(folder, &["client", "list", "--addr", "https://u:hunter2@a:1"]).output().unwrap();
    assert!(wrong.status.code() == Some(2) && !stderr(&wrong).contains("hunter2"), "{}", stderr(&wrong));
}

#[test]
fn tls_where_plaintext_is_spoken_names_the_flag() {
    let folder = TempDir::new().unwrap();
    let (_server, lines) = dev(folder.path(), &[]);
    let address = dev_address(folder.path()).replace("http://", "");
    let said = fails(folder.path(), &["client", "list", "--addr", &format!("https://{address}")]);
    assert!(said.ends_with(&format!("the server speaks plaintext; use --addr http://{address}")), "{said}");
    // The server's own HTTP port, which says nothing to a client of HTTP/2.
    let http = lines.iter().find_map(|line| line.trim().strip_prefix("http ")).unwrap().trim().to_owned();
    let said = fails(folder.path(), &["client", "list", "--addr", &http]);
    assert!(said.contains("speaks HTTP/1.1 and no gRPC"), "{said}");
    // A refusal of the server is no failure to call it.
    let said = fails(folder.path(), &["client", "list", "--addr", &address]);
    assert!(said.starts_with("error: CREDENTIALS_INVALID: "), "{said}");
}

#[test]
fn each_dev_has_a_profile_while_it_serves() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let (first, lines) = dev(folder, &[]);
    let first_address = dev_address(folder);
    // The lines for the program itself work as they are.
    let own: Vec<&String> = lines.iter().filter(|line| line.starts_with("tokend token ")).collect();
    assert_eq!(own.len(), 2, "{lines:#?}");
    let arguments: Vec<&str> = own[1].split(' ').skip(1).collect();
    assert!(done(folder, &arguments).0.contains("alice"));
    let arguments: Vec<&str> = own[0].split(' ').skip(1).collect();
    assert!(done(folder, &arguments).0.starts_with("ey"));

    let (second, _) = dev(folder, &[]);
    assert_eq!(profiles(folder).len(), 2);
    // Both are found by their addresses, and the one that was started last without one.
    done(folder, &["client", "create", "only-here"]);
    done(folder, &["client", "list", "--addr", &first_address]);
    let (there, _) = done(folder, &["client", "list", "--addr", &first_address]);
    assert!(!there.contains("only-here"), "{there}");
    assert_eq!(second.stop(), Some(0));
    assert_eq!(profiles(folder).len(), 1);
    done(folder, &["client", "list"]);
    // A second signal leaves none either.
    first.signal("-INT");
    first.signal("-INT");
    drop(first);
    let gone = run(folder, &["client", "list"]);
    assert!(profiles(folder).is_empty() && gone.status.code() == Some(2), "{}", stderr(&gone));
    assert!(stderr(&gone).contains("no server: set --addr"), "{}", stderr(&gone));
}

#[test]
fn dev_logs_what_it_refuses_and_a_busy_port_names_the_flag() {
    let folder = TempDir::new().unwrap();
    let mut server = Watched::start(folder.path(), &[&["dev"], &FREE_PORTS[..]].concat());
    server.stdout.until(|line| line.starts_with("ready in "));
    let address = dev_address(folder.path());
    fails(folder.path(), &["client", "list", "--addr", &address]);
    let line = server.stderr.until(|line| line.contains("CREDENTIALS_INVALID"));
    assert!(line.contains("call refused") && !line.contains("tkd_a_b"), "{line}");
    // A denial is logged with the client and the value.
    let made = run(folder.path(), &["client", "create", "web", "--method", "TokenService/IssueToken"]);
    let issue = ["token", "issue", "--audience", "billing", "--addr", &address];
    let denied = tokend(folder.path(), &issue).env("TOKEND_CLIENT_SECRET", stdout(&made)).output().unwrap();
    assert!(stderr(&denied).contains("add it to permissions.audiences"), "{}", stderr(&denied));
    let line = entry(&server.stderr.until(|line| line.contains("AUDIENCE_NOT_ALLOWED")));
    assert_eq!(
        (&line["client"], &line["value"], &line["field"]),
        (&"web".into(), &"billing".into(), &"audiences[0]".into())
    );
    let port = address.replace("http://", "");
    let busy = run(folder.path(), &["dev", "--grpc-addr", &port, "--http-addr", "127.0.0.1:0"]);
    let wanted = format!("grpc_addr: cannot listen on {port}: ");
    assert!(stderr(&busy).contains(&wanted), "{}", stderr(&busy));
    assert!(stderr(&busy).contains("give another address with --grpc-addr"), "{}", stderr(&busy));
}

#[test]
fn an_item_of_a_list_is_added_and_removed_and_the_difference_is_printed() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let (_server, _) = dev(folder, &[]);
    done(folder, &["client", "create", "web", "--audience", "orders", "--scope", "read", "--scope", "write"]);
    let (_, said) = done(
        folder,
        &[
            "client",
            "update",
            "web",
            "--add-audience",
            "billing-*",
            "--remove-scope",
            "write",
            "--add-scope",
            "read",
        ],
    );
    assert_eq!(
        said, "~ web permissions.audiences: + billing-*\n~ web permissions.scopes: - write\n",
        "an existing item is no difference"
    );
    let (shown, _) = done(folder, &["client", "show", "web", "-o", "json"]);
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["permissions"]["audiences"], serde_json::json!(["orders", "billing-*"]));
    assert_eq!(shown["permissions"]["scopes"], serde_json::json!(["read"]));
    // Every kind of list.
    let mut all = vec!["client", "update", "web"];
    for flag in ["--add-role=viewer", "--add-default-audience=orders", "--add-method=TokenService/*"] {
        all.push(flag);
    }
    let (_, said) = done(folder, &all);
    for path in [
        "permissions.roles: + viewer",
        "default_audiences: + orders",
        "permissions.methods: + TokenService/*",
    ] {
        assert!(said.contains(path), "{said}");
    }
    done(folder, &["client", "update", "web", "--remove-default-audience", "orders"]);
    // The difference of a replaced list shows the removed items.
    let (_, said) = done(folder, &["client", "update", "web", "--audience", "mail"]);
    assert_eq!(said, "~ web permissions.audiences: + mail, - orders, - billing-*\n");
    let (_, said) = done(folder, &["client", "update", "web", "--audience", "mail"]);
    assert_eq!(said, "client web is unchanged\n");

    let both = run(folder, &["client", "update", "web", "--audience", "a", "--add-audience", "b"]);
    assert_eq!(both.status.code(), Some(2), "{}", stderr(&both));
    let cleared = run(folder, &["client", "update", "web", "--clear", "permissions", "--add-audience", "b"]);
    assert_eq!(cleared.status.code(), Some(2), "{}", stderr(&cleared));
    let misspelt = run(folder, &["client", "update", "web", "--remove-audience", "mial", "--add-scope", "x"]);
    assert_eq!(misspelt.status.code(), Some(1));
    assert!(stderr(&misspelt).contains("permissions.audiences does not contain `mial`; it contains: mail"));
    let (_, said) = done(folder, &["client", "update", "web", "--add-scope", "read"]);
    assert!(said.contains("is unchanged"), "the failed update changed nothing: {said}");
    let stale = run(folder, &["client", "update", "web", "--add-scope", "x", "--etag", "\"0-0\""]);
    assert!(stderr(&stale).contains("ETAG_MISMATCH"), "{}", stderr(&stale));
}

#[test]
fn an_export_is_the_file_that_changes_nothing() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let (_server, _) = dev(folder, &[]);
    done(
        folder,
        &[
            "client",
            "create",
            "web",
            "--audience",
            "a \"b\"",
            "--claim-value",
            "tenant=acme",
            "--claim",
            "tenant",
            "--max-ttl",
            "5m",
            "--role",
            "viewer",
        ],
    );
    done(
        folder,
        &["client", "create", "tls", "--auth-method", "mutual_tls", "--certificate-uri", "spiffe://a/tls"],
    );
    done(folder, &["client", "create", "bare", "--display-name", "Bär \"e\""]);
    let (file, _) = done(folder, &["client", "export"]);
    fs::write(folder.join("clients.toml"), &file).unwrap();
    let (same, _) = done(folder, &["client", "apply", "-f", "clients.toml", "--check", "--prune"]);
    assert_eq!(same, "nothing to change", "{file}");
    assert!(!file.contains("tkd_") && !file.contains("secret_id"), "{file}");
    // Elsewhere it makes the same clients.
    let elsewhere = TempDir::new().unwrap();
    let (_other, _) = dev(elsewhere.path(), &[]);
    fs::write(elsewhere.path().join("clients.toml"), &file).unwrap();
    done(elsewhere.path(), &["client", "apply", "-f", "clients.toml"]);
    assert_eq!(done(elsewhere.path(), &["client", "export"]).0, file);
    let (one, _) = done(folder, &["client", "export", "tls"]);
    assert!(one.contains("client_id = \"tls\"") && !one.contains("\"web\""), "{one}");
    let none = run(folder, &["client", "export", "nobody"]);
    assert!(stderr(&none).contains("CLIENT_NOT_FOUND") && none.status.code() == Some(1));
}

#[test]
fn init_takes_the_addresses_that_serve_listens_on() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let made = run(
        folder,
        &[
            "init",
            "--issuer",
            "https://id.example.com",
            "--grpc-addr",
            "0.0.0.0:50051",
            "--http-addr",
            "[::]:8080",
        ],
    );
    assert!(made.status.success(), "{}", stderr(&made));
    let (shown, _) =
        done(folder, &["config", "show", "--config", "tokend.toml", "-o", "json", "--allow-plaintext"]);
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(
        (&shown["grpc_addr"]["value"], &shown["http_addr"]["value"]),
        (&"0.0.0.0:50051".into(), &"[::]:8080".into())
    );
    let other = run(folder, &["init", "--grpc-addr", "0.0.0.0:1", "--new-admin-secret"]);
    assert!(other.status.code() == Some(2) && stderr(&other).contains("--grpc-addr"), "{}", stderr(&other));
    let wrong = TempDir::new().unwrap();
    assert_eq!(run(wrong.path(), &["init", "--grpc-addr", "localhost"]).status.code(), Some(2));
}

#[test]
fn serve_says_why_it_waits_and_what_is_misspelt() {
    let folder = TempDir::new().unwrap();
    init(folder.path());
    let mut command = tokend(
        folder.path(),
        &["serve", "--config", "tokend.toml", "--allow-plaintext", "--drain-delay", "200ms"],
    );
    command.args(FREE_PORTS).env("TOKEND_DRAIN_TIMOUT", "9s");
    let mut server = Watched::of(command);
    let warned = server.logged("a setting may be misspelt");
    assert_eq!(
        warned["problem"],
        "the variable TOKEND_DRAIN_TIMOUT sets nothing; did you mean TOKEND_DRAIN_TIMEOUT?"
    );
    server.logged("serving");
    server.running.signal("-INT");
    let line = server.stderr.until(|line| line.contains("a second signal ends it at once"));
    assert!(line.contains("\"delay\":\"200ms\"") && line.contains("drain_timeout"), "{line}");
    assert_eq!(server.ended().code, Some(0));
}

#[test]
fn a_user_is_found_by_name_as_by_id() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let (_server, _) = dev(folder, &[]);
    fs::write(folder.join("hash"), "$2b$05$cyPPbYH.pJqzX2pEMssSPu7TjU6ca9P4PUtSG3pcze6iyozNLh01m").unwrap();
    let create = |arguments: &[&str]| {
        let all = [&["user", "create", "--password-hash-stdin"], arguments].concat();
        let hash = fs::File::open(folder.join("hash")).unwrap();
        let made = tokend(folder, &all).stdin(hash).output().unwrap();
        assert!(made.status.success(), "{}", stderr(&made));
    };
    create(&["alice", "--id", "u-1"]);
    create(&["Maria Ana@example.com", "--id", "u-2"]);
    assert!(done(folder, &["user", "show", "alice"]).0.contains("u-1"));
    assert!(done(folder, &["user", "show", "u-1"]).0.contains("alice"));
    assert!(
        done(folder, &["user", "show", "Maria Ana@example.com"]).0.contains("u-2"),
        "no id has this form"
    );
    let nobody = run(folder, &["user", "show", "nobody"]);
    assert!(stderr(&nobody).contains("USER_NOT_FOUND") && stderr(&nobody).contains("`nobody`"));
    // One whose id is another's name is not mistaken for the other.
    create(&["carol", "--id", "alice"]);
    let two = run(folder, &["user", "delete", "alice", "--yes"]);
    assert_eq!(two.status.code(), Some(2), "{}", stderr(&two));
    assert!(stderr(&two).contains("--by-name carol or --by-name alice"), "{}", stderr(&two));
    done(folder, &["user", "delete", "--by-name", "alice", "--yes"]);
    assert!(done(folder, &["user", "show", "alice"]).0.contains("carol"));
    done(folder, &["user", "delete", "carol", "--yes"]);
}

#[test]
fn a_session_is_ended_by_its_id() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let (_server, _) = dev(folder, &[]);
    let issue = ["token", "issue", "--subject", "alice", "--audience", "orders", "--refresh", "-o", "json"];
    let issued: Value = serde_json::from_str(&done(folder, &issue).0).unwrap();
    let sessions: Value = serde_json::from_str(&done(folder, &["session", "list", "-o", "json"]).0).unwrap();
    let session_id = sessions[0]["session_id"].as_str().unwrap();
    let (_, said) = done(folder, &["session", "end", session_id, "--reason", "laptop lost"]);
    assert!(said.starts_with(&format!("session {session_id} ended at 20")), "{said}");
    let token = issued["access_token"].as_str().unwrap();
    let refused = run(folder, &["token", "verify", "--audience", "orders", token]);
    assert!(stderr(&refused).contains("TOKEN_REVOKED"), "{}", stderr(&refused));
    let (json, _) = done(folder, &["session", "end", session_id, "-o", "json"]);
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap()["session_id"], session_id);
}

#[test]
fn an_unknown_or_unavailable_algorithm_fails_with_the_available_ones() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let (_server, _) = dev(folder, &[]);
    for arguments in [
        &["key", "create", "XS256"][..],
        &["key", "rotate", "--algorithm", "es256"],
        &["client", "create", "web", "--algorithm", "ES25"],
    ] {
        let said = run(folder, arguments);
        assert_eq!(said.status.code(), Some(1), "{arguments:?} {}", stderr(&said));
        assert!(
            stderr(&said).contains("algorithm: must be one of ES256, ES384, EdDSA, RS256"),
            "{}",
            stderr(&said)
        );
        assert_eq!(stderr(&said).matches("must be one of").count(), 1, "{}", stderr(&said));
    }
    let said = run(folder, &["key", "rotate", "--algorithm", "ES384"]);
    let wanted = "ES384 has no key to rotate and is not in the setting `algorithms`, which is ES256";
    assert!(said.status.code() == Some(1) && stderr(&said).contains(wanted), "{}", stderr(&said));
    // One that was made by hand can be.
    done(folder, &["key", "create", "ES384"]);
    done(folder, &["key", "rotate", "--algorithm", "ES384"]);
    done(folder, &["key", "rotate"]);
}
