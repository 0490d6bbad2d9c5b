//! The meaning of an error response of Vault, by its status (documentation of Vault: "HTTP API").

use std::time::Duration;

use http::{HeaderMap, StatusCode, header::RETRY_AFTER};
use serde::Deserialize;

use super::SealingError;

/// The limit of an error text in the log, in characters.
const LONGEST_TEXT: usize = 300;

/// A failed attempt.
pub(super) struct Attempt {
    /// The error.
    pub(super) error: SealingError,
    /// Whether to retry.
    pub(super) again: bool,
    /// The pause before a retry that Vault requests.
    pub(super) after: Option<Duration>,
}

impl Attempt {
    /// An attempt that must not be retried.
    pub(super) const fn last(setting: &'static str, problem: String) -> Self {
        Self { error: SealingError::Setting { setting, problem }, again: false, after: None }
    }

    /// An attempt that may be retried.
    pub(super) const fn again(setting: &'static str, problem: String) -> Self {
        Self { error: SealingError::Setting { setting, problem }, again: true, after: None }
    }
}

#[derive(Deserialize)]
struct Errors {
    errors: Vec<String>,
}

/// An error response. `what` names the request; none of `secrets` is repeated.
pub(super) fn failed(
    what: &str,
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    secrets: &[&str],
) -> Attempt {
    let said = said(body, secrets);
    let problem = format!("{what} returned status {}{said}", status.as_u16());
    match status.as_u16() {
        // Vault is not initialised, sealed, failing, behind a gateway, over its limits, or (412) not yet in sync with its leader.
        412 | 429 | 500..=599 => {
            Attempt { after: retry_after(headers), ..Attempt::again("vault_addr", problem) }
        }
        401 | 403 => Attempt::last(
            "vault_token_file",
            format!("{problem}; the token is wrong, has expired, or its policy does not allow this"),
        ),
        400 | 404 | 405 => Attempt::last(
            "vault_key",
            format!(
                "{problem}; is it the name of a Transit key, and `vault_mount` where the engine is mounted?"
            ),
        ),
        300..=399 => Attempt::last(
            "vault_addr",
            format!("{problem}: a redirect, which is not followed; name the active node"),
        ),
        _ => Attempt::last("vault_addr", problem),
    }
}

/// The error text of Vault, bounded, without control characters and secrets.
fn said(body: &[u8], secrets: &[&str]) -> String {
    let Ok(Errors { errors }) = serde_json::from_slice(body) else { return String::new() };
    let mut text = errors.join("; ");
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        text = text.replace(secret, "[secret]");
    }
    let mut plain: String = text.chars().take(LONGEST_TEXT).flat_map(char::escape_debug).collect();
    if text.chars().nth(LONGEST_TEXT).is_some() {
        plain.push('…');
    }
    if plain.is_empty() { plain } else { format!(" ({plain})") }
}

/// `Retry-After` in seconds (RFC 9110 section 10.2.3); a date is ignored.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Attempt {
        let status = StatusCode::from_u16(status).unwrap();
        failed("POST x", status, &HeaderMap::new(), body.as_bytes(), &["hvs.token"])
    }

    #[test]
    fn what_may_go_better_is_tried_again_and_nothing_else() {
        for status in [412, 429, 500, 501, 502, 503, 599] {
            assert!(answer(status, "").again, "{status}");
        }
        for (status, setting) in [
            (400, "vault_key"),
            (404, "vault_key"),
            (403, "vault_token_file"),
            (307, "vault_addr"),
            (473, "vault_addr"),
        ] {
            let attempt = answer(status, "");
            assert!(!attempt.again, "{status}");
            assert!(attempt.error.to_string().contains(&format!("`{setting}`")), "{}", attempt.error);
        }
    }

    #[test]
    fn its_words_are_bounded_and_hold_neither_controls_nor_secrets() {
        let text = |body: &str| answer(400, body).error.to_string();
        assert!(
            text(r#"{"errors":["encryption key not found"]}"#).contains("400 (encryption key not found);")
        );
        assert!(text(r#"{"errors":["a\u001b[31m\nb"]}"#).contains(r"(a\u{1b}[31m\nb)"));
        assert!(text(r#"{"errors":["no hvs.token here"]}"#).contains("(no [secret] here)"));
        assert!(text(&format!(r#"{{"errors":["{}"]}}"#, "x".repeat(10_000))).len() < 600);
        for other in ["", "<html>", "{}", r#"{"errors":[]}"#] {
            assert!(text(other).contains("returned status 400;"), "{other}");
        }
    }

    #[test]
    fn seconds_to_wait_are_read() {
        let mut headers = HeaderMap::new();
        assert_eq!(retry_after(&headers), None);
        headers.insert(RETRY_AFTER, "7".parse().unwrap());
        assert_eq!(retry_after(&headers), Some(Duration::from_secs(7)));
        headers.insert(RETRY_AFTER, "Fri, 31 Dec 1999 23:59:59 GMT".parse().unwrap());
        assert_eq!(retry_after(&headers), None);
    }
}
