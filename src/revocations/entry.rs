//! The kinds, the keys and the entries of the set.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

pub use crate::jose::RevocationKind as Kind;
use crate::model::{ChangeSequence, RevocationRecord, RevocationTarget, UnixTime};

/// The key of an entry. The ids that tokend generates are 16 bytes in base64url, and are kept as bytes; any other key is kept as
/// text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Key<'a> {
    Bytes(Kind, [u8; 16]),
    Text(Kind, &'a str),
}

impl<'a> Key<'a> {
    pub(super) const EVERYTHING: Key<'static> = Key::Text(Kind::Everything, "");

    pub(super) fn of(kind: Kind, text: &'a str) -> Self {
        let bytes = match kind {
            Kind::Token | Kind::Session => decode(text),
            Kind::Subject | Kind::Client | Kind::Everything => None,
        };
        bytes.map_or(Self::Text(kind, text), |bytes| Self::Bytes(kind, bytes))
    }

    pub(super) fn of_target(target: &'a RevocationTarget) -> Self {
        match target {
            RevocationTarget::Token(jwt_id) => Self::of(Kind::Token, jwt_id),
            RevocationTarget::Session(session_id) => Self::of(Kind::Session, session_id.as_str()),
            RevocationTarget::Subject(subject, _) => Self::of(Kind::Subject, subject),
            RevocationTarget::Client(client_id, _) => Self::of(Kind::Client, client_id.as_str()),
            RevocationTarget::Everything(_) => Self::EVERYTHING,
        }
    }

    pub(super) const fn kind(&self) -> Kind {
        match self {
            Self::Bytes(kind, _) | Self::Text(kind, _) => *kind,
        }
    }
}

/// The 16 bytes that `text` encodes. Each value has one text: the engine accepts neither padding nor a last character with unused
/// bits.
fn decode(text: &str) -> Option<[u8; 16]> {
    let mut bytes = [0; 18];
    if text.len() != 22 {
        return None;
    }
    let length = URL_SAFE_NO_PAD.decode_slice(text, &mut bytes).ok()?;
    bytes.first_chunk().copied().filter(|_| length == 16)
}

/// The text of a 16-byte id.
pub(super) fn encode(bytes: [u8; 16]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The expire time of an entry that was replaced.
pub(super) const LONG_AGO: UnixTime = UnixTime::from_seconds(0);

/// An entry of a [`Log`](super::log::Log).
pub(super) trait Entry: Clone {
    fn key(&self) -> Key<'_>;
    /// The change that made the entry.
    fn sequence(&self) -> ChangeSequence;
    /// When the entry may be deleted; `None`: never.
    fn expire_time(&self) -> Option<UnixTime>;
    fn record(&self) -> RevocationRecord;
    /// Marks the entry as replaced: it counts as expired.
    fn end(&mut self);
    /// The memory of the entry beside its own size.
    fn heap_bytes(&self) -> usize;

    fn has_expired(&self, now: UnixTime) -> bool {
        self.expire_time().is_some_and(|expire| expire <= now)
    }
}

impl Entry for RevocationRecord {
    fn key(&self) -> Key<'_> {
        Key::of_target(&self.revocation.target)
    }

    fn sequence(&self) -> ChangeSequence {
        self.sequence
    }

    fn expire_time(&self) -> Option<UnixTime> {
        self.revocation.expire_time
    }

    fn record(&self) -> RevocationRecord {
        self.clone()
    }

    fn end(&mut self) {
        self.revocation.expire_time = Some(LONG_AGO);
    }

    fn heap_bytes(&self) -> usize {
        match &self.revocation.target {
            RevocationTarget::Token(text) | RevocationTarget::Subject(text, _) => text.capacity(),
            RevocationTarget::Session(session_id) => session_id.as_str().len(),
            RevocationTarget::Client(client_id, _) => client_id.as_str().len(),
            RevocationTarget::Everything(_) => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn sixteen_bytes_have_one_text(bytes in any::<[u8; 16]>(), last in "[A-Za-z0-9_=-]") {
            let own = encode(bytes);
            prop_assert_eq!(Key::of(Kind::Token, &own), Key::Bytes(Kind::Token, bytes));
            prop_assert_eq!(Key::of(Kind::Subject, &own), Key::Text(Kind::Subject, &own));
            let other = format!("{}{last}", own.strip_suffix(|_: char| true).unwrap_or_default());
            let same = Key::of(Kind::Session, &other) == Key::Bytes(Kind::Session, bytes);
            prop_assert_eq!(same, other == own);
        }

        #[test]
        fn any_other_text_does_not_change(other in "\\PC{0,24}") {
            if let Key::Bytes(_, bytes) = Key::of(Kind::Token, &other) {
                prop_assert_eq!(encode(bytes), other);
            }
        }
    }
}
