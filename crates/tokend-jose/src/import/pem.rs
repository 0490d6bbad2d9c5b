//! PEM (RFC 7468): exactly one block. White space is allowed wherever section 2 allows a parser to accept it, because files pass through
//! YAML and environment variables.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

use super::{
    der,
    imported_key::ImportedKey,
    problem::{ImportError, Problem},
};
use crate::Algorithm;

/// Reads and checks the only key in `text`.
pub(super) fn read(text: &str, requested: Option<Algorithm>) -> Result<ImportedKey, ImportError> {
    let blocks = blocks(text)?;
    let (parameters, block) = match blocks.as_slice() {
        [] => return Err(Problem::PemMissing.into()),
        [block] => (None, block),
        // What `openssl ecparam -genkey` writes.
        [parameters, block] if parameters.label == "EC PARAMETERS" && block.label == "EC PRIVATE KEY" => {
            (Some(parameters.bytes()?), block)
        }
        _ => return Err(Problem::PemSeveral.into()),
    };
    let candidate = match block.label {
        "PRIVATE KEY" => der::private_key_info(&block.bytes()?)?,
        "EC PRIVATE KEY" => {
            der::ec_private_key(&block.bytes()?, parameters.as_ref().map(|der| der.as_slice()))?
        }
        "RSA PRIVATE KEY" => der::rsa_private_key(&block.bytes()?)?,
        "PUBLIC KEY" => der::public_key_info(&block.bytes()?)?,
        "RSA PUBLIC KEY" => der::rsa_public_key(&block.bytes()?)?,
        "ENCRYPTED PRIVATE KEY" => return Err(Problem::PemEncrypted.into()),
        "CERTIFICATE" | "X509 CERTIFICATE" | "TRUSTED CERTIFICATE" => {
            return Err(Problem::PemCertificate.into());
        }
        _ => return Err(Problem::PemLabel.into()),
    };
    // A path inside of DER would not help the caller.
    candidate.check(None, requested).map_err(|error| error.problem.into())
}

struct Block<'t> {
    label: &'t str,
    body: &'t str,
}

impl Block<'_> {
    fn bytes(&self) -> Result<Zeroizing<Vec<u8>>, Problem> {
        // The header of OpenSSL's own encryption (RFC 1421 section 4.6.1.1).
        if self.body.contains("Proc-Type:") {
            return Err(Problem::PemEncrypted);
        }
        if self.body.contains(r"\n") {
            return Err(Problem::PemEscaped);
        }
        // Allocated once: a buffer that grows would leave copies of the key in memory.
        let mut text = Zeroizing::new(String::with_capacity(self.body.len()));
        text.extend(self.body.chars().filter(|character| !matches!(character, ' ' | '\t'..='\r')));
        STANDARD.decode(text.as_bytes()).map(Zeroizing::new).map_err(|_| Problem::PemMalformed)
    }
}

/// The blocks of `text`, with any text between them; at most two.
fn blocks(text: &str) -> Result<Vec<Block<'_>>, Problem> {
    let mut blocks = Vec::new();
    let mut rest = text;
    while let Some((_, begun)) = rest.split_once("-----BEGIN ") {
        if blocks.len() == 2 {
            return Err(Problem::PemSeveral);
        }
        let (label, begun) = begun.split_once("-----").ok_or(Problem::PemMalformed)?;
        let (body, after) =
            begun.split_once(&format!("-----END {label}-----")).ok_or(Problem::PemMalformed)?;
        blocks.push(Block { label, body });
        rest = after;
    }
    Ok(blocks)
}
