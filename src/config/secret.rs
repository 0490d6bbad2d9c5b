//! Secrets, which cannot be printed.

use std::{
    fmt,
    fs::File,
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use super::setting::check_ends;
use crate::{files, keys::SharedSecret, model::Algorithm};

/// The text of a secret. Its memory is wiped.
#[derive(Clone)]
pub struct Secret {
    text: Zeroizing<String>,
    file: Option<PathBuf>,
}

impl Secret {
    /// A secret of this text.
    pub fn from_text(text: impl Into<String>) -> Self {
        Self { text: Zeroizing::new(text.into()), file: None }
    }

    /// Reads a secret from a file, without the line ends after it.
    ///
    /// # Errors
    /// When the file cannot be read, is empty, begins or ends with a blank, or is not UTF-8. The error does not quote the file.
    pub fn from_file(path: &Path) -> Result<Self, String> {
        // The file may be a pipe, such as a shell's `<(…)`.
        let file = File::open(path)
            .map_err(|error| format!("{} cannot be read: {error}", files::printable(path)))?;
        let text = files::secret(file, path)?;
        check_ends(&text).map_err(|problem| format!("{}: {problem}", files::printable(path)))?;
        Ok(Self { text, file: Some(path.to_owned()) })
    }

    /// The text itself.
    pub fn reveal(&self) -> &str {
        &self.text
    }

    /// The file of the secret.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

/// Parses a secret that other services share, for the HS algorithm among `algorithms`.
///
/// # Errors
/// When there is not exactly one such algorithm, when the text is not base64url, or when the secret is shorter than the hash
/// (RFC 7518 section 3.2). The error does not quote the secret.
pub(super) fn shared_secret(secret: &Secret, algorithms: &[Algorithm]) -> Result<SharedSecret, String> {
    let mut symmetric = algorithms.iter().copied().filter(|algorithm| algorithm.is_symmetric());
    let (Some(algorithm), None) = (symmetric.next(), symmetric.next()) else {
        return Err("needs exactly one of HS256, HS384 and HS512 in `algorithms`".to_owned());
    };
    let text = secret.reveal().trim_end_matches('=');
    let bytes = URL_SAFE_NO_PAD.decode(text).map(Zeroizing::new).map_err(|_| "must be base64url")?;
    let least = match algorithm {
        Algorithm::Hs512 => 64,
        Algorithm::Hs384 => 48,
        _ => 32,
    };
    if bytes.len() < least {
        return Err(format!("must hold at least {least} bytes for {algorithm}"));
    }
    Ok(SharedSecret(bytes))
}
