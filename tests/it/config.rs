//! Settings: precedence, refusals, secrets, and what documentation says about them.
use std::{collections::HashSet, fs, path::PathBuf};

use tempfile::TempDir;
use tokend::{
    config::{Inputs, Kind, Origin, Problems, Resolved, markdown_table, settings},
    listen::{ClientAuth, TlsFiles},
    model::Algorithm,
};

const SEALING_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

/// Flags, variables and a file that make a sound configuration together with what a test adds.
pub struct Given {
    inputs: Inputs,
    folder: TempDir,
}

impl Given {
    fn nothing() -> Self {
        Self { inputs: Inputs::default(), folder: TempDir::new().unwrap() }
    }

    pub fn sound() -> Self {
        Self::nothing()
            .variable("TOKEND_ISSUER", "https://id.example.com")
            .variable("TOKEND_STORE", "sqlite:tokend.db")
            .variable("TOKEND_SEALING_KEY", SEALING_KEY)
            .variable("TOKEND_ALLOW_PLAINTEXT", "true")
    }

    pub fn flag(mut self, name: &'static str, value: &str) -> Self {
        self.inputs.flags.insert(name, value.to_owned());
        self
    }

    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.inputs.variables.insert(name.into(), value.into());
        self
    }

    fn toml(mut self, text: &str) -> Self {
        let path = self.path("tokend.toml");
        fs::write(&path, text).unwrap();
        self.inputs.file = Some(path);
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn file(&self, name: &str, content: &str) -> String {
        let path = self.path(name);
        fs::write(&path, content).unwrap();
        path.display().to_string()
    }

    pub fn resolve(&self) -> Resolved {
        self.inputs.resolve()
    }

    fn problems(&self) -> Vec<String> {
        self.resolve().config().err().unwrap_or_default().iter().map(str::to_owned).collect()
    }

    /// The one problem that there is.
    pub fn problem(&self) -> String {
        let problems = self.problems();
        assert_eq!(problems.len(), 1, "{problems:#?}");
        problems[0].clone()
    }

    fn shown(&self, name: &str) -> (Option<String>, Origin) {
        let shown = self.resolve().shown().into_iter().find(|shown| shown.name == name).unwrap();
        (shown.value, shown.origin)
    }
}

#[test]
fn settings_have_defaults() {
    let config = Given::sound().resolve().config().unwrap();
    assert_eq!(config.settings.discovery.issuer, "https://id.example.com");
    assert_eq!(config.settings.discovery.jwks_uri, "https://id.example.com/.well-known/jwks.json");
    assert_eq!(config.settings.keys.algorithms, [Algorithm::Es256]);
    assert_eq!(config.grpc_addr.to_string(), "127.0.0.1:50051");
    assert_eq!(config.http_addr.to_string(), "127.0.0.1:8080");
    assert!(config.settings.tls.is_none());
    assert_eq!(config.settings.verify.max_token_bytes, 8192);
    assert_eq!(config.settings.verify.leeway.as_secs(), 0);
    assert_eq!(config.settings.keys.jwks_max_age.as_secs(), 300);
    assert_eq!(config.settings.keys.sealing.local[0].to_text().as_str(), SEALING_KEY);
    assert!(config.settings.keys.shared_secret.is_none());
}

#[test]
fn flag_beats_variable_beats_file_beats_default() {
    let given = Given::sound();
    assert_eq!(given.shown("leeway"), (Some("0s".to_owned()), Origin::Default));
    let given = given.toml("# a comment\nleeway = \"1s\"\n");
    let file = given.path("tokend.toml");
    let from_file = Origin::Key { key: "leeway".to_owned(), file, line: 2 };
    assert_eq!(given.shown("leeway"), (Some("1s".to_owned()), from_file));
    let given = given.variable("TOKEND_LEEWAY", "2s");
    assert_eq!(given.shown("leeway"), (Some("2s".to_owned()), Origin::Variable("TOKEND_LEEWAY".to_owned())));
    let given = given.flag("leeway", "3s");
    assert_eq!(given.shown("leeway"), (Some("3s".to_owned()), Origin::Flag("leeway".to_owned())));
    assert_eq!(given.resolve().config().unwrap().settings.verify.leeway.as_secs(), 3);
}

