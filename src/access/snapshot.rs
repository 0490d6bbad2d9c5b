//! An immutable index of the registered clients by their credentials.

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

/// The registered clients by credential.
#[derive(Debug, Default)]
pub(super) struct Snapshot {
    by_secret: HashMap<SecretDigest, Secret>,
    by_id: HashMap<String, Arc<KnownClient>>,
    by_uri: HashMap<String, NameOwner>,
    by_dns_name: HashMap<String, NameOwner>,
    by_issuer: HashMap<String, Vec<Workload>>,
    /// The numbers of untrusted clients, and of clients that are accepted without a valid MAC.
    pub(super) row_counts: (usize, usize),
}

#[derive(Debug)]
struct Secret {
    client: Arc<Client>,
    expire_time: Option<UnixTime>,
}

/// A client with its assertion keys.
#[derive(Debug)]
pub(super) struct KnownClient {
    pub(super) client: Arc<Client>,
    pub(super) keys: Option<Arc<PublicKeySet>>,
}

/// The owner of a name in certificates.
#[derive(Debug)]
enum NameOwner {
    Only(Arc<Client>),
    /// Several clients claim the name, which then authenticates none.
    Several,
}

/// A workload identity of a client.
#[derive(Debug)]
pub(super) struct Workload {
    pub(super) client: Arc<Client>,
    pub(super) identity: WorkloadIdentity,
}

/// The client of a certificate.
#[derive(Debug)]
pub(super) enum CertificateMatch {
    /// No client: the certificate is not a credential.
    None,
    One(Arc<Client>),
    /// Several clients, by one name or by different names.
    Several,
}

impl Snapshot {
    /// Indexes clients.
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
                add_name(&mut snapshot.by_uri, uri, &client);
            }
            for name in &authentication.certificate.dns_names {
                add_name(&mut snapshot.by_dns_name, name, &client);
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

    /// The client whose unexpired secret has this digest, even if it is disabled. An unknown client, a wrong secret and an expired one
    /// cost the same: one look-up by SHA-256, which tells an attacker nothing.
    pub(super) fn by_secret(&self, digest: &SecretDigest, now: UnixTime) -> Option<&Arc<Client>> {
        let secret = self.by_secret.get(digest)?;
        secret.expire_time.is_none_or(|expire_time| now < expire_time).then_some(&secret.client)
    }

    pub(super) fn by_id(&self, client_id: &str) -> Option<&Arc<KnownClient>> {
        self.by_id.get(client_id)
    }

    /// The client of the certificate's names, compared exactly.
    pub(super) fn by_certificate(&self, certificate: &PeerCertificate) -> CertificateMatch {
        let uris = certificate.uris.iter().filter_map(|uri| self.by_uri.get(uri));
        let names = certificate.dns_names.iter().filter_map(|name| self.by_dns_name.get(name));
        let mut found: Option<&Arc<Client>> = None;
        for owner in uris.chain(names) {
            match (owner, found) {
                (NameOwner::Several, _) => return CertificateMatch::Several,
                (NameOwner::Only(one), Some(other)) if one.client_id != other.client_id => {
                    return CertificateMatch::Several;
                }
                (NameOwner::Only(one), _) => found = Some(one),
            }
        }
        found.map_or(CertificateMatch::None, |client| CertificateMatch::One(Arc::clone(client)))
    }

    /// The workload identities with this issuer.
    pub(super) fn by_issuer(&self, issuer: &str) -> &[Workload] {
        self.by_issuer.get(issuer).map(Vec::as_slice).unwrap_or_default()
    }
}

fn add_name(owners: &mut HashMap<String, NameOwner>, name: &str, client: &Arc<Client>) {
    match owners.entry(name.to_owned()) {
        Entry::Vacant(vacant) => drop(vacant.insert(NameOwner::Only(Arc::clone(client)))),
        Entry::Occupied(mut occupied) => match occupied.get() {
            // One client lists the name twice.
            NameOwner::Only(owner) if owner.client_id == client.client_id => {}
            NameOwner::Only(_) | NameOwner::Several => drop(occupied.insert(NameOwner::Several)),
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
                // The set was valid when it was stored, so the row was changed from outside.
                tracing::error!(client_id = %client.client_id, problem, "a client's JWK set cannot be used");
                None
            }
        },
    }
}
