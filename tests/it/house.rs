//! The house rules that the compiler does not keep: a file imports only from floors below its own, files stay small, and
//! no drawer is called `util`.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The floor of each module of the crate. `proto` is generated; only transport and assembly may see it.
const FLOORS: [(&str, u8); 29] = [
    ("benching", 6),
    ("fuzzing", 6),
    ("cli", 5),
    ("server", 5),
    ("config", 5),
    ("telemetry", 5),
    ("main", 5),
    ("grpc", 4),
    ("http", 4),
    ("listen", 4),
    ("oauth", 4),
    ("proto", 4),
    ("access", 3),
    ("tokens", 3),
    ("admission", 2),
    ("keys", 2),
    ("revocations", 2),
    ("audit", 1),
    ("database", 1),
    ("files", 1),
    ("https_client", 1),
    ("store", 1),
    ("model", 0),
    // The package `tokend-jose`.
    ("jose", 0),
    ("clock", 0),
    ("random", 0),
    ("metrics", 0),
    ("spans", 0),
    ("lib", 6),
];

/// Arrows between modules of one floor. Each has one direction, so that no circle can form.
const LEVEL: [(&str, &str); 24] = [
    ("cli", "server"),
    ("cli", "config"),
    ("cli", "telemetry"),
    ("config", "server"),
    ("config", "telemetry"),
    ("main", "cli"),
    ("main", "config"),
    ("main", "telemetry"),
    ("grpc", "proto"),
    ("tokens", "access"),
    ("audit", "database"),
    ("store", "database"),
    ("database", "files"),
    ("https_client", "files"),
    ("clock", "model"),
    ("model", "random"),
    ("metrics", "model"),
    ("spans", "model"),
    ("server", "telemetry"),
    ("listen", "proto"),
    ("oauth", "grpc"),
    ("oauth", "http"),
    ("oauth", "listen"),
    ("oauth", "proto"),
];

const DRAWERS: [&str; 5] = ["util", "utils", "helpers", "common", "misc"];
const LONGEST: usize = 400;

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let nested = entries.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] });
    nested.filter(|path| path.extension().is_some_and(|extension| extension == "rs")).collect()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The module of the crate that a file belongs to: the first part of its path under `src`.
fn module(file: &Path) -> String {
    let inside = file.strip_prefix(root().join("src")).unwrap();
    let first = inside.components().next().unwrap().as_os_str().to_str().unwrap();
    first.trim_end_matches(".rs").to_owned()
}

/// The modules that a text names after `crate::`, groups in braces included.
fn imports(text: &str) -> Vec<String> {
    let code: String =
        text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n");
    let mut found = Vec::new();
    for rest in code.split("crate::").skip(1) {
        match rest.strip_prefix('{') {
            None => found.push(identifier(rest)),
            Some(group) => {
                // The outermost names of the group: those at depth one.
                let mut depth = 1;
                let mut at_start = true;
                for (index, character) in group.char_indices() {
                    match character {
                        '{' => depth += 1,
                        '}' => depth -= 1,
                        ',' if depth == 1 => at_start = true,
                        _ if at_start && depth == 1 && character.is_alphabetic() => {
                            found.push(identifier(&group[index..]));
                            at_start = false;
                        }
                        _ => {}
                    }
                    if depth == 0 {
                        break;
                    }
                }
            }
        }
    }
    found.retain(|name| !name.is_empty());
    found
}

fn identifier(text: &str) -> String {
    text.chars().take_while(|character| character.is_alphanumeric() || *character == '_').collect()
}

/// Every arrow that points up or sideways without leave, in `files`.
fn wrong_arrows(files: &[(String, String, String)]) -> Vec<String> {
    let floors = BTreeMap::from(FLOORS);
    let mut wrong = Vec::new();
    for (name, from, text) in files {
        let floor = floors.get(from.as_str()).unwrap_or_else(|| panic!("{from} has no floor"));
        for to in imports(text) {
            let Some(below) = floors.get(to.as_str()) else {
                wrong.push(format!("{name}: crate::{to} has no floor"));
                continue;
            };
            let level = LEVEL.contains(&(from.as_str(), to.as_str()));
            if to != *from && below >= floor && !level {
                wrong.push(format!("{name} (floor {floor}) imports crate::{to} (floor {below})"));
            }
        }
    }
    wrong
}

