//! `tokend key import`. Key material comes from a file or stdin, never from an argument, which all users of a machine can see.

use std::{
    fs::File,
    io::{self, IsTerminal as _, Read},
    path::{Path, PathBuf},
};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use clap::Args;
use zeroize::Zeroizing;

use super::{
    Service,
    view::{document, state},
};
use crate::{
    cli::{
        connection::RemoteFlags,
        error::CliError,
        output::{escaped, message, print, print_json},
    },
    clock::{Clock as _, SystemClock},
    proto::v1::{ImportKeyRequest, KeyUsage, import_key_request::Material},
};

/// Longer than any key or JWK set: the path probably names another file.
const LONGEST: usize = 256 * 1024;

#[derive(Args)]
#[command(after_help = "Examples:
  openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 | tokend key import --pem -
  tokend key import --jwk partner-jwks.json --verify-only --issuer https://id.partner.example
  tokend key import --secret-file shared.secret --algorithm HS256 --key-id legacy

A private key becomes the pending key of its algorithm, and signs after a rotation. A public key, or any key with
--verify-only, only verifies.")]
pub(in crate::cli) struct Import {
    #[command(flatten)]
    material: MaterialFile,
    /// Read the secret file as bytes, not as base64url
    #[arg(long, conflicts_with_all = ["pem", "jwk"])]
    raw: bool,
    /// Set the key's id (`kid`) [default: the id in the JWK, else the thumbprint, else a random id]
    // A thumbprint may begin with a dash.
    #[arg(long, value_name = "KEY_ID", allow_hyphen_values = true)]
    key_id: Option<String>,
    /// Set the algorithm; required for a secret, and for an RSA key that does not name its algorithm
    #[arg(long, value_name = "NAME")]
    algorithm: Option<String>,
    /// Use the key only to verify, and do not store its private part
    #[arg(long)]
    verify_only: bool,
    /// Verify only the tokens of this issuer (`iss`) with the key [default: this server's own]
    #[arg(long, value_name = "ISSUER")]
    issuer: Option<String>,
    #[command(flatten)]
    remote: RemoteFlags,
}

/// The file with the key.
#[derive(Args)]
#[group(required = true, multiple = false)]
struct MaterialFile {
    /// Read a PEM file with one key: PKCS#8, SEC 1 or PKCS#1, private or public. `-` is stdin
    #[arg(long, value_name = "FILE")]
    pem: Option<PathBuf>,
    /// Read a file with a JWK, or with a JWK set of public keys or of secrets. `-` is stdin
    #[arg(long, value_name = "FILE")]
    jwk: Option<PathBuf>,
    /// Read a file with an HMAC secret as base64url or base64. `-` is stdin
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
}

impl Import {
    pub(super) fn run(self) -> Result<(), CliError> {
        let usage = if self.verify_only { KeyUsage::VerifyOnly } else { KeyUsage::Unspecified };
        let request = ImportKeyRequest {
            material: Some(self.material.read(self.raw)?),
            key_id: self.key_id.unwrap_or_default(),
            algorithm: self.algorithm.unwrap_or_default(),
            usage: usage.into(),
            issuer: self.issuer.unwrap_or_default(),
            request_id: String::new(),
        };
        let imported = self.remote.unary(async |channel| Service::new(channel).import_key(request).await)?;
        for key in &imported.skipped_keys {
            message(&escaped(&format!("skipped: {} (kid {:?})", key.problem, key.key_id)));
        }
        if self.remote.is_json() {
            return print_json(&imported.keys.iter().map(document).collect::<Vec<_>>());
        }
        let now = SystemClock.now();
        imported.keys.iter().for_each(|key| message(&state(key, now)));
        let ids: Vec<String> = imported.keys.iter().map(|key| escaped(&key.key_id)).collect();
        print(&ids.join("\n"))
    }
}

