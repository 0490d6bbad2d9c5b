//! The page of the development server.

use crate::harness::TestServer;

#[tokio::test]
async fn the_page_loads_nothing_from_elsewhere_and_runs_no_inline_script() {
    let server = TestServer::with(|settings| settings.serving.page = true).await;
    for (path, content_type, holds) in [
        ("/", "text/html; charset=utf-8", "<script src=\"/page.js\" type=\"module\"></script>"),
        ("/page.css", "text/css; charset=utf-8", "main {"),
        ("/page.js", "text/javascript; charset=utf-8", "TOKEN_SIGNATURE_INVALID"),
    ] {
        let (status, headers, body) = server.get(path).await;
        assert_eq!(status, 200, "{path}");
        for header in [
            &format!("content-type: {content_type}"),
            "content-security-policy: default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'",
            "frame-ancestors 'none'",
            "x-content-type-options: nosniff",
            "referrer-policy: no-referrer",
        ] {
            assert!(headers.contains(header), "{path}: {header} in {headers}");
        }
        assert!(body.contains(holds), "{path}");
        for foreign in ["http://", "https://", " onclick", "innerHTML", "eval("] {
            assert!(!body.contains(foreign), "{path}: {foreign}");
        }
        // The secret of the client is for the terminal.
        assert!(!body.contains("tkd_"), "{path}");
    }
}

#[tokio::test]
async fn a_production_server_has_no_page() {
    let server = TestServer::start().await;
    for path in ["/", "/page.css", "/page.js"] {
        assert_eq!(server.get(path).await.0, 404, "{path}");
    }
}