#[test]
fn an_empty_variable_counts_as_not_set() {
    let given = Given::sound().toml("leeway = \"1s\"\n").variable("TOKEND_LEEWAY", "");
    assert_eq!(given.resolve().config().unwrap().settings.verify.leeway.as_secs(), 1);
    assert!(Given::sound().variable("TOKEND_ISSUER", "").problem().starts_with("issuer is missing"));
}

#[test]
fn variables_that_name_no_setting_are_passed_over() {
    let given = Given::sound()
        .variable("TOKEND_SERVICE_HOST", "10.0.0.1")
        .variable("TOKEND_PORT", "tcp://10.0.0.1:50051")
        .variable("TOKEND_PORT_50051_TCP_ADDR", "10.0.0.1");
    assert!(given.resolve().config().is_ok());
    for setting in settings() {
        assert!(
            !setting.name.starts_with("port") && !setting.name.starts_with("service_"),
            "{}",
            setting.name
        );
    }
}

#[test]
fn every_toml_type_is_read() {
    let text = "algorithms = [\"EdDSA\", \"ES256\"]\nallow_plaintext = true\nmax_token_bytes = 4_096\ncache_ttl = \"1m\"\n";
    let config = Given::sound().variable("TOKEND_ALLOW_PLAINTEXT", "").toml(text).resolve().config().unwrap();
    assert_eq!(config.settings.keys.algorithms, [Algorithm::EdDsa, Algorithm::Es256]);
    assert_eq!(config.settings.verify.max_token_bytes, 4096);
    assert_eq!(config.settings.verify.cache_ttl.as_secs(), 60);
    let config = Given::sound().toml("algorithms = \"RS256, PS512\"\n").resolve().config().unwrap();
    assert_eq!(config.settings.keys.algorithms, [Algorithm::Rs256, Algorithm::Ps512]);
}

#[test]
fn everything_missing_is_reported_at_once() {
    let problems = Given::nothing().problems();
    assert_eq!(problems.len(), 4, "{problems:#?}");
    let all = problems.join("\n");
    for name in ["issuer", "store", "tls_cert_file", "tls_key_file", "allow_plaintext"] {
        let (flag, variable) =
            (format!("--{}", name.replace('_', "-")), format!("TOKEND_{}", name.to_uppercase()));
        assert!(all.contains(&format!("flag {flag}, variable {variable} or key {name}")), "{name}: {all}");
    }
    for name in
        ["--sealing-key-file", "TOKEND_SEALING_KEY,", "TOKEND_SEALING_KEY_FILE", "key sealing_key_file"]
    {
        assert!(all.contains(name), "{name}: {all}");
    }
    assert!(!all.contains("flag --sealing-key,"), "no flag may take a secret: {all}");
}

#[test]
fn an_unknown_key_is_named_with_its_line_and_its_neighbour() {
    let problem = Given::sound().toml("leeway = \"1s\"\nisuer = \"https://a\"\n").problem();
    assert!(
        problem.contains("tokend.toml, line 2: unknown key `isuer`; did you mean `issuer`?"),
        "{problem}"
    );
    assert!(Given::sound().toml("colour = 1\n").problem().ends_with("unknown key `colour`"));
    let problem = Given::sound().toml("[server]\nleeway = \"1s\"\n").problem();
    assert!(problem.contains("unknown key `server`"), "{problem}");
}

