//! The files that TLS is made from.

use std::{
    io::Read as _,
    path::{Path, PathBuf},
};

use aws_lc_rs::digest::{Context, SHA256};
use zeroize::Zeroizing;

use crate::files;

/// No file is larger.
const LARGEST: u64 = 1024 * 1024;

/// The files that TLS is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate chain in PEM, leaf first.
    pub certificate: PathBuf,
    /// Its private key in PEM.
    pub key: PathBuf,
    /// Authorities whose certificates clients may present, in PEM; none: clients are not asked for any.
    pub client_ca: Option<PathBuf>,
    /// Whether clients must present one.
    pub client_auth: ClientAuth,
}

/// Whether clients must present a certificate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ClientAuth {
    /// They may.
    #[default]
    Optional,
    /// They must.
    Required,
}

/// The files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("setting `{setting}`: {path} cannot be read: {problem}")]
    File {
        /// The setting that names it.
        setting: &'static str,
        /// The file.
        path: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The key is not the certificate's, or of an unknown kind.
    #[error("settings `tls_cert_file` and `tls_key_file` do not go together: {0}")]
    Pair(String),
    /// The certificate is no longer valid, or not yet.
    #[error("setting `tls_cert_file`: {path}: {problem}")]
    Validity {
        /// The file.
        path: String,
        /// When it was or will be.
        problem: String,
    },
}

/// What the files held at one time.
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

    /// Tells contents from one another, without keeping any.
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
    // Of one size from the start, so that no copy of a key is left where it grew.
    let mut octets = Vec::with_capacity(64 * 1024);
    files::open(path).map_err(failed)?.take(LARGEST + 1).read_to_end(&mut octets).map_err(failed)?;
    if octets.len() as u64 > LARGEST {
        return Err(unreadable(setting, path, &"it is larger than 1 MiB"));
    }
    Ok(octets)
}
