//! How places of stores are written and shown.

use std::path::PathBuf;

use tokend::store::{self, Location, OpenError};
use zeroize::Zeroizing;

#[test]
fn the_three_forms_are_read() {
    let read = |text: &str| text.parse::<Location>().unwrap();
    assert_eq!(read("memory"), Location::Memory);
    assert_eq!(read("sqlite:tokend.db"), Location::Sqlite(PathBuf::from("tokend.db")));
    assert_eq!(read("sqlite:///var/lib/tokend.db"), Location::Sqlite(PathBuf::from("/var/lib/tokend.db")));
    for url in ["postgres://localhost/tokend", "postgresql://u:p@h:1/d?sslmode=verify-full"] {
        assert_eq!(read(url), Location::Postgres(Zeroizing::new(url.to_owned())));
    }
}

#[test]
fn another_text_is_refused_and_its_password_is_not_shown() {
    for text in [
        "",
        "Memory",
        "sqlite:",
        "sqlite::memory:",
        "mysql://user:hunter2@host/db",
        "postgres:user:hunter2@host",
        "postgre://user:hunter2@host/db",
        "postgres//user:hunter2@host/db",
        "user:hunter2@host",
        "hunter2@host",
        "hunter2@host:5432/db",
        "postgres://user:hunter2@host:port/db",
        "postgres://user:hunter2@/db",
        "postgres://user:hunter2 @ho st/db",
        " postgres://user:hunter2@host/db",
    ] {
        let error = text.parse::<Location>().expect_err(text);
        assert!(matches!(error, OpenError::Location(_)), "{text}");
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    }
}

#[test]
fn a_location_is_shown_without_its_password() {
    for (url, shown) in [
        ("postgres://u:hunter2@h:1/d", "postgres://u:***@h:1/d"),
        ("postgres://u:hunter2@h/d?sslmode=require", "postgres://u:***@h/d?sslmode=require"),
        ("postgres://u@h/d?password=hunter2", "postgres://u@h/d"),
        (
            "postgres://h/d?password=hunter2&sslmode=require&password=hunter2",
            "postgres://h/d?sslmode=require",
        ),
        ("postgres://u@h/d", "postgres://u@h/d"),
    ] {
        let location: Location = url.parse().unwrap();
        assert_eq!(location.to_string(), shown);
        assert_eq!(format!("{location:?}"), shown);
    }
    // Made by hand, past the reading of text: still shown, and without a word of it.
    let made = Location::Postgres(Zeroizing::new("u:hunter2@h".to_owned()));
    assert_eq!(made.to_string(), "postgres://…");
}

#[tokio::test]
async fn a_bad_parameter_is_refused_without_the_password() {
    let location = "postgres://u:hunter2@localhost/d?sslmode=perhaps".parse().unwrap();
    let error = store::open(&location).await.unwrap_err().to_string();
    assert!(error.contains("perhaps") && !error.contains("hunter2"), "{error}");
}
