//! Messages of TrustBundleService.

use aws_lc_rs::hmac;

use super::scalar;
use crate::{
    grpc::status::CallError,
    keys::News,
    model::{self, ChangeSequence, RevocationTarget, Violations},
    proto::v1::{
        Revocation, WatchTrustBundleRequest,
        revocation::{Everything, Target},
        watch_trust_bundle_response::Update,
    },
};

/// The longest name of a verifier, in characters.
const MAX_NAME: usize = 128;

/// The length of the salt of subject hashes, in bytes.
const SALT_LENGTH: std::ops::RangeInclusive<usize> = 16..=64;

/// The subscription of a verifier.
#[derive(Debug)]
pub(in crate::grpc) struct Subscription {
    /// The last change that the verifier has.
    pub(in crate::grpc) after: ChangeSequence,
    /// The verifier's name.
    pub(in crate::grpc) verifier_id: Option<String>,
    /// The key of subject hashes, if the verifier asks for hashes.
    pub(in crate::grpc) subject_hash: Option<hmac::Key>,
}

/// Reads the first request of a watch. With `hashes_only`, the verifier must ask for subject hashes.
pub(in crate::grpc) fn subscription(
    message: Option<WatchTrustBundleRequest>,
    hashes_only: bool,
) -> Result<Subscription, CallError> {
    let Some(message) = message else {
        let problem = "must be given in a first request; send 0 for the whole state";
        return Err(CallError::Invalid(Violations::of("after_sequence", problem)));
    };
    let WatchTrustBundleRequest { after_sequence, verifier_id, held_sequence, subject_hash_salt } = message;
    let mut violations = Violations::default();
    if subject_hash_salt.is_empty() && hashes_only {
        violations.add("subject_hash_salt", "must be given: this server sends hashes in place of subjects");
    } else if !subject_hash_salt.is_empty() && !SALT_LENGTH.contains(&subject_hash_salt.len()) {
        violations.add("subject_hash_salt", "must be 16 to 64 bytes");
    }
    if after_sequence < 0 {
        violations.add("after_sequence", "must not be negative");
    }
    if verifier_id.chars().count() > MAX_NAME || verifier_id.chars().any(char::is_control) {
        violations.add("verifier_id", "must be at most 128 characters without control characters");
    }
    if held_sequence != 0 {
        violations
            .add("held_sequence", "must not be given in the first request, which says `after_sequence`");
    }
    violations.into_result().map_err(CallError::Invalid)?;
    Ok(Subscription {
        after: ChangeSequence(after_sequence),
        verifier_id: Some(verifier_id).filter(|name| !name.is_empty()),
        subject_hash: Some(subject_hash_salt)
            .filter(|salt| !salt.is_empty())
            .map(|salt| hmac::Key::new(hmac::HMAC_SHA256, &salt)),
    })
}

/// Reads a later request of a watch.
pub(in crate::grpc) fn acknowledgement(
    message: &WatchTrustBundleRequest,
) -> Result<ChangeSequence, CallError> {
    let mut violations = Violations::default();
    if message.after_sequence != 0 {
        violations.add("after_sequence", "must be given in the first request only");
    }
    if !message.subject_hash_salt.is_empty() {
        violations.add("subject_hash_salt", "must be given in the first request only");
    }
    if message.held_sequence < 0 {
        violations.add("held_sequence", "must not be negative");
    }
    violations.into_result().map_err(CallError::Invalid)?;
    Ok(ChangeSequence(message.held_sequence))
}

/// Converts a change of the keys.
pub(in crate::grpc) fn key_update(news: News) -> Update {
    match news {
        News::Keys(document) => Update::JwksJson(document.json.clone()),
        News::Revoked(revoked) => Update::Revocation(Revocation {
            target: Some(Target::KeyId(revoked.key_id.as_str().to_owned())),
            revoke_time: Some(scalar::timestamp(revoked.revoke_time)),
            issued_before_time: None,
            expire_time: revoked.expire_time.map(scalar::timestamp),
        }),
    }
}

/// Converts a revocation; with `subject_hash`, a subject becomes its hash.
pub(in crate::grpc) fn revocation(revocation: model::Revocation, subject_hash: Option<&hmac::Key>) -> Update {
    let issued_before_time = revocation.target.issued_before().map(scalar::timestamp);
    let target = match revocation.target {
        RevocationTarget::Token(jwt_id) => Target::JwtId(jwt_id),
        RevocationTarget::Session(session_id) => Target::SessionId(session_id.as_str().to_owned()),
        RevocationTarget::Subject(subject, _) => match subject_hash {
            Some(key) => Target::SubjectHash(hmac::sign(key, subject.as_bytes()).as_ref().to_vec()),
            None => Target::Subject(subject),
        },
        RevocationTarget::Client(client_id, _) => Target::ClientId(client_id.as_str().to_owned()),
        RevocationTarget::Everything(_) => Target::Everything(Everything {}),
    };
    Update::Revocation(Revocation {
        target: Some(target),
        revoke_time: Some(scalar::timestamp(revocation.revoke_time)),
        issued_before_time,
        expire_time: revocation.expire_time.map(scalar::timestamp),
    })
}
