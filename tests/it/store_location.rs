//! How places of stores are written and shown.

use std::path::PathBuf;

use tokend::store::{self, Location, OpenError};

#[test]
fn the_three_forms_are_read() {
    let read = |text: &str| text.parse::<Location>().unwrap();
    assert_eq!(read("memory"), Location::Memory);
    assert_eq!(read("sqlite:tokend.db"), Location::Sqlite(PathBuf::from("tokend.db")));
    assert_eq!(read("sqlite:///var/lib/tokend.db"), Location::Sqlite(PathBuf::from("/var/lib/tokend.db")));
    for url in ["postgres://localhost/tokend", "postgresql://u:p@h:1/d?sslmode=verify-full"] {
        assert!(matches!(read(url), Location::Postgres(_)), "{url}");
    }
}

#[test]
fn another_text_is_refused_and_its_password_is_not_shown() {
    for text in [
        "",
        "Memory",
        "sqlite:",
        "sqlite::memory:",
        "sqlite:tokend.db?mode=ro",
        "mysql://user:hunter2@host/db",
        "postgres:user:hunter2@host",
        "postgre://user:hunter2@host/db",
        "postgres//user:hunter2@host/db",
        "user:hunter2@host",
        "hunter2@host",
        "hunter2@host:5432/db",
        "postgres://user:hunter2@host:port/db",
        "postgres://user:hunter2@/db",
        "postgres://user:hunter2@a,,b/db",
        "postgres://user:hunter2 @ho st/db",
        " postgres://user:hunter2@host/db",
    ] {
        let error = text.parse::<Location>().expect_err(text);
        assert!(matches!(error, OpenError::Location(_)), "{text}");
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    }
}

#[test]
fn parameters_of_a_sqlite_uri_are_refused_with_the_next_step() {
    for (text, problem) in [
        ("sqlite:x.db?mode=rwc", "remove the parameter `mode`; only `create_store` decides"),
        ("sqlite:x.db?_fk=true", "remove the parameter `_fk`; tokend itself sets foreign keys"),
        ("sqlite:///x.db?immutable=1&mode=ro", "remove the parameter `immutable`; tokend always locks"),
        ("sqlite:x.db?", "remove everything from `?`; tokend itself"),
        ("sqlite:x.db?hunter2", "remove everything from `?`; tokend itself"),
        ("sqlite:file:x.db", "takes a path and no URI: remove `file:`"),
        ("sqlite:u:hunter2@h/x.db", "takes a path without `@`"),
    ] {
        let error = text.parse::<Location>().unwrap_err().to_string();
        assert!(error.contains(problem) && !error.contains("hunter2"), "{text}: {error}");
    }
}

#[test]
fn a_location_is_shown_as_scheme_hosts_and_database() {
    for (url, shown) in [
        ("postgres://u:hunter2@h:1/d", "postgres://h:1/d"),
        ("postgres://u:hunter2@h/d?sslmode=require", "postgres://h:5432/d"),
        ("postgres://u@h/d?password=hunter2", "postgres://h:5432/d"),
        ("postgres://u:hunter2@a:1,b:2/d?target_session_attrs=read-write", "postgres://a:1,b:2/d"),
        ("postgres://u:hunter2@[::1]:1/d", "postgres://[::1]:1/d"),
        ("postgres:///d?host=/run/pg", "postgres://%2Frun%2Fpg/d"),
        ("postgres://u:hun%2Fter2@h/d", "postgres://h:5432/d"),
    ] {
        let location: Location = url.parse().unwrap();
        assert_eq!(location.to_string(), shown);
        assert_eq!(format!("{location:?}"), shown);
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_url_is_said_without_quoting_it() {
    for (url, problem) in [
        ("postgres://u:hunter2@h/d?sslmode=hunter2", "sslmode: must be disable, allow"),
        ("postgres://u:hun/ter2@h/d", "percent-encode `/` as %2F"),
        ("postgres://u:hun#ter2@h/d", "percent-encode"),
        ("postgres://u:hunter2@h/d?PASSWORD=hunter2", "must be written as `password`"),
        ("postgres://u:hunter2@h/d?SslMode=verify-full", "must be written as `sslmode`"),
        ("postgres://u:hunter2@h/d?target_session_attrs=standby", "target_session_attrs: must be read-write"),
        ("hunter2", "must be `memory`, `sqlite:PATH` or `postgres://…`"),
    ] {
        let error = url.parse::<Location>().unwrap_err().to_string();
        assert!(error.contains(problem) && !error.contains("hun"), "{error}");
    }
    // An IPv6 address is connected to, and not looked up as a name.
    let error =
        store::open(&"postgres://u:hunter2@[::1]:1/d".parse().unwrap()).await.unwrap_err().to_string();
    assert!(error.contains("postgres://[::1]:1/d") && !error.contains("lookup"), "{error}");
}
