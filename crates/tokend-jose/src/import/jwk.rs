//! One JWK (RFC 7517 section 4, RFC 7518 section 6, RFC 8037, RFC 9964).

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::{
    candidate::{Candidate, Kind},
    check::length,
    imported_key::ImportedKey,
    private::{Private, RsaPrivate},
    problem::{ImportError, Problem},
    secret,
};
use crate::{Algorithm, KeyId, key_type::KeyType, public_key::Parts};

/// The members of an RSA key that are private (RFC 7518 section 6.3.2).
const RSA_PRIVATE: [&str; 7] = ["d", "p", "q", "dp", "dq", "qi", "oth"];

/// Reads and checks one key.
pub fn read(members: &Map<String, Value>, requested: Option<Algorithm>) -> Result<ImportedKey, ImportError> {
    let jwk = Jwk(members);
    let key_type = jwk.text("kty")?;
    jwk.check_use()?;
    let may_sign = jwk.may_sign(is_private(members))?;
    let key_id = jwk.optional_text("kid")?.map(KeyId::parse).transpose();
    let key_id = key_id.map_err(|error| Problem::KeyId(error).at("kid"))?;
    let declared = jwk.optional_text("alg")?.map(str::parse::<Algorithm>).transpose();
    let declared = declared.map_err(|_| Problem::AlgorithmUnknown.at("alg"))?;
    let key = match key_type {
        "EC" => jwk.ec()?.check(declared, requested)?,
        "OKP" => jwk.okp()?.check(declared, requested)?,
        "RSA" => jwk.rsa()?.check(declared, requested)?,
        "AKP" => jwk.akp(declared.ok_or_else(|| Problem::Missing.at("alg"))?)?.check(declared, requested)?,
        "oct" => {
            let bytes = jwk.bytes("k")?;
            secret::check(&bytes, declared, requested).map_err(|error| match error.problem {
                Problem::SecretIsKey | Problem::SecretTooShort { .. } => error.inside("k"),
                _ => error,
            })?
        }
        _ => return Err(Problem::KeyType.at("kty")),
    };
    Ok(ImportedKey { key_id, may_sign: may_sign && key.may_sign, ..key })
}

/// Whether the key has a private member.
pub(super) fn is_private(members: &Map<String, Value>) -> bool {
    ["priv", "k"].iter().chain(&RSA_PRIVATE).any(|name| member(members, name).is_some())
}

/// The value of a member. `null` and empty lists count as absent, because some tools write them for absent members.
fn member<'m>(members: &'m Map<String, Value>, name: &str) -> Option<&'m Value> {
    let is_absent = |value: &Value| value.is_null() || value.as_array().is_some_and(Vec::is_empty);
    members.get(name).filter(|value| !is_absent(value))
}

struct Jwk<'m>(&'m Map<String, Value>);

impl<'m> Jwk<'m> {
    fn ec(&self) -> Result<Candidate, ImportError> {
        let kind = match self.text("crv")? {
            "P-256" => Kind::P256,
            "P-384" => Kind::P384,
            _ => return Err(Problem::EcCurve.at("crv")),
        };
        let public = Parts::Ec { x: self.bytes("x")?.to_vec(), y: self.bytes("y")?.to_vec() };
        let private = self.private_number("d", kind.number_len())?.map(Private::Ec);
        Ok(Candidate { kind, public: Some(public), private })
    }

    fn okp(&self) -> Result<Candidate, ImportError> {
        if self.text("crv")? != "Ed25519" {
            return Err(Problem::OkpCurve.at("crv"));
        }
        let public = Parts::Okp { x: self.bytes("x")?.to_vec() };
        let private = self.private_number("d", Kind::Ed25519.number_len())?.map(Private::Okp);
        Ok(Candidate { kind: Kind::Ed25519, public: Some(public), private })
    }