#[test]
fn a_broken_file_is_not_quoted() {
    let problem = Given::sound().toml("leeway = \"1s\"\nsealing_key = hunter2hunter2\n").problem();
    assert!(problem.contains("line 2"), "{problem}");
    assert!(!problem.contains("hunter2"), "{problem}");
    let problem = Given::sound().toml("sealing_key = \"hunter2hunter2\"\n").problem();
    assert!(problem.contains("`sealing_key_file`") && !problem.contains("hunter2"), "{problem}");
    let mut given = Given::sound();
    given.inputs.file = Some(given.path("absent.toml"));
    assert!(given.problem().contains("absent.toml cannot be read"));
}

#[test]
fn a_wrong_value_names_the_setting_and_its_source() {
    let cases = [
        (Given::sound().flag("leeway", "soon"), "leeway: `soon` is not a duration", "(flag --leeway)"),
        (
            Given::sound().variable("TOKEND_LEEWAY", "1"),
            "leeway: `1` is not a duration",
            "(variable TOKEND_LEEWAY)",
        ),
        (Given::sound().variable("TOKEND_LEEWAY", "1500ms"), "leeway: `1500ms` is not of whole seconds", ""),
        (Given::sound().flag("leeway", "2m"), "leeway: is larger than max_leeway", "(flag --leeway)"),
        (
            Given::sound().toml("max_token_bytes = \"8192\"\n"),
            "max_token_bytes: must be a whole number",
            "line 1)",
        ),
        (
            Given::sound().toml("cache_ttl = 30\n"),
            "cache_ttl: must be a duration in quotes",
            "(key cache_ttl in ",
        ),
        (Given::sound().toml("allow_plaintext = \"yes\"\n"), "allow_plaintext: must be true or false", ""),
        (Given::sound().toml("algorithms = [1]\n"), "algorithms: must be a list of quoted texts", ""),
        (Given::sound().flag("max_concurrent_streams", "1025"), "is not a whole number from 1 to 1024", ""),
        (Given::sound().flag("max_connections", "-1"), "max_connections: `-1`", ""),
        (Given::sound().flag("max_connections", "99999999999999999999"), "max_connections: `9999", ""),
        (
            Given::sound().flag("request_timeout", "0s"),
            "request_timeout: `0s` is not between 100ms and 10m",
            "",
        ),
        (Given::sound().flag("keepalive_interval", "999999999999999999999years"), "keepalive_interval", ""),
        (
            Given::sound().flag("grpc_addr", "localhost:1"),
            "grpc_addr: `localhost:1` is not an IP address",
            "",
        ),
        (
            Given::sound().flag("http_addr", "127.0.0.1:50051"),
            "http_addr: is the address of grpc_addr too",
            "",
        ),
        (Given::sound().flag("allow_plaintext", "maybe"), "allow_plaintext: `maybe` is neither", ""),
        (Given::sound().flag("algorithms", "ES256,es384"), "algorithms: `es384` is none of ES256", ""),
        (Given::sound().flag("algorithms", "ES256,ES256"), "algorithms: ES256 is there twice", ""),
        (Given::sound().flag("log", "tokend=loud"), "log: ", "(flag --log)"),
        (Given::sound().flag("log_format", "xml"), "log_format: `xml`: must be auto, text or json", ""),
        (
            Given::sound().flag("max_token_bytes", "1000000").flag("max_message_bytes", "5000"),
            "max_token_bytes: is larger",
            "",
        ),
        (
            Given::sound().flag("issuer", "https://a.example/"),
            "issuer: `https://a.example/` must not end in a slash",
            "",
        ),
        (Given::sound().flag("jwks_uri", "ftp://a"), "jwks_uri: `ftp://a` must start with https://", ""),
        (Given::sound().flag("store", "memory"), "store: `memory` would lose every key", ""),
    ];
    for (given, start, end) in cases {
        let problem = given.problem();
        assert!(problem.contains(start) && problem.contains(end), "{start} … {end}: {problem}");
    }
}