impl MaterialFile {
    /// Reads the material; a secret as base64url or base64 text, or as bytes if it is `raw`.
    ///
    /// # Errors
    /// When the file cannot be read or has another form. The error does not quote the file.
    fn read(&self, raw: bool) -> Result<Material, CliError> {
        match (&self.pem, &self.jwk, &self.secret_file) {
            (Some(path), ..) => Ok(Material::Pem(text("--pem", path)?)),
            (_, Some(path), _) => Ok(Material::JwkJson(text("--jwk", path)?)),
            (.., Some(path)) => {
                let bytes = bytes("--secret-file", path)?;
                let read = if raw { raw_secret(&bytes) } else { encoded_secret(&bytes) };
                let (secret, form) = read
                    .map_err(|problem| CliError::usage(format!("--secret-file: {} {problem}", name(path))))?;
                message(&format!("the secret has {} bytes, read {form}", secret.len()));
                Ok(Material::Secret(secret))
            }
            // clap requires one of the group.
            (None, None, None) => Err(CliError::usage("give --pem, --jwk or --secret-file")),
        }
    }
}

/// A secret as bytes, and how it was read. A line end after text would change the secret.
fn raw_secret(bytes: &[u8]) -> Result<(Vec<u8>, &'static str), &'static str> {
    let is_text = |bytes: &[u8]| bytes.iter().all(|byte| (b' '..=b'~').contains(byte));
    match bytes.strip_suffix(b"\n").map(|line| line.strip_suffix(b"\r").unwrap_or(line)) {
        Some(line) if is_text(line) => Err(
            "is text that ends with a line break, which would be part of the secret: `printf %s` writes none",
        ),
        _ => Ok((bytes.to_vec(), "as they are (--raw)")),
    }
}

/// A secret from base64url or base64, which differ in two characters, and how it was read. Text that could be hexadecimal is
/// rejected.
fn encoded_secret(bytes: &[u8]) -> Result<(Vec<u8>, &'static str), &'static str> {
    const NEITHER: &str = "is not base64url or base64: --raw takes bytes as they are";
    let text = std::str::from_utf8(bytes).map_err(|_| NEITHER)?.trim();
    if text.len() % 2 == 0 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(
            "could be hex digits as well as base64url: decode hex with `xxd -r -p`, and give the bytes with --raw",
        );
    }
    let text = text.trim_end_matches('=');
    let (engine, form) = match text.contains(['+', '/']) {
        true => (&STANDARD_NO_PAD, "as base64"),
        false => (&URL_SAFE_NO_PAD, "as base64url"),
    };
    engine.decode(text).map(|secret| (secret, form)).map_err(|_| NEITHER)
}

fn text(flag: &str, path: &Path) -> Result<String, CliError> {
    let bytes = bytes(flag, path)?;
    let text = std::str::from_utf8(&bytes);
    text.map(str::to_owned).map_err(|_| CliError::usage(format!("{flag}: {} is not text", name(path))))
}

/// Reads the whole file, or stdin.
fn bytes(flag: &str, path: &Path) -> Result<Zeroizing<Vec<u8>>, CliError> {
    let read = if path == Path::new("-") {
        if io::stdin().is_terminal() {
            message("Paste the key, then press Enter and Ctrl-D:");
        }
        read_all(io::stdin().lock())
    } else {
        File::open(path).and_then(read_all)
    };
    let failed = |problem: String| CliError::usage(format!("{flag}: {} {problem}", name(path)));
    let bytes = read.map_err(|error| failed(format!("cannot be read: {error}")))?;
    match bytes.len() {
        0 => Err(failed("is empty".to_owned())),
        length if length > LONGEST => Err(failed("is too long for a key".to_owned())),
        _ => Ok(bytes),
    }
}

/// Reads up to one byte more than is allowed.
fn read_all(from: impl Read) -> io::Result<Zeroizing<Vec<u8>>> {
    // With its full capacity: a vector that grows leaves copies that are not wiped.
    let mut bytes = Zeroizing::new(Vec::with_capacity(LONGEST + 1));
    from.take(LONGEST as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn name(path: &Path) -> String {
    if path == Path::new("-") { "stdin".to_owned() } else { path.display().to_string() }
}
