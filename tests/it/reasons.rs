//! Every reason is expected by a test and has a row in docs/errors.md.

use std::{collections::BTreeSet, fs, path::Path};

use tokend::proto::v1::ErrorReason;

/// Texts in quotes that are written like a reason, in `source`.
fn reasons(source: &str) -> BTreeSet<String> {
    let like_a_reason = |text: &&str| {
        let shouted = |byte: u8| byte.is_ascii_uppercase() || byte == b'_';
        text.len() > 5 && text.bytes().all(shouted) && !text.starts_with('_')
    };
    source.split('"').filter(like_a_reason).map(str::to_owned).collect()
}

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

#[test]
fn each_reason_is_tested_and_documented() {
    let mut all = reasons(&read("crates/tokend-jose/src/invalid_token.rs"));
    assert_eq!(all.len(), 15, "{all:?}");
    all.extend(reasons(&read("src/access/denial.rs")));
    all.extend(reasons(&read("src/grpc/status/error_response.rs")));
    all.extend(reasons(&read("src/grpc/status/domain_errors.rs")));
    assert!(all.contains("CREDENTIALS_MISSING") && all.contains("SHUTTING_DOWN"), "{all:?}");

    let stories = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it")).unwrap();
    let stories = stories.map(|entry| entry.unwrap().path()).filter(|path| !path.ends_with("reasons.rs"));
    let tested: BTreeSet<String> =
        stories.flat_map(|story| reasons(&fs::read_to_string(story).unwrap())).collect();
    let page = read("docs/errors.md");
    let documented: BTreeSet<&str> =
        page.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    let in_api: BTreeSet<String> = (1..)
        .map_while(|number| ErrorReason::try_from(number).ok())
        .map(|reason| reason.as_str_name().strip_prefix("ERROR_REASON_").unwrap().to_owned())
        .collect();
    assert_eq!(in_api, all, "tokend.v1.ErrorReason has every reason and no other");
    let rows = documented.iter().filter(|row| reasons(&format!("\"{row}\"")).len() == 1).count();
    assert_eq!(rows, all.len(), "docs/errors.md has a row for each reason alone");
    for reason in all {
        assert!(tested.contains(&reason), "no test expects {reason}");
        assert!(documented.contains(reason.as_str()), "docs/errors.md has no row for {reason}");
    }
}
