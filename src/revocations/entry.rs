//! What a revocation is known by in memory.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::model::{ChangeSequence, RevocationRecord, RevocationTarget, UnixTime};

/// What a revocation names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A token's id.
    Token,
    /// A session's id.
    Session,
    /// A subject.
    Subject,
    /// A client's id.
    Client,
    /// Nothing: all is revoked.
    Everything,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Token, Self::Session, Self::Subject, Self::Client, Self::Everything];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Session => "session",
            Self::Subject => "subject",
            Self::Client => "client",
            Self::Everything => "everything",
        }
    }
}

/// What an entry is found by. The ids that tokend makes are 16 octets in base64url, and kept as such; any other name is kept as
/// its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Name<'a> {
    Octets(Kind, [u8; 16]),
    Text(Kind, &'a str),
}

impl<'a> Name<'a> {
    /// The name of all there is.
    pub(super) const EVERYTHING: Name<'static> = Name::Text(Kind::Everything, "");

    pub(super) fn of(kind: Kind, text: &'a str) -> Self {
        let octets = match kind {
            Kind::Token | Kind::Session => octets(text),
            Kind::Subject | Kind::Client | Kind::Everything => None,
        };
        octets.map_or(Self::Text(kind, text), |octets| Self::Octets(kind, octets))
    }

    /// What `target` is found by.
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
            Self::Octets(kind, _) | Self::Text(kind, _) => *kind,
        }
    }
}

/// The 16 octets that `text` stands for, if it does. No two texts stand for the same ones: the engine takes neither padding nor
/// a last character with bits that are not used.
fn octets(text: &str) -> Option<[u8; 16]> {
    let mut octets = [0; 18];
    if text.len() != 22 {
        return None;
    }
    let length = URL_SAFE_NO_PAD.decode_slice(text, &mut octets).ok()?;
    octets.first_chunk().copied().filter(|_| length == 16)
}

/// The text that stands for 16 octets.
pub(super) fn text(octets: [u8; 16]) -> String {
    URL_SAFE_NO_PAD.encode(octets)
}

/// When that expired which another took the place of.
pub(super) const LONG_AGO: UnixTime = UnixTime::from_seconds(0);

/// What a [`Log`](super::log::Log) holds.
pub(super) trait Entry: Clone {
    /// What it is found by.
    fn name(&self) -> Name<'_>;
    /// The change that made it.
    fn sequence(&self) -> ChangeSequence;
    /// When it may be forgotten.
    fn expire_time(&self) -> Option<UnixTime>;
    /// The revocation that it stands for.
    fn record(&self) -> RevocationRecord;
    /// Another took its place: from now on it counts as one that has expired.
    fn end(&mut self);
    /// What it takes beside its own size.
    fn heap_bytes(&self) -> usize;

    fn has_expired(&self, now: UnixTime) -> bool {
        self.expire_time().is_some_and(|expire| expire <= now)
    }
}

impl Entry for RevocationRecord {
    fn name(&self) -> Name<'_> {
        Name::of_target(&self.revocation.target)
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
            RevocationTarget::Token(name) | RevocationTarget::Subject(name, _) => name.capacity(),
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
        fn sixteen_octets_have_one_text(octets in any::<[u8; 16]>(), last in "[A-Za-z0-9_=-]") {
            let own = text(octets);
            prop_assert_eq!(Name::of(Kind::Token, &own), Name::Octets(Kind::Token, octets));
            prop_assert_eq!(Name::of(Kind::Subject, &own), Name::Text(Kind::Subject, &own));
            let other = format!("{}{last}", own.strip_suffix(|_: char| true).unwrap_or_default());
            let same = Name::of(Kind::Session, &other) == Name::Octets(Kind::Session, octets);
            prop_assert_eq!(same, other == own);
        }

        #[test]
        fn any_other_text_is_kept_as_it_is(other in "\\PC{0,24}") {
            if let Name::Octets(_, octets) = Name::of(Kind::Token, &other) {
                prop_assert_eq!(text(octets), other);
            }
        }
    }
}
