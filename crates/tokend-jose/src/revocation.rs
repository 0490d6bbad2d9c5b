//! Which revocations match a token.

use crate::{TokenClaims, UnixTime};

/// The kind of a revocation's target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RevocationKind {
    /// A token's id.
    Token,
    /// A session's id.
    Session,
    /// A subject.
    Subject,
    /// A client's id.
    Client,
    /// All tokens.
    Everything,
}

impl RevocationKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Token, Self::Session, Self::Subject, Self::Client, Self::Everything];

    /// The kind's name in metrics.
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

impl TokenClaims {
    /// Whether `is_listed` returns true for one of the targets by which the token can be revoked: the kind, and the id or the name in
    /// the token. The text of [`RevocationKind::Everything`] is empty. The session, the subject and the client of a token can be revoked
    /// if this issuer issued the token (`own`).
    pub fn is_revoked(&self, own: bool, is_listed: impl Fn(RevocationKind, &str) -> bool) -> bool {
        let has = |kind, text: Option<&str>| text.is_some_and(|text| is_listed(kind, text));
        has(RevocationKind::Token, self.jwt_id.as_deref())
            || own
                && (has(RevocationKind::Session, self.session_id.as_deref())
                    || is_listed(RevocationKind::Subject, &self.subject)
                    || has(RevocationKind::Client, self.client_id.as_deref())
                    || is_listed(RevocationKind::Everything, ""))
    }
}

/// Whether a revocation of the tokens that were issued before `issued_before` (none: of all tokens) covers a token that was issued at
/// `issue_time`. A token without a time of issue may have been issued before.
pub fn covers(issued_before: Option<UnixTime>, issue_time: Option<UnixTime>) -> bool {
    issued_before.is_none_or(|before| issue_time.is_none_or(|issued| issued < before))
}