#[test]
fn tls_is_whole_or_off() {
    let tls = || Given::sound().variable("TOKEND_ALLOW_PLAINTEXT", "");
    let given = tls().flag("tls_cert_file", "c.pem").flag("tls_key_file", "k.pem");
    let settings = given.resolve().config().unwrap().settings;
    let files = TlsFiles {
        certificate: "c.pem".into(),
        key: "k.pem".into(),
        client_ca: None,
        client_auth: ClientAuth::Optional,
        client_certificates_on_http: false,
    };
    assert_eq!((settings.tls, settings.serving.http_tls), (Some(files), false));
    assert!(tls().flag("tls_cert_file", "c.pem").problem().starts_with("tls_key_file is missing"));
    assert!(tls().flag("tls_key_file", "k.pem").problem().starts_with("tls_cert_file is missing"));
    let both = Given::sound().flag("tls_cert_file", "c.pem").flag("tls_key_file", "k.pem").problem();
    assert!(both.starts_with("allow_plaintext: given together with TLS files"), "{both}");
    let plain =
        tls().flag("tls_cert_file", "c.pem").flag("tls_key_file", "k.pem").flag("issuer", "http://a.example");
    assert!(plain.problem().starts_with("issuer: `http://a.example` must start with https://"));
}

#[test]
fn a_secret_comes_from_a_variable_or_a_file_and_never_both() {
    let given = Given::sound();
    let path = given.file("sealing.key", &format!("{SEALING_KEY}\n"));
    let both = Given::sound().variable("TOKEND_SEALING_KEY_FILE", &path).problem();
    assert!(both.contains("TOKEND_SEALING_KEY and by variable TOKEND_SEALING_KEY_FILE"), "{both}");
    let from_file = given.variable("TOKEND_SEALING_KEY", "").flag("sealing_key", &path);
    let sealing = from_file.resolve().config().unwrap().settings.keys.sealing;
    assert_eq!(sealing.local[0].to_text().as_str(), SEALING_KEY);
    assert_eq!(from_file.shown("sealing_key").1, Origin::Flag("sealing-key-file".to_owned()));
    let absent = Given::sound()
        .variable("TOKEND_SEALING_KEY", "")
        .toml("sealing_key_file = \"/nowhere/key\"\n")
        .problem();
    assert!(
        absent.starts_with("sealing_key: /nowhere/key cannot be read") && absent.contains("line 1)"),
        "{absent}"
    );
    let empty = from_file.file("empty.key", "\n");
    let given = Given::sound().variable("TOKEND_SEALING_KEY", "").variable("TOKEND_SEALING_KEY_FILE", &empty);
    assert!(given.problem().contains("empty.key is empty"));
}

#[test]
fn a_store_comes_from_its_setting_or_a_file_and_never_both() {
    let url = "postgres://tokend:hunter2@db.internal/tokend";
    let without = || Given::sound().variable("TOKEND_STORE", "");
    let folder = TempDir::new().unwrap();
    let file = |name: &str, content: &str| {
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        path.display().to_string()
    };
    let path = file("store", &format!("{url}\n"));
    let key = format!("store_file = \"{path}\"\n");
    for given in [
        without().variable("TOKEND_STORE_FILE", &path),
        without().flag("store_file", &path),
        without().toml(&key),
    ] {
        let config = given.resolve().config().unwrap();
        assert_eq!(config.settings.store.to_string(), "postgres://db.internal:5432/tokend");
        assert!(!format!("{config:?} {:?}", given.resolve()).contains("hunter2"));
        assert_eq!(given.shown("store_file").0, Some(path.clone()));
    }
    let both = Given::sound().variable("TOKEND_STORE_FILE", &path).problem();
    assert_eq!(both, "store_file: given together with store: remove one (variable TOKEND_STORE_FILE)");
    assert!(
        without().toml(&key).flag("store", "sqlite:t.db").problem().contains("given together with store")
    );
    let missing = without().problem();
    assert!(missing.starts_with("store is missing") && missing.contains("TOKEND_STORE_FILE"), "{missing}");
    for (content, problem) in [
        ("", "is empty"),
        ("memory", "`memory` would lose every key"),
        ("mysql://tokend:hunter2@db/tokend", "store_file: "),
    ] {
        let found = without().variable("TOKEND_STORE_FILE", &file("bad", content)).problem();
        assert!(found.starts_with("store_file: ") && found.contains(problem), "{found}");
        assert!(found.contains("TOKEND_STORE_FILE") && !found.contains("hunter2"), "{found}");
    }
    let absent = without().variable("TOKEND_STORE_FILE", "/nowhere/store").problem();
    assert!(absent.starts_with("store_file: /nowhere/store cannot be read"), "{absent}");
}

