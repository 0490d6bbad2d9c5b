//! How clients prove who they are.

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
}

/// A text that names no kind of credential.
#[derive(Debug, thiserror::Error)]
#[error("must be one of client_secret, mutual_tls, private_key_jwt, workload_identity")]
pub struct UnknownAuthenticationMethod;

impl AuthenticationMethod {
    /// Every kind.
    pub const ALL: [Self; 4] =
        [Self::ClientSecret, Self::MutualTls, Self::PrivateKeyJwt, Self::WorkloadIdentity];

    /// The kind's name, for files, logs and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ClientSecret => "client_secret",
            Self::MutualTls => "mutual_tls",
            Self::PrivateKeyJwt => "private_key_jwt",
            Self::WorkloadIdentity => "workload_identity",
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

/// How one client proves who it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Authentication {
    /// The kinds of credential that it may present; never empty.
    pub methods: Vec<AuthenticationMethod>,
    /// Which certificates are its own.
    #[serde(default, skip_serializing_if = "CertificateNames::is_empty")]
    pub certificate: CertificateNames,
    /// What its assertions are verified with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assertion_keys: Option<AssertionKeys>,
    /// Which tokens of trusted issuers are its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub workload_identities: Vec<WorkloadIdentity>,
}

impl Authentication {
    /// Whether a credential of this kind may be presented.
    pub fn allows(&self, method: AuthenticationMethod) -> bool {
        self.methods.contains(&method)
    }

    /// Whether this is what a client has that was told nothing else.
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
        }
    }
}

/// The names in a client's certificate: its subject alternative names hold one of these, exactly.
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

/// Where the public keys of a client's assertions are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AssertionKeys {
    /// A JWK set, as it was given.
    JwksJson(String),
    /// The name of a file with one, in the server's folder of such files.
    JwksFile(String),
}

/// Tokens of a trusted issuer that stand for a client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkloadIdentity {
    /// `iss`, exactly.
    pub issuer: String,
    /// What must be in `aud`.
    pub audience: String,
    /// What claims must be, all of them; never empty.
    pub conditions: Vec<ClaimCondition>,
}

/// What a claim must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClaimCondition {
    /// The claim's name, or a JSON pointer (RFC 6901) to one inside another.
    pub claim: String,
    /// One of these must match: a text as it is, a number or boolean as its JSON.
    pub values: Vec<Pattern>,
}

impl ClaimCondition {
    /// The name of the token's own claim that this is about: the claim itself, or the one that a JSON pointer leads into.
    pub fn outermost_claim(&self) -> Cow<'_, str> {
        let Some(pointer) = self.claim.strip_prefix('/') else { return Cow::Borrowed(&self.claim) };
        let first = pointer.split('/').next().unwrap_or_default();
        // RFC 6901 section 4, in this order.
        if first.contains('~') { first.replace("~1", "/").replace("~0", "~").into() } else { first.into() }
    }
}

/// Who is at the other end of a connection, as far as the connection itself shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Its address.
    pub address: IpAddr,
    /// The client certificate that it proved to hold, verified up to the server's authority for clients.
    pub certificate: Option<Arc<PeerCertificate>>,
}

/// A request body that tells who is at the other end of its connection.
pub trait FromPeer {
    /// Who is at the other end, if the transport tells.
    fn peer(&self) -> Option<&Peer>;
}

/// What a verified client certificate says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PeerCertificate {
    /// The URIs among its subject alternative names.
    pub uris: Vec<String>,
    /// The DNS names among them, in lower case.
    pub dns_names: Vec<String>,
    /// From this instant on it is expired (`notAfter`), in seconds since 1970: an open connection outlives it.
    pub expires_at: Option<i64>,
}