    fn rsa(&self) -> Result<Candidate, ImportError> {
        let public = Parts::Rsa { n: self.number("n")?, e: self.number("e")? };
        if member(self.0, "oth").is_some() {
            return Err(Problem::RsaMultiPrime.at("oth"));
        }
        let private = if RSA_PRIVATE.iter().any(|name| member(self.0, name).is_some()) {
            let part = |name| match member(self.0, name) {
                Some(_) => self.bytes(name),
                None => Err(Problem::RsaIncomplete.into()),
            };
            Some(Private::Rsa(Box::new(RsaPrivate {
                d: part("d")?,
                p: part("p")?,
                q: part("q")?,
                dp: part("dp")?,
                dq: part("dq")?,
                qi: part("qi")?,
            })))
        } else {
            None
        };
        Ok(Candidate { kind: Kind::Rsa, public: Some(public), private })
    }

    fn akp(&self, algorithm: Algorithm) -> Result<Candidate, ImportError> {
        if KeyType::of(algorithm) != KeyType::Akp {
            return Err(Problem::AlgorithmUnfit(algorithm).at("alg"));
        }
        let public = Parts::Akp { public: self.bytes("pub")?.to_vec() };
        let private = self.private_number("priv", 32)?.map(Private::Seed);
        Ok(Candidate { kind: Kind::MlDsa(algorithm), public: Some(public), private })
    }

    fn check_use(&self) -> Result<(), ImportError> {
        match self.optional_text("use")? {
            // `jwt-svid`: SPIFFE Trust Domain and Bundle, section 4.2.2.
            None | Some("sig" | "jwt-svid") => Ok(()),
            Some(_) => Err(Problem::Use.at("use")),
        }
    }

    /// Whether `key_ops` (RFC 7517 section 4.3) allow signing. A public key must allow `verify`, a private key or a secret `sign` or
    /// `verify`: WebCrypto gives each part its own operation.
    fn may_sign(&self, is_private: bool) -> Result<bool, ImportError> {
        let Some(operations) = member(self.0, "key_ops") else { return Ok(true) };
        let texts = operations.as_array().and_then(|list| list.iter().map(Value::as_str).collect());
        let texts: Vec<&str> = texts.ok_or_else(|| Problem::KeyOps.at("key_ops"))?;
        let mut sorted = texts.clone();
        sorted.sort_unstable();
        sorted.dedup();
        if sorted.len() != texts.len() {
            return Err(Problem::KeyOps.at("key_ops"));
        }
        let may_sign = texts.contains(&"sign");
        if !(texts.contains(&"verify") || is_private && may_sign) {
            return Err(Problem::KeyOpsUnfit.at("key_ops"));
        }
        Ok(may_sign)
    }

    fn optional_text(&self, name: &str) -> Result<Option<&'m str>, ImportError> {
        match member(self.0, name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(Problem::NotText.at(name)),
        }
    }

    fn text(&self, name: &str) -> Result<&'m str, ImportError> {
        self.optional_text(name)?.ok_or_else(|| Problem::Missing.at(name))
    }

    fn bytes(&self, name: &str) -> Result<Zeroizing<Vec<u8>>, ImportError> {
        let bytes = URL_SAFE_NO_PAD.decode(self.text(name)?);
        Ok(Zeroizing::new(bytes.map_err(|_| Problem::Base64.at(name))?))
    }

    /// A public number in its shortest form (RFC 7518 section 2, Base64urlUInt).
    fn number(&self, name: &str) -> Result<Vec<u8>, ImportError> {
        let bytes = self.bytes(name)?;
        match bytes.first() {
            None | Some(0) => Err(Problem::Number.at(name)),
            Some(_) => Ok(bytes.to_vec()),
        }
    }

    /// A private number in its full length, if the member is there.
    fn private_number(&self, name: &str, len: usize) -> Result<Option<Zeroizing<Vec<u8>>>, ImportError> {
        if member(self.0, name).is_none() {
            return Ok(None);
        }
        let bytes = self.bytes(name)?;
        length(&bytes, len).map_err(|problem| problem.at(name))?;
        Ok(Some(bytes))
    }
}
