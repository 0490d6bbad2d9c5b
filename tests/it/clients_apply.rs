//! `tokend client apply`: changes the server's clients to the state of a file, and prints the difference first.

use std::{fs, path::Path, process::Output};

use serde_json::Value;
use tempfile::TempDir;

use crate::process::{dev, dev_address, run, stderr, stdout, tokend};

const FILE: &str = r#"
[[client]]
client_id = "orders"
display_name = "Orders"
permissions.methods = ["TokenService/VerifyToken"]
permissions.verify_audiences = ["orders"]

[[client]]
client_id = "web"
default_audiences = ["orders"]
default_ttl = "5m"
limits.calls_per_second = 100

[client.authentication]
methods = ["client_secret", "mutual_tls", "private_key_jwt", "workload_identity"]
certificate.uris = ["spiffe://example.org/web"]
assertion_keys.jwks_file = "web.json"

[[client.authentication.workload_identities]]
issuer = "https://kubernetes.example"
audience = "tokend"
conditions = [{ claim = "sub", values = ["system:serviceaccount:shop:web"] }]

[client.permissions]
methods = ["TokenService/*"]
roles = ["viewer"]
audiences = ["orders", "billing-*"]
scopes = ["*"]
subjects = ["*"]
claims = ["tenant"]
claim_values = [{ claim = "tenant", values = ["acme"] }]
login_usernames = ["staff-*"]
max_ttl = "10m"
"#;

