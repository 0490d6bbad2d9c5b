//! TLS to a server: the trusted authorities and the client certificate.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::Args;
use tonic::transport::{Certificate, ClientTlsConfig, Identity};
use zeroize::Zeroizing;

use super::variable;
use crate::cli::error::CliError;

const CA_FILE: (&str, &str) = ("--ca-file", "TOKEND_CA_FILE");
const CERT_FILE: (&str, &str) = ("--cert-file", "TOKEND_CERT_FILE");
const KEY_FILE: (&str, &str) = ("--key-file", "TOKEND_KEY_FILE");

#[derive(Args)]
pub(super) struct ClientTls {
    /// Trust these certificates instead of the system's, PEM [variable: TOKEND_CA_FILE]
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Present this certificate chain, PEM: a client that is registered with one of its names needs no secret
    /// [variable: TOKEND_CERT_FILE]
    #[arg(long, value_name = "FILE")]
    cert_file: Option<PathBuf>,
    /// Use this private key of the certificate, PEM [variable: TOKEND_KEY_FILE]
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
}

impl ClientTls {
    /// Whether a certificate or its key is given.
    pub(super) fn has_certificate(&self) -> bool {
        path(&self.cert_file, CERT_FILE).is_some() || path(&self.key_file, KEY_FILE).is_some()
    }

    /// # Errors
    /// When a file cannot be read, or a certificate is given without its key.
    pub(super) fn config(&self) -> Result<ClientTlsConfig, CliError> {
        let config = match path(&self.ca_file, CA_FILE) {
            Some(path) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read(&path, CA_FILE)?)),
            None => ClientTlsConfig::new().with_native_roots(),
        };
        match (path(&self.cert_file, CERT_FILE), path(&self.key_file, KEY_FILE)) {
            (Some(certificate), Some(key)) => {
                let (certificate, key) =
                    (read(&certificate, CERT_FILE)?, Zeroizing::new(read(&key, KEY_FILE)?));
                Ok(config.identity(Identity::from_pem(certificate, key)))
            }
            (None, None) => Ok(config),
            (Some(_), None) => Err(without(CERT_FILE, KEY_FILE)),
            (None, Some(_)) => Err(without(KEY_FILE, CERT_FILE)),
        }
    }
}

/// The path of the flag, or else of the variable.
fn path(given: &Option<PathBuf>, (_, name): (&str, &str)) -> Option<PathBuf> {
    given.clone().or_else(|| variable(name).map(PathBuf::from))
}

fn read(path: &Path, (flag, _): (&str, &str)) -> Result<Vec<u8>, CliError> {
    fs::read(path)
        .map_err(|error| CliError::usage(format!("{flag}: {} cannot be read: {error}", path.display())))
}

fn without((given, _): (&str, &str), (missing, variable): (&str, &str)) -> CliError {
    CliError::usage(format!("{given} without {missing} (or {variable})"))
}