#[test]
fn files_import_only_from_floors_below() {
    let files: Vec<_> = sources(&root().join("src"))
        .into_iter()
        .map(|file| (file.display().to_string(), module(&file), fs::read_to_string(&file).unwrap()))
        .filter(|(_, module, _)| module != "lib")
        .collect();
    assert!(files.len() > 60, "only {} files were read", files.len());
    assert_eq!(wrong_arrows(&files), Vec::<String>::new());
}

#[test]
fn the_check_of_arrows_can_fail() {
    let file = |from: &str, text: &str| vec![(from.to_owned(), from.to_owned(), text.to_owned())];
    for (from, text) in [
        ("store", "use crate::keys::KeyRing;"),
        ("model", "use crate::{clock::Clock, random};"),
        ("tokens", "fn f() { crate::grpc::routes() }"),
        ("http", "use crate::{\n    keys::{KeyRing, x},\n    grpc::Edge,\n};"),
        ("access", "use crate::proto::v1;"),
        ("keys", "use crate::nowhere::Thing;"),
    ] {
        assert_eq!(wrong_arrows(&file(from, text)).len(), 1, "{text}");
    }
    for (from, text) in [
        ("store", "use crate::model::KeyId; // crate::grpc"),
        ("tokens", "use crate::{access::Grant, store, model::{A, B}};"),
        ("model", "use crate::model::KeyId;"),
    ] {
        assert_eq!(wrong_arrows(&file(from, text)), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn level_arrows_form_no_circle() {
    for (from, to) in LEVEL {
        assert!(!LEVEL.contains(&(to, from)), "{from} and {to} import each other");
    }
}

#[test]
fn files_are_small_and_named_after_what_they_hold() {
    let mut files = sources(&root().join("src"));
    files.extend(sources(&root().join("crates")));
    files.extend(sources(&root().join("tests")));
    for file in files {
        let lines = fs::read_to_string(&file).unwrap().lines().count();
        assert!(lines <= LONGEST, "{} has {lines} lines", file.display());
        let inside = file.strip_prefix(root()).unwrap();
        let names =
            inside.components().map(|part| part.as_os_str().to_str().unwrap().trim_end_matches(".rs"));
        for name in names {
            assert!(!DRAWERS.contains(&name), "{} is a drawer", file.display());
        }
    }
}

#[test]
fn some_things_are_made_in_one_place_only() {
    let places = [
        ("Status::with_error_details", &["src/grpc/status/error_response.rs"][..]),
        ("Status::new(", &[]),
        ("SystemTime::now", &["src/clock.rs", "crates/tokend-client/src/clock.rs"]),
        (
            "rand::fill",
            &["src/random.rs", "crates/tokend-jose/src/material.rs", "crates/tokend-client/src/random.rs"],
        ),
        ("include_proto!", &["src/proto.rs", "crates/tokend-client/src/proto.rs"]),
        // Redaction knows the prefixes of credentials, and the makers use its constants.
        ("\"tkd_", &["src/model/credential.rs"]),
        ("\"tkr_", &["src/model/credential.rs"]),
    ];
    for (made, allowed) in places {
        for file in sources(&root().join("src")).into_iter().chain(sources(&root().join("crates"))) {
            let text = fs::read_to_string(&file).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap();
            let inside = file.strip_prefix(root()).unwrap().display().to_string();
            assert!(!code.contains(made) || allowed.contains(&inside.as_str()), "{inside} holds `{made}`");
        }
    }
}

/// The tests that a page names as `file::test`.
fn named_tests(page: &str) -> Vec<(String, String)> {
    let quoted = page.split('`').skip(1).step_by(2);
    let plain = |text: &str| {
        !text.is_empty() && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
    };
    let named =
        quoted.filter_map(|text| text.split_once("::")).filter(|(file, test)| plain(file) && plain(test));
    named.map(|(file, test)| (file.to_owned(), test.to_owned())).collect()
}

/// Whether a test of this name is in the text of its file: behind a line that makes it one, or in the list of a macro
/// that makes a test of each.
fn is_test(text: &str, name: &str) -> bool {
    let Some((before, _)) = text.split_once(&format!("fn {name}(")) else { return false };
    let mut lists = text.split("!(").skip(1).filter_map(|rest| rest.split(");").next());
    if lists.any(|list| list.split(',').any(|listed| listed.trim() == name)) {
        return true;
    }
    before.trim_end_matches("async ").trim_end().ends_with(']')
        && before.rsplit('\n').take(5).any(|line| line.contains("test"))
}

#[test]
fn the_tests_that_the_threat_model_names_exist() {
    let page = fs::read_to_string(root().join("SECURITY.md")).unwrap();
    let named = named_tests(&page);
    assert!(named.len() >= 40, "only {} are named", named.len());
    let missing: Vec<_> = named
        .into_iter()
        .filter(|(file, test)| {
            let text = fs::read_to_string(root().join(format!("tests/it/{file}.rs"))).unwrap_or_default();
            !is_test(&text, test)
        })
        .collect();
    assert_eq!(missing, []);
    // The check can fail.
    assert_eq!(named_tests("`a::b_c` and `D::e`, `f.rs`"), [("a".to_owned(), "b_c".to_owned())]);
    let text = "#[tokio::test]\nasync fn good() {}\nfn helper() {}\n";
    assert!(is_test(text, "good") && !is_test(text, "helper") && !is_test(text, "goo"));
}

/// The packages that a package of the workspace links, itself included.
fn linked(package: &str) -> Vec<String> {
    let arguments = ["tree", "--package", package, "--edges", "normal", "--all-features", "--prefix", "none"];
    let offline = ["--locked", "--offline", "--format", "{p}"];
    let tree =
        Command::new(env!("CARGO")).args(arguments).args(offline).current_dir(root()).output().unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let lines = String::from_utf8(tree.stdout).unwrap();
    lines.lines().filter_map(|line| Some(line.split(' ').next()?.to_owned())).collect()
}

#[test]
fn a_service_does_not_link_what_only_the_server_needs() {
    const SERVER_ONLY: [&str; 7] =
        ["tokend", "sqlx", "clap", "argon2", "bcrypt", "mimalloc", "opentelemetry"];
    let of = |package| {
        let linked = linked(package);
        SERVER_ONLY.into_iter().filter(|name| linked.iter().any(|other| other == name)).collect::<Vec<_>>()
    };
    assert_eq!(of("tokend-client"), Vec::<&str>::new());
    // The check can fail.
    assert_eq!(of("tokend"), SERVER_ONLY);
}

/// The blocks of a page in this language.
fn blocks<'p>(page: &'p str, language: &str) -> Vec<&'p str> {
    let fence = format!("```{language}");
    page.split(fence.as_str())
        .skip(1)
        .filter_map(|rest| rest.split_once('\n')?.1.split("```").next())
        .collect()
}

/// `cargo test` compiles the blocks of the package's README.
#[test]
fn rust_in_the_documentation_is_compiled() {
    let readme = fs::read_to_string(root().join("crates/tokend-client/README.md")).unwrap();
    let compiled = blocks(&readme, "rust");
    let folders = ["docs", "docs/integrate"].into_iter();
    let pages = folders
        .flat_map(|folder| fs::read_dir(root().join(folder)).unwrap())
        .map(|entry| entry.unwrap().path());
    let mut count = 0;
    for page in pages.filter(|path| path.is_file()) {
        for block in blocks(&fs::read_to_string(&page).unwrap(), "rust") {
            assert!(compiled.contains(&block), "{}: not in the README:\n{block}", page.display());
            count += 1;
        }
    }
    assert_eq!(count, 2);
}
