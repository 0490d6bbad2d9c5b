//! `tokend healthcheck` against answers that a server may give.

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    process::Command,
    thread,
};

use tempfile::TempDir;

use crate::process::{run, stderr, tokend};

fn check(answer: &'static str) -> (Option<i32>, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 1024];
        let length = stream.read(&mut request).unwrap();
        stream.write_all(answer.as_bytes()).unwrap();
        String::from_utf8_lossy(&request[..length]).into_owned()
    });
    let output = Command::new(env!("CARGO_BIN_EXE_tokend"))
        .args(["healthcheck", "--http-addr", &format!("0.0.0.0:{port}")])
        .env_clear()
        .output()
        .unwrap();
    let request = server.join().unwrap();
    assert!(request.starts_with("GET /readyz HTTP/1.1\r\n"), "{request}");
    assert!(request.contains(&format!("host: 127.0.0.1:{port}\r\n")), "{request}");
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn ready_is_zero_and_all_else_is_one() {
    assert_eq!(check("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok\n").0, Some(0));
    assert_eq!(check("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nok").0, Some(0));
    let (code, said) = check("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 9\r\n\r\ndraining\u{7}");
    assert_eq!(code, Some(1));
    assert!(said.contains("not ready: 503 draining\\u{7}"), "{said}");
    assert_eq!(check("not http at all\r\n\r\n").0, Some(1));
}

/// A server that is ready, on this address.
fn ready(address: &str) -> u16 {
    let listener = TcpListener::bind(address).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 1024]).unwrap();
            // The check may be over.
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
        }
    });
    port
}

#[test]
fn the_address_comes_from_the_configuration_and_other_settings_may_be_wrong() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("tokend.toml");
    let write = |address: &str| {
        let text =
            format!("http_addr = \"{address}\"\nissuer = \"no url\"\nsealing_key_file = \"/nowhere\"\n");
        std::fs::write(&path, text).unwrap();
    };
    write(&format!("127.0.0.1:{}", ready("127.0.0.1:0")));
    let check = |arguments: &[&str], variables: &[(&str, &str)]| {
        let arguments = [&["healthcheck"], arguments].concat();
        tokend(folder.path(), &arguments).envs(variables.iter().copied()).output().unwrap()
    };
    let file = path.to_str().unwrap();
    for output in [check(&["--config", file], &[]), check(&[], &[("TOKEND_CONFIG", file)])] {
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    }
    // A variable takes precedence, as for the server.
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let output = check(&["--config", file], &[("TOKEND_HTTP_ADDR", &free)]);
    assert!(output.status.code() == Some(1) && stderr(&output).contains(&free), "{}", stderr(&output));
    let output = check(&["--config", "nowhere.toml"], &[]);
    assert!(stderr(&output).contains("nowhere.toml cannot be read"), "{}", stderr(&output));
    assert_eq!(output.status.code(), Some(2));
    // The file says TLS, and the server does not speak it.
    std::fs::write(&path, format!("http_tls = true\nhttp_addr = \"127.0.0.1:{}\"\n", ready("127.0.0.1:0")))
        .unwrap();
    assert_eq!(check(&["--config", file], &[]).status.code(), Some(1));
    assert_eq!(check(&["--config", file, "--http-tls", "false"], &[]).status.code(), Some(0));
}

#[test]
fn a_server_on_all_addresses_is_found_by_either_family() {
    let folder = TempDir::new().unwrap();
    let check = |address: &str| run(folder.path(), &["healthcheck", "--http-addr", address]);
    for loopback in ["127.0.0.1:0", "[::1]:0"] {
        if loopback.starts_with('[') && TcpListener::bind(loopback).is_err() {
            continue; // A machine without IPv6.
        }
        let port = ready(loopback);
        for all in ["0.0.0.0", "[::]"] {
            let output = check(&format!("{all}:{port}"));
            assert_eq!(output.status.code(), Some(0), "{loopback} {all}: {}", stderr(&output));
        }
    }
    let output = check("[::]:1");
    assert!(
        stderr(&output).contains("127.0.0.1:1: ") && stderr(&output).contains("; [::1]:1: "),
        "{}",
        stderr(&output)
    );
}
