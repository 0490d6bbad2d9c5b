//! Settings as people write them: paths beside the file, names with a slip, and what Kubernetes puts beside them.

use std::{ffi::OsString, fs};

use tempfile::TempDir;
use tokend::{config::Inputs, store::Location};

use crate::config::Given;

fn variables(pairs: &[(&str, &str)]) -> std::collections::HashMap<OsString, OsString> {
    pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
}

#[test]
fn relative_paths_in_a_file_start_from_its_folder() {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    fs::write(at("key"), "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\n").unwrap();
    let text = "issuer = \"https://id.example.com\"\nstore = \"sqlite:tokend.db\"\nsealing_key_file = \"key\"\n\
                tls_cert_file = \"tls/tls.crt\"\ntls_key_file = \"/etc/tls.key\"\n";
    fs::write(at("tokend.toml"), text).unwrap();
    let inputs = Inputs { file: Some(at("tokend.toml").into()), ..Inputs::default() };
    let resolved = inputs.resolve();
    assert_eq!(resolved.text("tls_cert_file").unwrap(), at("tls/tls.crt"));
    assert_eq!(resolved.text("tls_key_file").unwrap(), "/etc/tls.key");
    // The secret was found beside the file.
    let config = resolved.config().unwrap();
    let store = config.settings.store;
    let Location::Sqlite(path) = store else { panic!("{store:?}") };
    assert_eq!(path.display().to_string(), at("tokend.db"));
    // What is no path stays as it is, and so does what a flag or a variable says.
    for (given, kept) in [
        ("sqlite://x/t.db", format!("sqlite:{}", at("x/t.db"))),
        ("postgres://h/d", "postgres://h/d".to_owned()),
        ("sqlite:", "sqlite:".to_owned()),
        ("sqlite::memory:", "sqlite::memory:".to_owned()),
    ] {
        fs::write(at("tokend.toml"), format!("store = \"{given}\"\n")).unwrap();
        let resolved = Inputs { file: Some(at("tokend.toml").into()), ..Inputs::default() }.resolve();
        assert_eq!(resolved.text("store").unwrap(), kept, "{given}");
    }
    let variables = variables(&[("TOKEND_STORE", "sqlite:other.db"), ("TOKEND_AUDIT_FILE", "audit.jsonl")]);
    let resolved = Inputs { variables, file: Some(at("tokend.toml").into()), ..Inputs::default() }.resolve();
    assert_eq!(
        (resolved.text("store"), resolved.text("audit_file")),
        (Some("sqlite:other.db"), Some("audit.jsonl"))
    );
}

#[test]
fn a_misspelt_variable_is_warned_of_and_those_of_kubernetes_are_not() {
    let inputs = Inputs {
        variables: variables(&[
            ("TOKEND_ISUER", "https://id.example.com"),
            ("TOKEND_SEALING_KEY_FIEL", "/run/key"),
            ("tokend_store", "sqlite:x"),
            ("TOKEND_COLOUR", "red"),
            // Known.
            ("TOKEND_ISSUER", "https://id.example.com"),
            ("TOKEND_SEALING_KEY_FILE", "/nowhere"),
            ("TOKEND_CONFIG", "x"),
            ("TOKEND_ADDR", "x"),
            ("TOKENDER", "x"),
            ("MY_TOKEND_ISUER", "x"),
            // A Service named tokend, one named tokend-grpc.
            ("TOKEND_PORT", "tcp://10.0.0.1:50051"),
            ("TOKEND_SERVICE_HOST", "10.0.0.1"),
            ("TOKEND_SERVICE_PORT", "50051"),
            ("TOKEND_SERVICE_PORT_GRPC", "50051"),
            ("TOKEND_PORT_50051_TCP", "tcp://10.0.0.1:50051"),
            ("TOKEND_PORT_50051_TCP_ADDR", "10.0.0.1"),
            ("TOKEND_PORT_50051_TCP_PROTO", "tcp"),
            ("TOKEND_GRPC_SERVICE_HOST", "10.0.0.1"),
            ("TOKEND_GRPC_PORT", "udp://10.0.0.1:50051"),
            ("TOKEND_GRPC_PORT_50051_UDP_PORT", "50051"),
        ]),
        ..Inputs::default()
    };
    assert_eq!(
        inputs.resolve().warnings(),
        [
            "the variable TOKEND_COLOUR sets nothing: there is no such setting",
            "the variable TOKEND_ISUER sets nothing; did you mean TOKEND_ISSUER?",
            "the variable TOKEND_SEALING_KEY_FIEL sets nothing; did you mean TOKEND_SEALING_KEY_FILE?",
            "the variable tokend_store sets nothing; did you mean TOKEND_STORE?",
        ]
    );
}

