//! `tokend healthcheck` against answers that a server may give.

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    process::Command,
    thread,
};

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
