//! Messages of KeyService.

use super::{Checked, scalar};
use crate::{
    access::{KeyView, TrustedKeyView},
    jose::{self, Imported, SkippedKey},
    keys::ImportTerms,
    model::{Algorithm, KeyId, KeyRecord, KeyState, KeyUsage, UnixTime, Violations},
    proto::v1::{self, import_key_request::Material},
};

/// The longest reason for a revocation, in characters.
const MAX_REASON: usize = 256;

/// Reads the optional name of an algorithm.
pub(in crate::grpc) fn optional_algorithm(text: &str, violations: &mut Violations) -> Option<Algorithm> {
    if text.is_empty() { None } else { violations.check("algorithm", text.parse()) }
}

/// Reads a key's id.
pub(in crate::grpc) fn key_id(text: &str, violations: &mut Violations) -> Option<KeyId> {
    violations.check("key_id", KeyId::parse(text))
}

/// Checks the reason for a revocation.
pub(in crate::grpc) fn reason(text: &str, violations: &mut Violations) {
    let length = text.chars().count();
    if !(1..=MAX_REASON).contains(&length) || text.chars().any(char::is_control) {
        violations.add("reason", "must be 1 to 256 characters without control characters");
    }
}

/// Reads an ImportKeyRequest: the keys and their use.
pub(in crate::grpc) fn import_request(message: v1::ImportKeyRequest) -> Checked<(Imported, ImportTerms)> {
    let mut violations = Violations::default();
    scalar::request_id(&message.request_id, &mut violations);
    let algorithm = optional_algorithm(&message.algorithm, &mut violations);
    let key_id = match message.key_id.as_str() {
        "" => None,
        text => key_id(text, &mut violations),
    };
    let usage = match message.usage() {
        v1::KeyUsage::SignAndVerify => Some(KeyUsage::SignAndVerify),
        v1::KeyUsage::VerifyOnly => Some(KeyUsage::VerifyOnly),
        v1::KeyUsage::Unspecified => {
            if message.usage != 0 {
                violations.add("usage", "must be SIGN_AND_VERIFY or VERIFY_ONLY");
            }
            None
        }
    };
    let issuer = Some(message.issuer).filter(|issuer| !issuer.is_empty());
    if let Some(issuer) = &issuer {
        scalar::check_text(issuer, "issuer", &mut violations);
    }
    let (field, source) = match &message.material {
        Some(Material::Pem(text)) => ("pem", Some(jose::Source::Pem(text))),
        Some(Material::JwkJson(text)) => ("jwk_json", Some(jose::Source::Jwk(text))),
        Some(Material::Secret(bytes)) => ("secret", Some(jose::Source::Secret(bytes))),
        None => ("material", None),
    };
    let no_keys = Imported { keys: Vec::new(), skipped: Vec::new() };
    let imported = match source.map(|source| jose::import(source, algorithm)) {
        Some(Ok(imported)) => imported,
        Some(Err(error)) => {
            let (needs_algorithm, path) = (error.needs_algorithm(), error.path);
            let field = if needs_algorithm {
                "algorithm".to_owned()
            } else if path.is_empty() {
                field.to_owned()
            } else {
                format!("{field}.{path}")
            };
            violations.add(field, error.problem.to_string());
            no_keys
        }
        None => {
            violations.add(field, "must be given: one of `pem`, `jwk_json` and `secret`");
            no_keys
        }
    };
    Checked { value: (imported, ImportTerms { key_id, usage, issuer }), violations }
}

/// Converts a key that was not imported.
pub(in crate::grpc) fn skipped_key_message(key: SkippedKey) -> v1::SkippedKey {
    v1::SkippedKey { key_id: key.key_id, problem: key.problem }
}

/// Converts a key of a trusted issuer.
pub(in crate::grpc) fn trusted_key_message(key: TrustedKeyView) -> v1::TrustedKey {
    v1::TrustedKey {
        issuer: key.issuer,
        key_id: key.key_id,
        algorithms: key.algorithms.into_iter().map(|algorithm| algorithm.name().to_owned()).collect(),
        problem: key.problem.unwrap_or_default(),
    }
}

/// Converts a key.
pub(in crate::grpc) fn key_message(view: KeyView) -> v1::Key {
    let KeyView { record, verifiers, problem } = view;
    let published = record.is_published() || record.revocation.is_some() && record.public.is_some();
    let instant = |time: Option<UnixTime>| time.map(scalar::timestamp);
    let revocation = record.revocation.clone();
    v1::Key {
        algorithm: record.algorithm.name().to_owned(),
        state: state(record.state).into(),
        usage: usage(record.usage).into(),
        issuer: record.issuer.clone().unwrap_or_default(),
        create_time: Some(scalar::timestamp(record.create_time)),
        publish_time: instant(Some(record.create_time).filter(|_| published && record.issuer.is_none())),
        activate_time: instant(record.activate_time),
        retire_time: instant(record.retire_time),
        expire_time: instant(record.expire_time),
        verifiers_ready: count(verifiers.ready),
        verifiers_total: count(verifiers.total),
        revoke_time: instant(revocation.as_ref().map(|revocation| revocation.time)),
        revoke_reason: revocation.as_ref().map(|revocation| revocation.reason.clone()).unwrap_or_default(),
        revoked_by: revocation.map(|revocation| revocation.by).unwrap_or_default(),
        problem: problem.unwrap_or_default(),
        key_id: record.key_id.as_str().to_owned(),
    }
}

fn count(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

const fn state(state: KeyState) -> v1::KeyState {
    match state {
        KeyState::Pending => v1::KeyState::Pending,
        KeyState::Active => v1::KeyState::Active,
        KeyState::Retired => v1::KeyState::Retired,
        KeyState::Revoked => v1::KeyState::Revoked,
    }
}

const fn usage(usage: KeyUsage) -> v1::KeyUsage {
    match usage {
        KeyUsage::SignAndVerify => v1::KeyUsage::SignAndVerify,
        KeyUsage::VerifyOnly => v1::KeyUsage::VerifyOnly,
    }
}

/// The id of a key in page tokens: keys are listed by their time of creation.
pub(in crate::grpc) fn key_page_id(key: &KeyRecord) -> String {
    format!("{} {}", key.create_time.seconds(), key.key_id)
}

/// Reads what [`key_page_id`] writes.
pub(in crate::grpc) fn parse_key_page_id(id: &str) -> Result<(UnixTime, KeyId), ()> {
    let (seconds, key_id) = id.split_once(' ').ok_or(())?;
    let create_time = UnixTime::from_seconds(seconds.parse().map_err(|_| ())?);
    Ok((create_time, KeyId::parse(key_id).map_err(|_| ())?))
}