#[test]
fn a_file_that_cannot_be_read_is_one_problem() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("tokend.toml");
    for text in ["issuer = https://id.example.com\n", "[[[\n", "issuer = \"a\"\nissuer = \"b\"\n"] {
        fs::write(&path, text).unwrap();
        let problems =
            Inputs { file: Some(path.clone()), ..Inputs::default() }.resolve().config().err().unwrap();
        let problems: Vec<&str> = problems.iter().collect();
        assert_eq!(problems.len(), 1, "{problems:#?}");
        assert!(problems[0].contains("tokend.toml, line "), "{problems:#?}");
    }
    let inputs = Inputs { file: Some(folder.path().join("none.toml")), ..Inputs::default() };
    assert_eq!(inputs.resolve().config().err().unwrap().iter().count(), 1);
    // A key that is wrong hides nothing that is missing.
    fs::write(&path, "isuer = \"https://id.example.com\"\n").unwrap();
    let problems = Inputs { file: Some(path), ..Inputs::default() }.resolve().config().err().unwrap();
    assert!(problems.iter().any(|problem| problem.contains("did you mean `issuer`?")));
    assert!(problems.iter().any(|problem| problem.starts_with("issuer is missing")));
}

#[test]
fn an_unknown_algorithm_fails_with_the_known_ones() {
    for name in ["XS256", "es256", "none", "HS1"] {
        let flags = [("algorithms", format!("ES256,{name}"))].into();
        let problems = Inputs { flags, ..Inputs::default() }.resolve().config().err().unwrap();
        let problem = problems.iter().find(|problem| problem.starts_with("algorithms")).unwrap().to_owned();
        assert!(
            problem.contains(name) && problem.contains("is none of ES256, ES384, EdDSA, RS256"),
            "{problem}"
        );
    }
}

#[test]
fn secrets_cross_no_network_in_plaintext() {
    let tls = || {
        let given = Given::sound().variable("TOKEND_ALLOW_PLAINTEXT", "").flag("oauth_endpoints", "true");
        given.flag("tls_cert_file", "c.pem").flag("tls_key_file", "k.pem").flag("http_addr", "0.0.0.0:8080")
    };
    let problem = tls().problem();
    assert!(
        problem.starts_with("oauth_endpoints: needs http_tls, because http_addr is no loopback"),
        "{problem}"
    );
    let served = |given: Given| given.resolve().config().unwrap().settings.discovery.oauth.is_some();
    assert!(served(tls().flag("http_tls", "true")));
    assert!(served(tls().flag("http_addr", "127.0.0.1:8080")));
    assert!(served(Given::sound().flag("oauth_endpoints", "true").flag("http_addr", "0.0.0.0:8080")));
    assert!(!served(Given::sound()));
}

const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

/// The problems of complete settings, with this value of one setting.
fn problems_with(name: &str, value: &str) -> Vec<String> {
    let mut variables = variables(&[
        ("TOKEND_ISSUER", "https://id.example.com"),
        ("TOKEND_STORE", "sqlite:tokend.db"),
        ("TOKEND_SEALING_KEY", KEY),
        ("TOKEND_ALLOW_PLAINTEXT", "true"),
    ]);
    variables.insert(name.into(), value.into());
    let read = Inputs { variables, ..Inputs::default() }.resolve().config();
    read.err().map(|problems| problems.iter().map(str::to_owned).collect()).unwrap_or_default()
}

