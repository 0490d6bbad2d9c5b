//! Changes a client: reads it, decides, and writes only if the version is unchanged.

use super::{ClientGrant, ClientRegistry, RegistryError, clients::MAX_ATTEMPTS};
use crate::model::{Authentication, ClientId, ClientRecord, ClientSettings, ClientVersion, Violations};

impl ClientRegistry {
    /// Changes a client's settings by `change`; with a `base`, only if the client still has that version. Unchanged settings make no new
    /// version.
    pub(crate) async fn update(
        &self,
        grant: &ClientGrant,
        client_id: &ClientId,
        base: Option<ClientVersion>,
        change: impl Fn(&ClientSettings) -> Result<ClientSettings, Violations> + Send + Sync,
    ) -> Result<ClientRecord, RegistryError> {
        for _ in 0..MAX_ATTEMPTS {
            let mut record = self.stored(client_id).await?;
            let version = record.client.version();
            if base.is_some_and(|base| base != version) {
                return Err(RegistryError::Changed);
            }
            grant.covers(&record.client.settings.permissions)?;
            let settings = change(&record.client.settings).map_err(RegistryError::Invalid)?;
            grant.covers(&settings.permissions)?;
            let unchanged = settings == record.client.settings;
            if !unchanged {
                let (wanted, known) = (&settings.authentication, &record.client.settings.authentication);
                if wanted.certificate != known.certificate || wanted.unix_peer != known.unix_peer {
                    self.check_peer_names(client_id, wanted).await?;
                }
                record.client.settings = settings;
                record.client.update_time = self.clock.now();
                self.directory.rows().sign(&mut record)?;
                if !self.store.update_client(&record.client, version).await? {
                    continue;
                }
                record.client.revision = version.revision.saturating_add(1);
                tracing::info!(%client_id, by = %grant.admin().caller_id(), policy = grant.policy(Some(client_id.as_str())), "client changed");
            }
            // Without a change too, because an earlier reload may have failed.
            self.directory.refresh().await?;
            self.keep_live(&mut record);
            return Ok(record);
        }
        Err(RegistryError::Contended)
    }

    /// Rejects certificate names, user ids and group ids of another client: one of two clients authenticates neither. Two concurrent
    /// changes may pass this check; then both clients are rejected when they authenticate.
    pub(super) async fn check_peer_names(
        &self,
        client_id: &ClientId,
        wanted: &Authentication,
    ) -> Result<(), RegistryError> {
        let Authentication { certificate, unix_peer, .. } = wanted;
        if certificate.is_empty() && unix_peer.is_empty() {
            return Ok(());
        }
        let mut violations = Violations::default();
        for ClientRecord { client: other, .. } in self.store.clients().await? {
            if other.client_id == *client_id {
                continue;
            }
            let theirs = other.settings.authentication;
            let mut check = |list: &str, shared: Vec<usize>, what: &str| {
                for index in shared {
                    let field = format!("client.authentication.{list}[{index}]");
                    let description =
                        format!("must not be {what} of another client: `{}` has it", other.client_id);
                    violations.add(field, description);
                }
            };
            check("certificate.uris", shared(&certificate.uris, &theirs.certificate.uris), "a name");
            check(
                "certificate.dns_names",
                shared(&certificate.dns_names, &theirs.certificate.dns_names),
                "a name",
            );
            check("unix_peer.uids", shared(&unix_peer.uids, &theirs.unix_peer.uids), "a user");
            check("unix_peer.gids", shared(&unix_peer.gids, &theirs.unix_peer.gids), "a group");
        }
        violations.into_result().map_err(RegistryError::Invalid)
    }
}

/// The positions of the items of `ours` that `theirs` contains.
fn shared<T: PartialEq>(ours: &[T], theirs: &[T]) -> Vec<usize> {
    let numbered = ours.iter().enumerate();
    numbered.filter(|(_, item)| theirs.contains(item)).map(|(index, _)| index).collect()
}