#[test]
fn a_shared_secret_belongs_to_exactly_one_algorithm() {
    let shared = |secret: &str, algorithms: &str| {
        Given::sound().variable("TOKEND_SHARED_SECRET", secret).flag("algorithms", algorithms)
    };
    let config = shared(SEALING_KEY, "ES256,HS256").resolve().config().unwrap();
    assert_eq!(config.settings.keys.shared_secret.unwrap().0.len(), 32);
    for (secret, algorithms, problem) in [
        (SEALING_KEY, "ES256", "needs exactly one of HS256, HS384 and HS512"),
        (SEALING_KEY, "HS256,HS512", "needs exactly one of HS256, HS384 and HS512"),
        (SEALING_KEY, "HS384", "must hold at least 48 bytes for HS384"),
        (SEALING_KEY, "HS512", "must hold at least 64 bytes for HS512"),
        ("plain text, no base64", "HS256", "must be base64url"),
    ] {
        let found = shared(secret, algorithms).problem();
        assert!(found.starts_with("shared_secret: ") && found.contains(problem), "{found}");
        assert!(!found.contains(secret), "{found}");
    }
}

#[test]
fn no_secret_is_shown() {
    let given = Given::sound()
        .flag("store", "postgres://tokend:hunter2@db.internal/tokend?sslmode=require")
        .variable("TOKEND_SHARED_SECRET", SEALING_KEY)
        .flag("algorithms", "HS256");
    let resolved = given.resolve();
    let text = format!("{:?} {:?} {:?}", resolved.shown(), resolved, resolved.config().unwrap());
    assert!(!text.contains(SEALING_KEY), "{text}");
    assert!(!format!("{:?}", resolved.shown()).contains("hunter2"));
    assert!(!format!("{:?}", resolved.config().unwrap()).contains("hunter2"));
    let problem = Given::sound().flag("store", "mysql://tokend:hunter2@db/tokend").problem();
    assert!(!problem.contains("hunter2"), "{problem}");
}

#[test]
fn names_are_unique_and_every_setting_is_documented() {
    let mut names = HashSet::new();
    for setting in settings() {
        assert!(names.insert(setting.key()), "{} is there twice", setting.name);
        assert!(setting.help.len() > 10 && !setting.help.ends_with('.'), "{}", setting.name);
        let wrong = Given::sound().flag(setting.name, "\u{1}no value at all");
        let problems: Problems = wrong.resolve().config().err().unwrap_or_default();
        // Whether a file is one is seen when it is opened.
        let is_path = setting.kind == Kind::Path;
        assert!(is_path || !problems.is_empty(), "{} takes anything", setting.name);
    }
}

#[test]
fn the_configuration_page_holds_the_tables_of_settings() {
    let tables = markdown_table();
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/configuration.md");
    let page = fs::read_to_string(page).unwrap_or_default();
    let (start, end) = ("<!-- settings:start -->", "<!-- settings:end -->");
    let held = page.split_once(start).and_then(|(_, rest)| rest.split_once(end)).map(|(held, _)| held.trim());
    assert!(
        held == Some(tables.trim()),
        "docs/configuration.md must hold this between `{start}` and `{end}`:\n\n{tables}"
    );
}