/// The difference while the clients do not exist.
const NEW: &str = r#"+ orders (new)
+ orders display_name: - -> Orders
+ orders permissions.methods: + TokenService/VerifyToken
+ orders permissions.verify_audiences: + orders
+ web (new)
+ web default_audiences: + orders
+ web default_ttl: 15m -> 5m
+ web authentication.methods: + mutual_tls, + private_key_jwt, + workload_identity
+ web authentication.certificate.uris: + spiffe://example.org/web
+ web authentication.assertion_keys.jwks_file: - -> web.json
+ web authentication.workload_identities: + {"audience":"tokend","conditions":[{"claim":"sub","values":["system:serviceaccount:shop:web"]}],"issuer":"https://kubernetes.example"}
+ web permissions.methods: + TokenService/*
+ web permissions.audiences: + orders, + billing-*
+ web permissions.scopes: + *
+ web permissions.subjects: + *
+ web permissions.claims: + tenant
+ web permissions.max_ttl: 1h -> 10m
+ web permissions.claim_values: + {"claim":"tenant","values":["acme"]}
+ web permissions.login_usernames: + staff-*
+ web permissions.roles: + viewer
+ web limits.calls_per_second: 0 -> 100
"#;

fn apply(folder: &Path, file: &str, arguments: &[&str]) -> Output {
    fs::write(folder.join("clients.toml"), file).unwrap();
    run(folder, &[&["client", "apply", "-f", "clients.toml"], arguments].concat())
}

fn json(output: &Output) -> Value {
    serde_json::from_str(stdout(output)).unwrap_or_else(|_| panic!("{}{}", stdout(output), stderr(output)))
}

fn ids(folder: &Path) -> Vec<String> {
    let list = json(&run(folder, &["client", "list", "-o", "json"]));
    list.as_array().unwrap().iter().map(|client| client["client_id"].as_str().unwrap().to_owned()).collect()
}

fn show(folder: &Path, client_id: &str) -> Value {
    json(&run(folder, &["client", "show", client_id, "-o", "json"]))
}

#[test]
fn a_second_apply_changes_nothing() {
    let folder = TempDir::new().unwrap();
    let (_server, _) = dev(folder.path(), &[]);
    let folder = folder.path();

    let planned = apply(folder, FILE, &["--dry-run"]);
    assert_eq!((planned.status.code(), stdout(&planned)), (Some(0), NEW.trim_end()));
    assert_eq!(ids(folder), ["dev"], "nothing was done");

    let applied = apply(folder, FILE, &[]);
    assert_eq!(applied.status.code(), Some(0), "{}", stderr(&applied));
    assert_eq!(stderr(&applied), NEW);
    let secrets: Vec<(&str, &str)> =
        stdout(&applied).lines().map(|line| line.split_once(' ').unwrap()).collect();
    assert_eq!(secrets.iter().map(|(id, _)| *id).collect::<Vec<_>>(), ["orders", "web"]);
    let issued = tokend(folder, &["token", "issue", "--claim", "tenant=acme"])
        .env("TOKEND_CLIENT_SECRET", secrets[1].1)
        .output()
        .unwrap();
    assert_eq!(issued.status.code(), Some(0), "{}", stderr(&issued));

    let web = show(folder, "web");
    assert_eq!(web["permissions"]["claim_values"][0]["values"][0], "acme");
    assert_eq!(web["authentication"]["assertion_keys"]["jwks_file"], "web.json");
    assert_eq!((&web["limits"]["calls_per_second"], &web["default_ttl"]), (&100.into(), &"5m".into()));

    for again in [apply(folder, FILE, &["--check"]), apply(folder, FILE, &["--dry-run"])] {
        assert_eq!((again.status.code(), stdout(&again)), (Some(0), "nothing to change"));
    }
    let again = apply(folder, FILE, &[]);
    assert_eq!((again.status.code(), stdout(&again), stderr(&again)), (Some(0), "", "nothing to change\n"));
    assert_eq!(show(folder, "web"), web);
}

#[test]
fn json_lists_the_fields_of_a_new_client() {
    let folder = TempDir::new().unwrap();
    let (_server, _) = dev(folder.path(), &[]);
    let folder = folder.path();
    let file = format!("{FILE}\n[[client]]\nclient_id = \"nothing\"\n");
    let planned = json(&apply(folder, &file, &["--dry-run", "-o", "json"]));
    let change = |id: &str| {
        planned["changes"]
            .as_array()
            .unwrap()
            .iter()
            .find(|change| change["client_id"] == id)
            .unwrap()
            .clone()
    };
    let field =
        |path: &str, from: Value, to: Value| serde_json::json!({ "path": path, "from": from, "to": to });
    let orders = change("orders");
    assert_eq!(orders["action"], "create");
    let expected = [
        field("display_name", "".into(), "Orders".into()),
        field("permissions.methods", Value::Array(vec![]), serde_json::json!(["TokenService/VerifyToken"])),
        field("permissions.verify_audiences", Value::Array(vec![]), serde_json::json!(["orders"])),
    ];
    assert_eq!(orders["fields"], Value::Array(expected.to_vec()));
    let web = change("web");
    let shorter = field("permissions.max_ttl", "1h".into(), "10m".into());
    assert!(web["fields"].as_array().unwrap().contains(&shorter), "{web}");
    assert_eq!(change("nothing")["fields"], serde_json::json!([]));
    // Each created client has the listed fields.
    let applied = json(&apply(folder, &file, &["-o", "json"]));
    assert_eq!(applied["changes"], planned["changes"]);
    for change in planned["changes"].as_array().unwrap() {
        let made = show(folder, change["client_id"].as_str().unwrap());
        for field in change["fields"].as_array().unwrap() {
            let path = format!("/{}", field["path"].as_str().unwrap().replace('.', "/"));
            assert_eq!(made.pointer(&path), Some(&field["to"]), "{path}");
        }
    }
}

#[test]
fn only_differing_fields_are_listed_and_changed() {
    let folder = TempDir::new().unwrap();
    let (_server, _) = dev(folder.path(), &[]);
    let folder = folder.path();
    assert_eq!(apply(folder, FILE, &[]).status.code(), Some(0));
    let before = show(folder, "orders");
    let changed = FILE
        .replace("\"orders\", \"billing-*\"", "\"shipping\", \"orders\"")
        .replace("\"acme\"", "\"acme-*\"")
        .replace("jwks_file = \"web.json\"", "jwks_file = \"next.json\"")
        .replace("default_ttl = \"5m\"\n", "disabled = true\n");
    let lines = "~ web disabled: false -> true\n\
                 ~ web default_ttl: 5m -> 10m\n\
                 ~ web authentication.assertion_keys.jwks_file: web.json -> next.json\n\
                 ~ web permissions.audiences: + shipping, - billing-*\n\
                 ~ web permissions.claim_values: + {\"claim\":\"tenant\",\"values\":[\"acme-*\"]}, \
                 - {\"claim\":\"tenant\",\"values\":[\"acme\"]}";
    let planned = apply(folder, &changed, &["--check"]);
    assert_eq!((planned.status.code(), stdout(&planned)), (Some(1), lines));
    let applied = apply(folder, &changed, &["-o", "json"]);
    assert_eq!(applied.status.code(), Some(0), "{}", stderr(&applied));
    let document = json(&applied);
    assert_eq!(document["client_secrets"], serde_json::json!([]));
    let change = &document["changes"][0];
    assert_eq!((&change["client_id"], &change["action"]), (&"web".into(), &"update".into()));
    let audiences = serde_json::json!({
        "path": "permissions.audiences", "from": ["orders", "billing-*"], "to": ["shipping", "orders"]
    });
    assert!(change["fields"].as_array().unwrap().contains(&audiences), "{change}");
    let web = show(folder, "web");
    assert_eq!((&web["disabled"], &web["default_ttl"]), (&true.into(), &"10m".into()));
    assert_eq!(show(folder, "orders"), before);
    let again = apply(folder, &changed, &["--check"]);
    assert_eq!((again.status.code(), stdout(&again)), (Some(0), "nothing to change"));
}

#[test]
fn an_invalid_file_changes_nothing_and_all_problems_are_listed() {
    let folder = TempDir::new().unwrap();
    let (_server, _) = dev(folder.path(), &[]);
    let folder = folder.path();
    let broken = r#"
clients = []
[[client]]
client_id = "good"
[[client]]
client_id = "orders"
permission.methods = ["TokenService/*"]
default_ttl = 5
permissions.audience = ["orders"]
permissions.scopes = ["a*b"]
permissions.roles = ["root"]
authentication.methods = ["password"]
[[client]]
client_id = "orders"
disabled = "no"
authentication.certificate.uris = ["orders"]
[[client]]
display_name = "nobody"
[[client]]
client_id = "Web"
"#;
    let refused = apply(folder, broken, &[]);
    assert_eq!((refused.status.code(), stdout(&refused)), (Some(2), ""));
    let told = stderr(&refused);
    for line in [
        "clients: unknown key",
        "client `orders`: default_ttl: must be a duration in quotes",
        "client `orders`: permissions.audience: unknown key; did you mean `audiences`?",
        "client `orders`: permission: unknown key; did you mean `permissions`?",
        "client `orders`: permissions.scopes[0]: may hold `*` only as its last character",
        "client `orders`: permissions.roles[0]: must be one of viewer",
        "client `orders`: authentication.methods[0]: must be CLIENT_SECRET",
        "client `orders`: disabled: must be true or false",
        "client `orders`: authentication.certificate.uris[0]: must be an absolute URI",
        "client `orders`: authentication.certificate: must not be given unless `MUTUAL_TLS`",
        "client `orders`: appears twice in the file",
        "client 4: client_id: must be given",
        "client `Web`: client_id: must be 1 to 63 characters",
    ] {
        assert!(told.lines().any(|found| found.starts_with(line)), "{line}\n{told}");
    }
    assert!(!told.contains("`good`"), "{told}");
    assert_eq!(ids(folder), ["dev"]);

    let unreadable = apply(folder, "[[client]]\nclient_id = \"a\"\nsecret = \"tkd_", &[]);
    assert_eq!(unreadable.status.code(), Some(2));
    assert!(stderr(&unreadable).contains("clients.toml: line 3: "), "{}", stderr(&unreadable));
    assert!(!stderr(&unreadable).contains("tkd_"), "{}", stderr(&unreadable));
    let missing = run(folder, &["client", "apply", "-f", "none.toml"]);
    assert!(missing.status.code() == Some(2) && stderr(&missing).contains("none.toml: cannot be read"));
}

#[test]
fn prune_deletes_clients_that_are_not_in_the_file_except_for_the_caller() {
    let folder = TempDir::new().unwrap();
    let (_server, _) = dev(folder.path(), &[]);
    let folder = folder.path();
    for id in ["old", "precious"] {
        assert_eq!(run(folder, &["client", "create", id]).status.code(), Some(0));
    }
    assert_eq!(apply(folder, FILE, &[]).status.code(), Some(0));
    assert_eq!(ids(folder), ["dev", "old", "orders", "precious", "web"]);
    let planned = apply(folder, FILE, &["--prune", "--keep", "precious", "--dry-run"]);
    assert_eq!((planned.status.code(), stdout(&planned)), (Some(0), "- old"));
    let pruned = apply(folder, FILE, &["--prune", "--keep", "precious"]);
    assert_eq!((pruned.status.code(), stderr(&pruned)), (Some(0), "- old\n"));
    assert_eq!(ids(folder), ["dev", "orders", "precious", "web"]);
    // What would delete everything is more likely a mistake, and so is a client to keep that there is none of.
    for (text, more, problem) in [
        ("[[client]]\nclient_id = \"\"\n", &[][..], "client 1: client_id: must not be empty"),
        ("", &["--prune"], "has no client"),
        (FILE, &["--prune", "--keep", "precius"], "--keep: there is no client `precius`"),
        (FILE, &["--prune", "--caller", "web"], "--caller: the credential is that of `dev`"),
    ] {
        let refused = apply(folder, text, more);
        assert_eq!(refused.status.code(), Some(2), "{}", stderr(&refused));
        assert!(stderr(&refused).contains(problem), "{}", stderr(&refused));
    }
    assert_eq!(ids(folder), ["dev", "orders", "precious", "web"]);
    let one = apply(folder, "[[client]]\nclient_id = \"web\"\n", &["--prune"]);
    assert_eq!(one.status.code(), Some(0), "{}", stderr(&one));
    assert_eq!(ids(folder), ["dev", "web"]);
}

#[test]
fn prune_needs_the_id_of_the_caller() {
    let folder = TempDir::new().unwrap();
    let (_server, lines) = dev(folder.path(), &["--secret", "dev-secret"]);
    let folder = folder.path();
    let addr =
        lines.iter().find_map(|line| Some(line.split_once("127.0.0.1:")?.1.split(' ').next()?.to_owned()));
    let addr = format!("127.0.0.1:{}", addr.unwrap());
    fs::write(folder.join("clients.toml"), "[[client]]\nclient_id = \"web\"\n").unwrap();
    let prune = |arguments: &[&str]| {
        let all =
            [&["client", "apply", "-f", "clients.toml", "--prune", "--addr", &addr], arguments].concat();
        tokend(folder, &all).env("TOKEND_CLIENT_SECRET", "dev-secret").output().unwrap()
    };
    // --keep does not name the caller.
    for arguments in [&[][..], &["--keep", "dev"]] {
        let refused = prune(arguments);
        assert_eq!(refused.status.code(), Some(2), "{}", stderr(&refused));
        assert!(stderr(&refused).contains("--caller"), "{}", stderr(&refused));
    }
    let kept = prune(&["--caller", "dev"]);
    assert_eq!((kept.status.code(), stderr(&kept)), (Some(0), "+ web (new)\n"));
}

#[test]
fn secrets_are_never_lost() {
    let folder = TempDir::new().unwrap();
    let (_server, _) = dev(folder.path(), &[]);
    let folder = folder.path();
    let clients = |names: &[&str]| -> String {
        names.iter().map(|name| format!("[[client]]\nclient_id = \"{name}\"\n")).collect()
    };
    let applied = apply(folder, &clients(&["a", "b"]), &["--secrets-dir", "secrets"]);
    assert_eq!((applied.status.code(), stdout(&applied)), (Some(0), ""), "{}", stderr(&applied));
    for name in ["a", "b"] {
        let path = folder.join("secrets").join(name);
        assert!(fs::read_to_string(&path).unwrap().starts_with(&format!("tkd_{name}_")));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }
    // A file that is there stops everything before it begins.
    fs::write(folder.join("secrets/d"), "old").unwrap();
    let refused = apply(folder, &clients(&["c", "d"]), &["--secrets-dir", "secrets"]);
    assert!(
        refused.status.code() == Some(1) && stderr(&refused).contains("secrets/d"),
        "{}",
        stderr(&refused)
    );
    assert_eq!(ids(folder), ["a", "b", "dev"]);
}

#[test]
fn created_clients_are_printed_after_a_failure() {
    let folder = TempDir::new().unwrap();
    let (_server, _) = dev(folder.path(), &[]);
    let folder = folder.path();
    // May register clients, and not change them.
    let maker = run(
        folder,
        &[
            "client",
            "create",
            "maker",
            "--method",
            "ClientService/CreateClient",
            "--method",
            "ClientService/ListClients",
            "--admin-client",
            "*",
        ],
    );
    assert_eq!(run(folder, &["client", "create", "zoo"]).status.code(), Some(0));
    let file = "[[client]]\nclient_id = \"one\"\n[[client]]\nclient_id = \"zoo\"\ndisplay_name = \"Zoo\"\n";
    fs::write(folder.join("clients.toml"), file).unwrap();
    let as_maker = |arguments: &[&str]| {
        let addr = dev_address(folder);
        let all = [&["client", "apply", "-f", "clients.toml", "--addr", &addr], arguments].concat();
        tokend(folder, &all).env("TOKEND_CLIENT_SECRET", stdout(&maker)).output().unwrap()
    };
    let failed = as_maker(&[]);
    assert_eq!(failed.status.code(), Some(1));
    assert!(stdout(&failed).starts_with("one tkd_one_"), "{}", stdout(&failed));
    let told = "error: after 1 of 2 clients: client `zoo`: METHOD_NOT_ALLOWED: ";
    assert!(stderr(&failed).contains(told), "{}", stderr(&failed));
    let file = format!("[[client]]\nclient_id = \"two\"\n{file}");
    fs::write(folder.join("clients.toml"), file).unwrap();
    let failed = as_maker(&["-o", "json"]);
    assert_eq!(failed.status.code(), Some(1));
    let document = json(&failed);
    assert_eq!(document["client_secrets"][0]["client_id"], "two");
    assert_eq!(document["changes"].as_array().unwrap().len(), 1);
}
