//! A location without a store: nothing is created there, unless that was asked for.

use std::{fs, path::Path};

use tempfile::TempDir;
use tokend::store::{self, Location, OpenError, OpenOptions};

use crate::{
    postgres::Database,
    process::{FREE_PORTS, Serve, Watched, init, run, stderr},
};

const MISTYPED: [&str; 5] = ["--config", "tokend.toml", "--allow-plaintext", "--store", "sqlite:tokned.db"];

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn serve_creates_a_sqlite_file_only_when_asked() {
    let folder = TempDir::new().unwrap();
    init(folder.path());
    let before = names(folder.path());
    let start = |more: &[&str]| {
        let arguments = [&["serve"], &MISTYPED[..], &FREE_PORTS, more].concat();
        Watched::start(folder.path(), &arguments).ended()
    };
    let refused = start(&[]);
    let path = folder.path().join("tokned.db");
    let wanted = format!(
        "error: setting `store`: sqlite:{} does not exist; correct the setting, or create a new store with --create-store \
         (create_store = true) or `tokend init`",
        path.display()
    );
    assert_eq!((refused.code, refused.stderr.as_slice()), (Some(1), &[wanted][..]));
    assert_eq!(names(folder.path()), before);
    fs::write(&path, "").unwrap();
    let refused = start(&[]);
    assert!(refused.code == Some(1) && refused.stderr[0].contains("is an empty file"), "{refused:#?}");
    assert_eq!(fs::metadata(&path).unwrap().len(), 0);
    fs::remove_file(&path).unwrap();
    // The first start creates it, and the next one finds it.
    for more in [&["--create-store"][..], &[]] {
        let server = Serve::start(folder.path(), &[&MISTYPED[2..], &["--drain-delay", "0s"], more].concat());
        assert_eq!(server.stop().code, Some(0));
    }
}

#[test]
fn commands_that_work_on_the_store_create_none() {
    let folder = TempDir::new().unwrap();
    init(folder.path());
    let before = names(folder.path());
    for command in [
        &["revoke", "everything-before", "now", "--yes"][..],
        &["key", "reseal"],
        &["key", "accept-clock", "--yes"],
    ] {
        // They need a store that is there, whatever `serve` may create.
        let output = run(folder.path(), &[command, &MISTYPED, &["--create-store"]].concat());
        assert!(
            output.status.code() == Some(1) && stderr(&output).contains("tokned.db does not exist"),
            "{command:?}: {}",
            stderr(&output)
        );
    }
    assert_eq!(names(folder.path()), before);
    let elsewhere = TempDir::new().unwrap();
    fs::copy(folder.path().join("sealing.key"), elsewhere.path().join("sealing.key")).unwrap();
    let output = run(elsewhere.path(), &["init", "--new-admin-secret"]);
    assert!(stderr(&output).contains("tokend.db does not exist"), "{}", stderr(&output));
    assert_eq!(names(elsewhere.path()), ["sealing.key"]);
}

#[tokio::test]
async fn an_empty_postgresql_database_is_refused_unless_asked() {
    let Some(database) = Database::create().await else { return };
    // Another program's tables are none of tokend's.
    database.execute("CREATE TABLE orders (id INTEGER)").await;
    let location: Location = database.url.as_str().parse().unwrap();
    let error = store::open_with(&location, &OpenOptions::EXISTING).await.unwrap_err();
    assert!(matches!(error, OpenError::Missing { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains(&location.to_string()) && text.contains("has no tables of tokend"), "{text}");
    assert!(text.contains("--create-store"), "{text}");
    store::open_with(&location, &OpenOptions::CREATE).await.unwrap().close().await;
    store::open_with(&location, &OpenOptions::EXISTING).await.unwrap().close().await;
}
