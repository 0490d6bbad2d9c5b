//! The DER in PEM: PKCS#8, SPKI, SEC 1 and PKCS#1.

use pkcs1::{RsaPrivateKeyRef, RsaPublicKeyRef};
use pkcs8::{
    AlgorithmIdentifierRef, ObjectIdentifier, PrivateKeyInfoRef,
    der::{
        self, AnyRef, Decode as _, Reader as _, SliceReader, Tag, TagNumber, Tagged as _,
        asn1::{ContextSpecific, OctetStringRef, SequenceRef, UintRef},
    },
    spki::SubjectPublicKeyInfoRef,
};
use sec1::{EcParameters, EcPrivateKey};
use zeroize::Zeroizing;

use super::{
    candidate::{Candidate, Kind},
    private::{Private, RsaPrivate},
    problem::Problem,
};
use crate::{Algorithm, public_key::Parts};

const fn oid(text: &str) -> ObjectIdentifier {
    ObjectIdentifier::new_unwrap(text)
}

/// RFC 5480 section 2.1.1, RFC 3279 section 2.3.1.
const EC: ObjectIdentifier = oid("1.2.840.10045.2.1");
const RSA: ObjectIdentifier = oid("1.2.840.113549.1.1.1");
const CURVES: [(ObjectIdentifier, Kind); 2] =
    [(oid("1.2.840.10045.3.1.7"), Kind::P256), (oid("1.3.132.0.34"), Kind::P384)];

/// Kinds of key without parameters: RFC 8410 section 3, RFC 9881 section 2.
const BARE: [(ObjectIdentifier, Kind); 4] = [
    (oid("1.3.101.112"), Kind::Ed25519),
    (oid("2.16.840.1.101.3.4.3.17"), Kind::MlDsa(Algorithm::MlDsa44)),
    (oid("2.16.840.1.101.3.4.3.18"), Kind::MlDsa(Algorithm::MlDsa65)),
    (oid("2.16.840.1.101.3.4.3.19"), Kind::MlDsa(Algorithm::MlDsa87)),
];

/// X25519, X448 and Ed448, which are OKP too.
const OTHER_OKP: [ObjectIdentifier; 3] = [oid("1.3.101.110"), oid("1.3.101.111"), oid("1.3.101.113")];

/// PKCS#8 (RFC 5958), with or without the public part.
pub(super) fn private_key_info(bytes: &[u8]) -> Result<Candidate, Problem> {
    let Ok(info) = PrivateKeyInfoRef::try_from(bytes) else {
        return ed25519_written_by_ring(bytes).ok_or(Problem::Der);
    };
    let kind = kind(&info.algorithm)?;
    let outer = match &info.public_key {
        Some(bits) => Some(public_parts(kind, bits.as_bytes().ok_or(Problem::Der)?)?),
        None => None,
    };
    let inside = info.private_key.as_bytes();
    let candidate = match kind {
        Kind::P256 | Kind::P384 => ec_private(inside, Some(kind))?,
        Kind::Rsa => rsa_private_key(inside)?,
        Kind::Ed25519 => {
            let seed = <&OctetStringRef>::from_der(inside).map_err(|_| Problem::Der)?.as_bytes();
            if seed.len() != kind.number_len() {
                return Err(Problem::Der);
            }
            let seed = Private::Okp(Zeroizing::new(seed.to_vec()));
            Candidate { kind, public: None, private: Some(seed) }
        }
        Kind::MlDsa(_) | Kind::Secret => {
            let private = Private::Pkcs8(Zeroizing::new(bytes.to_vec()));
            Candidate { kind, public: None, private: Some(private) }
        }
    };
    match (outer, candidate.public) {
        (Some(outer), Some(inner)) if outer != inner => Err(Problem::HalvesDiffer),
        (outer, inner) => Ok(Candidate { public: inner.or(outer), ..candidate }),
    }
}

/// Ed25519 as ring 0.16 wrote it: PKCS#8 whose public part has an explicit tag, where RFC 5958 has an implicit one.
fn ed25519_written_by_ring(bytes: &[u8]) -> Option<Candidate> {
    const BEFORE_SEED: [u8; 16] = *b"\x30\x53\x02\x01\x01\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20";
    const BEFORE_PUBLIC: [u8; 5] = *b"\xa1\x23\x03\x21\x00";
    let (before_seed, rest) = bytes.split_first_chunk()?;
    let (seed, rest) = rest.split_first_chunk::<32>()?;
    let (before_public, public) = rest.split_first_chunk()?;
    let is_it = (*before_seed, *before_public, public.len()) == (BEFORE_SEED, BEFORE_PUBLIC, 32);
    is_it.then(|| Candidate {
        kind: Kind::Ed25519,
        public: Some(Parts::Okp { x: public.to_vec() }),
        private: Some(Private::Okp(Zeroizing::new(seed.to_vec()))),
    })
}

/// SEC 1 (RFC 5915), with the optional block of parameters before it.
pub(super) fn ec_private_key(bytes: &[u8], parameters: Option<&[u8]>) -> Result<Candidate, Problem> {
    let outer = match parameters {
        Some(der) => Some(curve(ObjectIdentifier::from_der(der).map_err(|_| Problem::CurveUnnamed)?)?),
        None => None,
    };
    ec_private(bytes, outer)
}

