//! The TLS files: certificate, key and client CA.

use std::{
    io::Read as _,
    path::{Path, PathBuf},
};

use aws_lc_rs::digest::{Context, SHA256};
use zeroize::Zeroizing;

use crate::files;

/// Size limit of a file.
const MAX_BYTES: u64 = 1024 * 1024;

/// The TLS files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate chain in PEM, leaf first.
    pub certificate: PathBuf,
    /// Its private key in PEM.
    pub key: PathBuf,
    /// Certificate authorities for client certificates, in PEM; none: client certificates are not requested.
    pub client_ca: Option<PathBuf>,
    /// Whether clients must present a certificate.
    pub client_auth: ClientAuth,
    /// Whether the HTTP port requests client certificates, too. It never requires them: probes have none.
    pub client_certificates_on_http: bool,
}

/// Whether clients must present a certificate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ClientAuth {
    /// A certificate is optional.
    #[default]
    Optional,
    /// A certificate is required.
    Required,
}

/// The TLS files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("setting `{setting}`: {path} cannot be read: {problem}")]
    File {
        /// The setting that names the file.
        setting: &'static str,
        /// The file.
        path: String,
        /// The reason.
        problem: String,
    },
    /// The key does not match the certificate, or has an unknown type.
    #[error(
        "settings `tls_cert_file` and `tls_key_file`: the key does not match the certificate: {0}; use the pair that was issued together"
    )]
    Pair(String),
    /// The certificate has expired, or is not valid yet.
    #[error("setting `tls_cert_file`: {path}: {problem}")]
    Validity {
        /// The file.
        path: String,
        /// The end or the beginning of the validity.
        problem: String,
    },
}

/// The contents of the TLS files at one time.
pub(super) struct Contents {
    pub(super) certificate: Vec<u8>,
    pub(super) key: Zeroizing<Vec<u8>>,
    pub(super) client_ca: Option<Vec<u8>>,
}

impl Contents {
    pub(super) fn read(files: &TlsFiles) -> Result<Self, TlsError> {
        let client_ca = files.client_ca.as_deref().map(|path| read("tls_client_ca_file", path));
        Ok(Self {
            certificate: read("tls_cert_file", &files.certificate)?,
            key: Zeroizing::new(read("tls_key_file", &files.key)?),
            client_ca: client_ca.transpose()?,
        })
    }

    /// A hash to compare contents by, so that no copy of the key is kept.
    pub(super) fn digest(&self) -> [u8; 32] {
        let mut context = Context::new(&SHA256);
        let parts = [Some(&self.certificate), Some(&*self.key), self.client_ca.as_ref()];
        for part in parts.into_iter().flatten() {
            context.update(&part.len().to_be_bytes());
            context.update(part);
        }
        let mut digest = [0; 32];
        digest.copy_from_slice(context.finish().as_ref());
        digest
    }
}

pub(super) fn unreadable(setting: &'static str, path: &Path, problem: &dyn std::fmt::Display) -> TlsError {
    TlsError::File { setting, path: path.display().to_string(), problem: problem.to_string() }
}

fn read(setting: &'static str, path: &Path) -> Result<Vec<u8>, TlsError> {
    let failed = |error: std::io::Error| unreadable(setting, path, &error);
    // Allocated once: growing the vector would leave copies of the key in freed memory.
    let mut bytes = Vec::with_capacity(64 * 1024);
    files::open(path).map_err(failed)?.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(unreadable(setting, path, &"it is larger than 1 MiB"));
    }
    Ok(bytes)
}
