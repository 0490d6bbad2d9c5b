//! Everything that credentials are looked up in: made anew when clients change, never changed.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

use super::jwks_folder::JwksFolder;
use crate::{
    jose::PublicKeySet,
    model::{
        AssertionKeys, AuthenticationMethod, Client, ClientRecord, PeerCertificate, SecretDigest, UnixTime,
        WorkloadIdentity,
    },
};

/// The registered clients by what they present.
#[derive(Debug, Default)]
pub(super) struct Snapshot {
    by_secret: HashMap<SecretDigest, Secret>,
    by_id: HashMap<String, Arc<KnownClient>>,
    by_uri: HashMap<String, Holder>,
    by_dns_name: HashMap<String, Holder>,
    by_issuer: HashMap<String, Vec<Workload>>,
    /// Stored clients that are not trusted, and clients that are accepted without a valid MAC.
    pub(super) row_counts: (usize, usize),
}

#[derive(Debug)]
struct Secret {
    client: Arc<Client>,
    expire_time: Option<UnixTime>,
}

/// A client with the keys of its assertions.
#[derive(Debug)]
pub(super) struct KnownClient {
    pub(super) client: Arc<Client>,
    pub(super) keys: Option<Arc<PublicKeySet>>,
}

/// Whose a name in certificates is.
#[derive(Debug)]
enum Holder {
    Only(Arc<Client>),
    /// Several clients say that it is theirs: it is nobody's.
    Several,
}

/// Tokens that stand for a client.
#[derive(Debug)]
pub(super) struct Workload {
    pub(super) client: Arc<Client>,
    pub(super) identity: WorkloadIdentity,
}

/// Whom a certificate's names lead to.
#[derive(Debug)]
pub(super) enum Named {
    /// Nobody: the certificate is no credential.
    Nobody,
    /// One client.
    One(Arc<Client>),
    /// Several clients, by one name or by different ones.
    Several,
}

impl Snapshot {
    /// Indexes the clients.
    pub(super) fn of(records: &[ClientRecord], files: &JwksFolder) -> Self {
        let mut snapshot = Self::default();
        for record in records {
            let client = Arc::new(record.client.clone());
            for secret in &record.secrets {
                let secret_of = Secret { client: Arc::clone(&client), expire_time: secret.expire_time };
                snapshot.by_secret.insert(secret.digest, secret_of);
            }
            let authentication = &client.settings.authentication;
            for uri in &authentication.certificate.uris {
                hold(&mut snapshot.by_uri, uri, &client);
            }
            for name in &authentication.certificate.dns_names {
                hold(&mut snapshot.by_dns_name, name, &client);
            }
            for identity in &authentication.workload_identities {
                let workload = Workload { client: Arc::clone(&client), identity: identity.clone() };
                snapshot.by_issuer.entry(identity.issuer.clone()).or_default().push(workload);
            }
            let keys = assertion_keys(&client, files);
            let id = client.client_id.as_str().to_owned();
            snapshot.by_id.insert(id, Arc::new(KnownClient { client, keys }));
        }
        snapshot
    }

    /// The client whose live secret has this digest, disabled or not. An unknown client, a wrong secret and one that ended
    /// cost the same: one look-up by a SHA-256, which tells an attacker nothing.
    pub(super) fn by_secret(&self, digest: &SecretDigest, now: UnixTime) -> Option<&Arc<Client>> {
        let secret = self.by_secret.get(digest)?;
        secret.expire_time.is_none_or(|expire_time| now < expire_time).then_some(&secret.client)
    }

    /// The client of this id.
    pub(super) fn by_id(&self, client_id: &str) -> Option<&Arc<KnownClient>> {
        self.by_id.get(client_id)
    }

    /// Whom the certificate's names lead to, compared exactly.
    pub(super) fn by_certificate(&self, certificate: &PeerCertificate) -> Named {
        let uris = certificate.uris.iter().filter_map(|uri| self.by_uri.get(uri));
        let names = certificate.dns_names.iter().filter_map(|name| self.by_dns_name.get(name));
        let mut found: Option<&Arc<Client>> = None;
        for holder in uris.chain(names) {
            match (holder, found) {
                (Holder::Several, _) => return Named::Several,
                (Holder::Only(one), Some(other)) if one.client_id != other.client_id => {
                    return Named::Several;
                }
                (Holder::Only(one), _) => found = Some(one),
            }
        }
        found.map_or(Named::Nobody, |client| Named::One(Arc::clone(client)))
    }

    /// What tokens of this issuer stand for.
    pub(super) fn by_issuer(&self, issuer: &str) -> &[Workload] {
        self.by_issuer.get(issuer).map(Vec::as_slice).unwrap_or_default()
    }
}

fn hold(holders: &mut HashMap<String, Holder>, name: &str, client: &Arc<Client>) {
    match holders.entry(name.to_owned()) {
        Entry::Vacant(vacant) => drop(vacant.insert(Holder::Only(Arc::clone(client)))),
        Entry::Occupied(mut occupied) => match occupied.get() {
            // The client named it twice.
            Holder::Only(holder) if holder.client_id == client.client_id => {}
            Holder::Only(_) | Holder::Several => drop(occupied.insert(Holder::Several)),
        },
    }
}

fn assertion_keys(client: &Client, files: &JwksFolder) -> Option<Arc<PublicKeySet>> {
    let authentication = &client.settings.authentication;
    if !authentication.allows(AuthenticationMethod::PrivateKeyJwt) {
        return None;
    }
    match authentication.assertion_keys.as_ref()? {
        AssertionKeys::JwksFile(name) => files.keys(name),
        AssertionKeys::JwksJson(text) => match PublicKeySet::strict(text) {
            Ok(keys) => Some(Arc::new(keys)),
            Err(problem) => {
                // It was checked when it was stored: somebody else wrote it.
                tracing::error!(client_id = %client.client_id, problem, "a client's JWK set cannot be used");
                None
            }
        },
    }
}
