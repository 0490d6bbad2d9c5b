//! Fetches an issuer's JWK set, with limits of size and time.

use std::{
    io::{self, Read as _},
    path::{Path, PathBuf},
    time::Duration,
};

use bytes::Bytes;
use http::{
    HeaderValue, Request,
    header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, USER_AGENT},
};
use http_body_util::{BodyExt as _, Full, Limited};
use url::Url;
use zeroize::Zeroizing;

use super::KeySource;
use crate::{
    database::printable,
    files,
    https_client::{error_chain, https_client, read_token},
};

/// The largest JWK set, in bytes.
const MAX_SET: usize = 256 * 1024;

/// Fetches the JWK set. An error is a text for the log.
pub(crate) async fn fetch(source: &KeySource, timeout: Duration) -> Result<Vec<u8>, String> {
    let fetched = async {
        match source {
            KeySource::Uri { uri, ca_file, bearer_token_file } => {
                get(uri, ca_file.clone(), bearer_token_file.as_deref(), timeout).await
            }
            KeySource::File(path) => file(path.clone()).await,
        }
    };
    match tokio::time::timeout(timeout, fetched).await {
        Ok(fetched) => fetched,
        Err(_) => Err(format!("{source}: no response within {} s", timeout.as_secs_f32())),
    }
}

async fn get(
    uri: &Url,
    ca_file: Option<PathBuf>,
    bearer_token_file: Option<&Path>,
    timeout: Duration,
) -> Result<Vec<u8>, String> {
    let shown = printable(uri.as_str());
    let token = match bearer_token_file {
        Some(path) => Some(bearer(path).await?),
        None => None,
    };
    // A new client for each fetch, because certificate authorities are rotated too.
    let plain = uri.scheme() == "http";
    let client = tokio::task::spawn_blocking(move || https_client(plain, ca_file.as_deref(), timeout)).await;
    let client = client.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
    // Some servers and firewalls reject a request without a `User-Agent`, and some compress by default.
    let mut request = Request::get(uri.as_str())
        .header(ACCEPT, "application/jwk-set+json, application/json")
        .header(ACCEPT_ENCODING, "identity")
        .header(USER_AGENT, concat!("tokend/", env!("CARGO_PKG_VERSION")));
    if let Some(token) = token {
        request = request.header(AUTHORIZATION, token);
    }
    let request = request.body(Full::<Bytes>::default()).map_err(|error| error.to_string())?;
    let response =
        client.request(request).await.map_err(|error| format!("{shown}: {}", error_chain(&error)))?;
    // A redirect is not followed: the server must not choose the source of the keys.
    if response.status() != http::StatusCode::OK {
        return Err(format!("{shown}: the response is {}", response.status()));
    }
    let body = Limited::new(response.into_body(), MAX_SET).collect().await;
    let body = body.map_err(|error| format!("{shown}: the response is incomplete or too large: {error}"))?;
    Ok(body.to_bytes().to_vec())
}

async fn bearer(path: &Path) -> Result<HeaderValue, String> {
    let token = read_token(path).await?;
    let text = Zeroizing::new(format!("Bearer {}", *token));
    let mut value =
        HeaderValue::from_str(&text).map_err(|_| format!("{} does not contain a token", path.display()))?;
    value.set_sensitive(true);
    Ok(value)
}

async fn file(path: PathBuf) -> Result<Vec<u8>, String> {
    let limit = u64::try_from(MAX_SET).unwrap_or(u64::MAX);
    let shown = path.display().to_string();
    let read = move || -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        files::open(&path)?.take(limit + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = tokio::task::spawn_blocking(read).await.map_err(|error| error.to_string())?;
    let bytes = bytes.map_err(|error| format!("{shown} cannot be read: {error}"))?;
    if bytes.len() > MAX_SET { Err(format!("{shown} is too large")) } else { Ok(bytes) }
}

impl std::fmt::Display for KeySource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Uri { uri, .. } => write!(f, "{uri}"),
            Self::File(path) => write!(f, "{}", path.display()),
        }
    }
}
