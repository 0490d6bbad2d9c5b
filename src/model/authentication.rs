//! Client authentication.

use std::{borrow::Cow, fmt, net::IpAddr, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};

use super::Pattern;

/// A kind of credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthenticationMethod {
    /// A client secret, as `Bearer` or `Basic`.
    ClientSecret,
    /// A TLS client certificate.
    MutualTls,
    /// A JWT that the client signs itself (RFC 7523 section 2.2).
    PrivateKeyJwt,
    /// A token of a trusted issuer.
    WorkloadIdentity,
    /// The user or group of the process at the other end of a Unix socket.
    UnixPeer,
}

/// A text that names no kind of credential.
#[derive(Debug, thiserror::Error)]
#[error("must be one of client_secret, mutual_tls, private_key_jwt, workload_identity, unix_peer")]
pub struct UnknownAuthenticationMethod;

impl AuthenticationMethod {
    /// Every kind.
    pub const ALL: [Self; 5] =
        [Self::ClientSecret, Self::MutualTls, Self::PrivateKeyJwt, Self::WorkloadIdentity, Self::UnixPeer];

    /// The kind's name, for files, logs and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ClientSecret => "client_secret",
            Self::MutualTls => "mutual_tls",
            Self::PrivateKeyJwt => "private_key_jwt",
            Self::WorkloadIdentity => "workload_identity",
            Self::UnixPeer => "unix_peer",
        }
    }
}

impl fmt::Display for AuthenticationMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for AuthenticationMethod {
    type Err = UnknownAuthenticationMethod;

    fn from_str(text: &str) -> Result<Self, UnknownAuthenticationMethod> {
        Self::ALL.into_iter().find(|method| method.name() == text).ok_or(UnknownAuthenticationMethod)
    }
}

/// How a client authenticates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Authentication {
    /// The credential types that the client may present; never empty.
    pub methods: Vec<AuthenticationMethod>,
    /// The names in the client's certificates.
    #[serde(default, skip_serializing_if = "CertificateNames::is_empty")]
    pub certificate: CertificateNames,
    /// The keys that verify the client's assertions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assertion_keys: Option<AssertionKeys>,
    /// The tokens of trusted issuers that authenticate the client.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub workload_identities: Vec<WorkloadIdentity>,
    /// The users and groups whose processes are the client.
    #[serde(default, skip_serializing_if = "UnixIds::is_empty")]
    pub unix_peer: UnixIds,
}

impl Authentication {
    /// Whether the client may present a credential of this type.
    pub fn allows(&self, method: AuthenticationMethod) -> bool {
        self.methods.contains(&method)
    }

    /// Whether this is the default.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Default for Authentication {
    /// A client secret, and nothing else.
    fn default() -> Self {
        Self {
            methods: vec![AuthenticationMethod::ClientSecret],
            certificate: CertificateNames::default(),
            assertion_keys: None,
            workload_identities: Vec::new(),
            unix_peer: UnixIds::default(),
        }
    }
}

/// The names of a client's certificates: a certificate needs one of them, exactly, as a subject alternative name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertificateNames {
    /// URIs, such as SPIFFE ids.
    #[serde(default)]
    pub uris: Vec<String>,
    /// DNS names in lower case, without wildcards.
    #[serde(default)]
    pub dns_names: Vec<String>,
}

impl CertificateNames {
    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.uris.is_empty() && self.dns_names.is_empty()
    }
}

/// The users and groups of a client's processes: a connection over a Unix socket needs one of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnixIds {
    /// User ids.
    #[serde(default)]
    pub uids: Vec<u32>,
    /// Group ids.
    #[serde(default)]
    pub gids: Vec<u32>,
}

impl UnixIds {
    /// Whether an id stands for one user or group. The kernel reports 65534 for each id that has no number in the server's user
    /// namespace, and no process has the largest number.
    pub const fn is_usable(id: u32) -> bool {
        id != 65534 && id != u32::MAX
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.uids.is_empty() && self.gids.is_empty()
    }
}

/// The public keys of a client's assertions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AssertionKeys {
    /// A JWK set.
    JwksJson(String),
    /// The name of a file with a JWK set, in the folder `client_jwks_dir`.
    JwksFile(String),
}

/// Tokens of a trusted issuer that authenticate a client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkloadIdentity {
    /// `iss`, exactly.
    pub issuer: String,
    /// A value that `aud` must contain.
    pub audience: String,
    /// The conditions, all of which must hold; never empty.
    pub conditions: Vec<ClaimCondition>,
}

/// A condition on a claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClaimCondition {
    /// The claim's name, or a JSON pointer (RFC 6901) to a nested claim.
    pub claim: String,
    /// The patterns, one of which must match: a string's text, or the JSON of a number or boolean.
    pub values: Vec<Pattern>,
}

impl ClaimCondition {
    /// The name of the top-level claim that the condition reads.
    pub fn outermost_claim(&self) -> Cow<'_, str> {
        let Some(pointer) = self.claim.strip_prefix('/') else { return Cow::Borrowed(&self.claim) };
        let first = pointer.split('/').next().unwrap_or_default();
        // RFC 6901 section 4 gives this order.
        if first.contains('~') { first.replace("~1", "/").replace("~0", "~").into() } else { first.into() }
    }
}

/// The peer of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// The peer's address; the IPv4 loopback address for a Unix socket.
    pub address: IpAddr,
    /// The peer's client certificate, verified against `tls_client_ca_file`.
    pub certificate: Option<Arc<PeerCertificate>>,
    /// The peer's process, if it connected over a Unix socket.
    pub unix: Option<UnixPeer>,
}

/// The process that connected to a Unix socket, as the kernel recorded it at that time (SO_PEERCRED).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnixPeer {
    /// Its effective user id.
    pub uid: u32,
    /// Its effective group id.
    pub gid: u32,
}

/// A request body with the peer of its connection.
pub trait FromPeer {
    /// The peer, if the transport knows it.
    fn peer(&self) -> Option<&Peer>;

    /// The limit of the metadata in bytes, if the request exceeds it.
    fn exceeded_metadata_limit(&self) -> Option<u32> {
        None
    }
}

/// A verified client certificate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PeerCertificate {
    /// The URIs of the subject alternative names.
    pub uris: Vec<String>,
    /// The DNS names of the subject alternative names, in lower case.
    pub dns_names: Vec<String>,
    /// The certificate's expiry (`notAfter`), in seconds since 1970: an open connection may outlive it.
    pub expires_at: Option<i64>,
}