/// PKCS#1 (RFC 8017 appendix A.1.2).
pub(super) fn rsa_private_key(bytes: &[u8]) -> Result<Candidate, Problem> {
    let key = RsaPrivateKeyRef::try_from(bytes).map_err(|_| Problem::Der)?;
    if key.other_prime_infos.is_some() {
        return Err(Problem::RsaMultiPrime);
    }
    let number = |number: &UintRef<'_>| Zeroizing::new(number.as_bytes().to_vec());
    let private = RsaPrivate {
        d: number(&key.private_exponent),
        p: number(&key.prime1),
        q: number(&key.prime2),
        dp: number(&key.exponent1),
        dq: number(&key.exponent2),
        qi: number(&key.coefficient),
    };
    let public =
        Parts::Rsa { n: key.modulus.as_bytes().to_vec(), e: key.public_exponent.as_bytes().to_vec() };
    Ok(Candidate { kind: Kind::Rsa, public: Some(public), private: Some(Private::Rsa(Box::new(private))) })
}

/// SPKI (RFC 5280 section 4.1.2.7).
pub(super) fn public_key_info(bytes: &[u8]) -> Result<Candidate, Problem> {
    let info = SubjectPublicKeyInfoRef::try_from(bytes).map_err(|_| Problem::Der)?;
    let kind = kind(&info.algorithm)?;
    let public = public_parts(kind, info.subject_public_key.as_bytes().ok_or(Problem::Der)?)?;
    Ok(Candidate { kind, public: Some(public), private: None })
}

/// PKCS#1 (RFC 8017 appendix A.1.1).
pub(super) fn rsa_public_key(bytes: &[u8]) -> Result<Candidate, Problem> {
    Ok(Candidate { kind: Kind::Rsa, public: Some(public_parts(Kind::Rsa, bytes)?), private: None })
}

/// SEC 1 (RFC 5915). `outer` is the curve that the surrounding structure names; the key may name the curve again.
fn ec_private(bytes: &[u8], outer: Option<Kind>) -> Result<Candidate, Problem> {
    let key = EcPrivateKey::try_from(bytes).map_err(|_| match spells_out_curve(bytes) {
        Ok(true) => Problem::CurveUnnamed,
        _ => Problem::Der,
    })?;
    let inner = key.parameters.and_then(EcParameters::named_curve).map(curve).transpose()?;
    let kind = match (outer, inner) {
        (Some(outer), Some(inner)) if outer != inner => return Err(Problem::CurvesDiffer),
        (outer, inner) => inner.or(outer).ok_or(Problem::CurveUnnamed)?,
    };
    let public = key.public_key.map(|point| public_parts(kind, point)).transpose()?;
    Ok(Candidate { kind, public, private: Some(Private::Ec(Zeroizing::new(key.private_key.to_vec()))) })
}

/// Whether a SEC 1 key contains the parameters of its curve instead of its name, which RFC 5915 section 3 does not allow.
fn spells_out_curve(bytes: &[u8]) -> der::Result<bool> {
    let mut members = SliceReader::new(<&SequenceRef>::from_der(bytes)?.as_bytes())?;
    let _version: UintRef<'_> = members.decode()?;
    let _number: &OctetStringRef = members.decode()?;
    let parameters: ContextSpecific<AnyRef<'_>> = members.decode()?;
    Ok(parameters.tag_number == TagNumber(0) && parameters.value.tag() == Tag::Sequence)
}

fn kind(algorithm: &AlgorithmIdentifierRef<'_>) -> Result<Kind, Problem> {
    let parameters = algorithm.parameters;
    if algorithm.oid == EC {
        let named = parameters.ok_or(Problem::CurveUnnamed)?.decode_as();
        return curve(named.map_err(|_| Problem::CurveUnnamed)?);
    }
    if algorithm.oid == RSA {
        let none = parameters.is_none_or(AnyRef::is_null);
        return if none { Ok(Kind::Rsa) } else { Err(Problem::Der) };
    }
    match BARE.iter().find(|(oid, _)| algorithm.oid == *oid) {
        Some((_, kind)) if parameters.is_none() => Ok(*kind),
        Some(_) => Err(Problem::Der),
        None if OTHER_OKP.contains(&algorithm.oid) => Err(Problem::OkpCurve),
        None => Err(Problem::KindUnknown),
    }
}

fn curve(oid: ObjectIdentifier) -> Result<Kind, Problem> {
    CURVES.iter().find(|(known, _)| oid == *known).map(|(_, kind)| *kind).ok_or(Problem::EcCurve)
}

/// The public part of a key of this kind, from the bytes of its bit string.
fn public_parts(kind: Kind, bytes: &[u8]) -> Result<Parts, Problem> {
    match kind {
        Kind::P256 | Kind::P384 => point(kind.number_len(), bytes),
        Kind::Ed25519 => Ok(Parts::Okp { x: bytes.to_vec() }),
        Kind::MlDsa(_) => Ok(Parts::Akp { public: bytes.to_vec() }),
        Kind::Rsa => {
            let key = RsaPublicKeyRef::try_from(bytes).map_err(|_| Problem::Der)?;
            let (n, e) = (key.modulus.as_bytes().to_vec(), key.public_exponent.as_bytes().to_vec());
            Ok(Parts::Rsa { n, e })
        }
        Kind::Secret => Err(Problem::Der),
    }
}

/// An uncompressed point (SEC 1 section 2.3.4).
fn point(len: usize, bytes: &[u8]) -> Result<Parts, Problem> {
    let Some((4, numbers)) = bytes.split_first().map(|(form, numbers)| (*form, numbers)) else {
        return Err(Problem::PointForm);
    };
    match numbers.split_at_checked(len) {
        Some((x, y)) if y.len() == len => Ok(Parts::Ec { x: x.to_vec(), y: y.to_vec() }),
        _ => Err(Problem::Length(len)),
    }
}
