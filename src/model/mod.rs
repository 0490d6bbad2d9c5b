//! Plain data and rules: no I/O, no async, nothing from any other floor. What a client judges tokens with comes from `tokend-jose`
//! (algorithms, key ids, claims, times) and is re-exported here.

mod authentication;
mod bounded;
mod claims;
mod client;
mod credential;
mod digest;
mod field;
mod key;
mod key_record;
mod key_set;
mod no_room;
mod password;
mod pattern;
mod permissions;
mod replica;
mod request;
mod revocation;
mod role;
mod row_content;
mod sealing_key;
mod secret;
mod session;
mod source;
mod subject;
mod time;
mod token;
mod user;

pub use authentication::{
    AssertionKeys, Authentication, AuthenticationMethod, CertificateNames, ClaimCondition, FromPeer, Peer,
    PeerCertificate, UnixIds, UnixPeer, UnknownAuthenticationMethod, WorkloadIdentity,
};
pub use bounded::{Bounded, bounded_list};
pub use claims::ExtraClaims;
pub use client::{
    Client, ClientId, ClientLimits, ClientRecord, ClientSettings, ClientVersion, MAX_SECRETS, SecretRecord,
};
pub use credential::{
    CLIENT_SECRET_PREFIX, CREDENTIAL_PREFIXES, REDACTED, REFRESH_TOKEN_PREFIX, holds_credential, redact,
};
pub use digest::{AssertionDigest, RefreshDigest, RequestDigest, SecretDigest};
pub use field::{FieldViolation, Violations};
pub use key::{KeyState, KeyUsage};
pub use key_record::{KeyRecord, KeyRevocation, TransitionError};
pub use key_set::{ChangeSequence, KeyChange, KeySet};
pub use no_room::NoRoom;
pub use password::{Password, PasswordHash};
pub use pattern::{Pattern, any_match};
pub use permissions::{LaterPermissions, Method, Permissions};
pub use replica::{Held, ReplicaReport, VerifiersReady};
pub use request::{
    ExchangeRequest, IntrospectRequest, IssueRequest, LoginRequest, RefreshRequest, RevokeTarget,
    VerifyRequest,
};
pub use revocation::{Revocation, RevocationPage, RevocationRecord, RevocationTarget};
pub use role::{Role, UnknownRole};
pub use row_content::RowContent;
pub use sealing_key::{SealingKeyId, SealingKeyRecord};
pub use secret::ClientSecret;
pub use session::{
    FamilyKey, InvalidSessionId, ReplacedToken, Session, SessionFilter, SessionId, SessionRecord,
    SessionRotation, SessionScope,
};
pub use source::Source;
pub use subject::{FOREIGN_SUBJECT, LONGEST_SUBJECT, foreign_prefix};
pub use time::StoreClock;
pub use token::TokenId;
pub use tokend_jose::{
    Actor, Algorithm, InvalidKeyId, InvalidToken, KeyId, Reason, TokenClaims, TokenType, Ttl, UnixTime,
    UnknownAlgorithm, is_revocable,
};
pub use user::{
    InvalidUserId, InvalidUsername, OldSessions, PasswordSet, User, UserId, UserRecord, UserSettings,
    Username,
};
