//! An immutable index of the registered clients by their credentials.

use std::{
    collections::{HashMap, hash_map::Entry},
    hash::Hash,
    sync::Arc,
};

use super::jwks_folder::JwksFolder;
use crate::{
    jose::PublicKeySet,
    model::{
        AssertionKeys, AuthenticationMethod, Client, ClientRecord, PeerCertificate, SecretDigest, UnixPeer,
        UnixTime, WorkloadIdentity,
    },
};

/// The registered clients by credential.
#[derive(Debug, Default)]
pub(super) struct Snapshot {
    by_secret: HashMap<SecretDigest, Secret>,
    by_id: HashMap<String, Arc<KnownClient>>,
    by_uri: HashMap<String, Owner>,
    by_dns_name: HashMap<String, Owner>,
    by_uid: HashMap<u32, Owner>,
    by_gid: HashMap<u32, Owner>,
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

/// The owner of a name in certificates, or of a user or group id.
#[derive(Debug)]
enum Owner {
    Only(Arc<Client>),
    /// Several clients claim it; then it authenticates none.
    Several,
}

/// A workload identity of a client.
#[derive(Debug)]
pub(super) struct Workload {
    pub(super) client: Arc<Client>,
    pub(super) identity: WorkloadIdentity,
}

/// The client of a certificate, or of a process at a Unix socket.
#[derive(Debug)]
pub(super) enum PeerMatch {
    /// No client: there is no credential.
    None,
    One(Arc<Client>),
    /// Several clients, by one name or id or by different ones.
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
                add_owner(&mut snapshot.by_uri, uri.clone(), &client);
            }
            for name in &authentication.certificate.dns_names {
                add_owner(&mut snapshot.by_dns_name, name.clone(), &client);
            }
            for uid in &authentication.unix_peer.uids {
                add_owner(&mut snapshot.by_uid, *uid, &client);
            }
            for gid in &authentication.unix_peer.gids {
                add_owner(&mut snapshot.by_gid, *gid, &client);
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
    pub(super) fn by_certificate(&self, certificate: &PeerCertificate) -> PeerMatch {
        let uris = certificate.uris.iter().filter_map(|uri| self.by_uri.get(uri));
        let names = certificate.dns_names.iter().filter_map(|name| self.by_dns_name.get(name));
        only_client(uris.chain(names))
    }

    /// The client of the process's user or group.
    pub(super) fn by_unix_peer(&self, peer: UnixPeer) -> PeerMatch {
        only_client(self.by_uid.get(&peer.uid).into_iter().chain(self.by_gid.get(&peer.gid)))
    }

    /// The workload identities with this issuer.
    pub(super) fn by_issuer(&self, issuer: &str) -> &[Workload] {
        self.by_issuer.get(issuer).map(Vec::as_slice).unwrap_or_default()
    }
}

fn only_client<'a>(owners: impl Iterator<Item = &'a Owner>) -> PeerMatch {
    let mut found: Option<&Arc<Client>> = None;
    for owner in owners {
        match (owner, found) {
            (Owner::Several, _) => return PeerMatch::Several,
            (Owner::Only(one), Some(other)) if one.client_id != other.client_id => {
                return PeerMatch::Several;
            }
            (Owner::Only(one), _) => found = Some(one),
        }
    }
    found.map_or(PeerMatch::None, |client| PeerMatch::One(Arc::clone(client)))
}

fn add_owner<K: Eq + Hash>(owners: &mut HashMap<K, Owner>, key: K, client: &Arc<Client>) {
    match owners.entry(key) {
        Entry::Vacant(vacant) => drop(vacant.insert(Owner::Only(Arc::clone(client)))),
        Entry::Occupied(mut occupied) => match occupied.get() {
            // One client lists it twice.
            Owner::Only(owner) if owner.client_id == client.client_id => {}
            Owner::Only(_) | Owner::Several => drop(occupied.insert(Owner::Several)),
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
