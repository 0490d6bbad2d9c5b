//! Values that cannot be printed.

use std::{
    fmt,
    fs::File,
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use crate::{files, model::Algorithm};

/// A secret's text. Its memory is wiped.
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

    /// Reads a secret from a file; line ends after it are left out.
    ///
    /// # Errors
    /// When the file cannot be read, is empty, or holds no text. The error says nothing of what it holds.
    pub fn from_file(path: &Path) -> Result<Self, String> {
        // A pipe will do, such as a shell's `<(…)`.
        let file = File::open(path)
            .map_err(|error| format!("{} cannot be read: {error}", files::printable(path)))?;
        files::secret(file, path).map(|text| Self { text, file: Some(path.to_owned()) })
    }

    /// The text itself, for the one who may see it.
    pub fn reveal(&self) -> &str {
        &self.text
    }

    /// The file that it was read from.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

/// An HMAC secret that other services hold too.
#[derive(Clone)]
pub struct SharedSecret {
    /// What it signs with.
    pub algorithm: Algorithm,
    /// Its bytes.
    pub bytes: Zeroizing<Vec<u8>>,
}

impl SharedSecret {
    /// Reads a shared secret for the HS algorithm among `algorithms`.
    ///
    /// # Errors
    /// When there is not exactly one, when the text is not base64url, or when it is shorter than the hash
    /// (RFC 7518 section 3.2). The error says nothing of the secret.
    pub fn read(secret: &Secret, algorithms: &[Algorithm]) -> Result<Self, String> {
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
        Ok(Self { algorithm, bytes })
    }
}

impl fmt::Debug for SharedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SharedSecret({}, redacted)", self.algorithm)
    }
}
