//! Key material from a file or stdin: never from an argument, which all users of a machine see.

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

use super::{failure::Failure, output::talk};
use crate::proto::v1::import_key_request::Material;

/// More than any key or JWK set needs: a path that names something else is noticed.
const LONGEST: usize = 256 * 1024;

/// Where the key is. One of these.
#[derive(Args)]
#[group(required = true, multiple = false)]
pub(super) struct MaterialFile {
    /// A PEM file with one key: PKCS#8, SEC 1 or PKCS#1, private or public. `-` is stdin
    #[arg(long, value_name = "FILE")]
    pem: Option<PathBuf>,
    /// A file with a JWK, or with a JWK set of public keys or of secrets. `-` is stdin
    #[arg(long, value_name = "FILE")]
    jwk: Option<PathBuf>,
    /// A file with an HMAC secret as base64url or base64. `-` is stdin
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
}

impl MaterialFile {
    /// Reads the material; a secret is base64url or base64 text, or the bare bytes where it is `raw`.
    ///
    /// # Errors
    /// When the file cannot be read or is not of its form. The error says nothing of what it holds.
    pub(super) fn read(&self, raw: bool) -> Result<Material, Failure> {
        match (&self.pem, &self.jwk, &self.secret_file) {
            (Some(path), ..) => Ok(Material::Pem(text("--pem", path, &bytes("--pem", path)?)?.to_owned())),
            (_, Some(path), _) => {
                Ok(Material::JwkJson(text("--jwk", path, &bytes("--jwk", path)?)?.to_owned()))
            }
            (.., Some(path)) => {
                let given = bytes("--secret-file", path)?;
                let read = if raw { raw_secret(&given) } else { encoded_secret(&given) };
                let (secret, form) = read
                    .map_err(|problem| Failure::usage(format!("--secret-file: {} {problem}", name(path))))?;
                talk(&format!("the secret is {} bytes, read {form}", secret.len()));
                Ok(Material::Secret(secret))
            }
            // The group asks for one.
            (None, None, None) => Err(Failure::usage("say --pem, --jwk or --secret-file")),
        }
    }
}

/// A secret as its bytes, and how it was read. A text with a line end would be another secret than the text.
fn raw_secret(given: &[u8]) -> Result<(Vec<u8>, &'static str), &'static str> {
    let is_text = |bytes: &[u8]| bytes.iter().all(|byte| (b' '..=b'~').contains(byte));
    match given.strip_suffix(b"\n").map(|line| line.strip_suffix(b"\r").unwrap_or(line)) {
        Some(line) if is_text(line) => Err(
            "is text that ends with a line break, which would be part of the secret: `printf %s` writes none",
        ),
        _ => Ok((given.to_vec(), "as they are (--raw)")),
    }
}

/// A secret from its text, and how it was read. The alphabets of base64url and base64 differ in two characters; what could be hex
/// digits as well is refused.
fn encoded_secret(given: &[u8]) -> Result<(Vec<u8>, &'static str), &'static str> {
    const NEITHER: &str = "is not base64url or base64: --raw takes bytes as they are";
    let text = std::str::from_utf8(given).map_err(|_| NEITHER)?.trim();
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

/// The whole of a file, or of stdin.
fn bytes(flag: &str, path: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let read = if path == Path::new("-") {
        if io::stdin().is_terminal() {
            talk("Paste the key, then Enter and Ctrl-D:");
        }
        whole(io::stdin().lock())
    } else {
        File::open(path).and_then(whole)
    };
    let bytes =
        read.map_err(|error| Failure::usage(format!("{flag}: {} cannot be read: {error}", name(path))))?;
    match bytes.len() {
        0 => Err(Failure::usage(format!("{flag}: {} is empty", name(path)))),
        length if length > LONGEST => {
            Err(Failure::usage(format!("{flag}: {} is too long for a key", name(path))))
        }
        _ => Ok(bytes),
    }
}

/// All there is to read, up to one byte too much.
fn whole(from: impl Read) -> io::Result<Zeroizing<Vec<u8>>> {
    // Made in its full size: one that grows leaves copies behind that nobody wipes.
    let mut bytes = Zeroizing::new(Vec::with_capacity(LONGEST + 1));
    from.take(LONGEST as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn text<'a>(flag: &str, path: &Path, bytes: &'a [u8]) -> Result<&'a str, Failure> {
    std::str::from_utf8(bytes).map_err(|_| Failure::usage(format!("{flag}: {} is not text", name(path))))
}

fn name(path: &Path) -> String {
    if path == Path::new("-") { "stdin".to_owned() } else { path.display().to_string() }
}