#[test]
fn a_value_with_a_line_end_or_a_blank_at_an_end_is_refused_once() {
    for setting in tokend::config::settings() {
        for (value, problem) in [
            ("x\r", "the value ends with a line end; remove it"),
            ("x\n", "the value ends with a line end; remove it"),
            (" x", "the value begins with a blank; remove it"),
            ("x\t", "the value ends with the character \\u{9}; remove it"),
            ("\u{feff}x", "the value begins with the character \\u{feff}; remove it"),
            ("\u{a0}x", "the value begins with the character \\u{a0}; remove it"),
        ] {
            // The line end after a secret may be that of a file.
            if setting.is_secret() && value.ends_with(['\r', '\n']) {
                continue;
            }
            let variable = setting.variable();
            let found = problems_with(&variable, value);
            let wanted = format!("{}: {problem} (variable {variable})", setting.name);
            assert_eq!(found.iter().filter(|found| **found == wanted).count(), 1, "{wanted}: {found:#?}");
        }
    }
    // Without the blank, these are valid: there is nothing else to report.
    for (name, value) in [
        ("TOKEND_STORE", "sqlite:/x/a.db\r"),
        ("TOKEND_STORE", "sqlite: /x/a.db"),
        ("TOKEND_ISSUER", " https://id.example.com"),
        ("TOKEND_LEEWAY", "1s\r\n"),
        ("TOKEND_GRPC_ADDR", "127.0.0.1:1 "),
        ("TOKEND_ALLOW_PLAINTEXT", "true\r"),
        ("TOKEND_MAX_CONNECTIONS", " 5"),
        ("TOKEND_ALGORITHMS", "ES256,RS256\r"),
        ("TOKEND_SEALING_KEY", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8 \n"),
        ("TOKEND_STORE", "sqlite:/x/a\nb.db"),
    ] {
        let found = problems_with(name, value);
        assert!(found.len() == 1 && found[0].contains(": the value "), "{name} {value:?}: {found:#?}");
    }
    assert_eq!(problems_with("TOKEND_ALGORITHMS", "ES256, RS256"), Vec::<String>::new());
    // A variable is often made from the file of a secret.
    assert_eq!(problems_with("TOKEND_SEALING_KEY", &format!("{KEY}\r\n")), Vec::<String>::new());
}

#[test]
fn flags_and_files_follow_the_same_rule_and_secrets_in_files_may_end_in_line_ends() {
    let folder = TempDir::new().unwrap();
    let at = |name: &str, content: &str| {
        fs::write(folder.path().join(name), content).unwrap();
        folder.path().join(name).display().to_string()
    };
    let rest = "issuer = \"https://id.example.com\"\nallow_plaintext = true\n";
    let problems = |text: String, flags: &[(&'static str, &str)]| {
        let file = Some(at("tokend.toml", &format!("{rest}{text}")).into());
        let flags = flags.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        let read = Inputs { file, flags, ..Inputs::default() }.resolve().config();
        read.err().map(|problems| problems.to_string()).unwrap_or_default()
    };
    let key = format!("sealing_key_file = \"{}\"\n", at("key", &format!("{KEY}\r\n")));
    let store = at("store", "sqlite:/x/a.db\n");
    let good = format!("{key}store_file = \"{store}\"\n");
    assert_eq!(problems(good.clone(), &[]), "");
    let found = problems(format!("{key}store = \"sqlite:/x/a.db\\r\"\n"), &[]);
    assert!(found.starts_with("store: the value ends with a line end; remove it (key store in "), "{found}");
    let found = problems(format!("{key}store = \"sqlite: a.db\"\n"), &[]);
    assert!(found.starts_with("store: the value begins with a blank"), "{found}");
    let found = problems(format!("{good}audit_file = \"\"\"\n/x\n\"\"\"\naudit_sinks = [\"file\"]\n"), &[]);
    assert!(found.starts_with("audit_file: the value ends with a line end"), "{found}");
    let found = problems(good.clone(), &[("jwks_uri", "https://a.example ")]);
    assert_eq!(found, "jwks_uri: the value ends with a blank; remove it (flag --jwks-uri)");
    at("store", "sqlite:/x/a.db \n");
    let found = problems(good.clone(), &[]);
    assert!(found.starts_with(&format!("store_file: {store}: the value ends with a blank")), "{found}");
    at("store", "sqlite:/x/a.db\n");
    at("key", &format!("{KEY} \n"));
    let found = problems(good, &[]);
    assert!(found.contains("key: the value ends with a blank; remove it") && !found.contains(KEY), "{found}");
}
