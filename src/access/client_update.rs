//! Changing a registered client: read, decide, and write only what nobody else has changed meanwhile.

use super::{ClientGrant, ClientRegistry, RegistryError, clients::MOST_ATTEMPTS};
use crate::model::{CertificateNames, ClientId, ClientRecord, ClientSettings, ClientVersion, Violations};

impl ClientRegistry {
    /// Changes a client's settings to what `change` makes of them; with a `base`, only if it is at that version still. A
    /// change that changes nothing makes no new version.
    pub(crate) async fn update(
        &self,
        grant: &ClientGrant,
        client_id: &ClientId,
        base: Option<ClientVersion>,
        change: impl Fn(&ClientSettings) -> Result<ClientSettings, Violations> + Send + Sync,
    ) -> Result<ClientRecord, RegistryError> {
        for _ in 0..MOST_ATTEMPTS {
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
                let names = &settings.authentication.certificate;
                if *names != record.client.settings.authentication.certificate {
                    self.names_are_free(client_id, names).await?;
                }
                record.client.settings = settings;
                record.client.update_time = self.clock.now();
                self.directory.rows().sign(&mut record)?;
                if !self.store.update_client(&record.client, version).await? {
                    continue;
                }
                record.client.revision = version.revision.saturating_add(1);
                tracing::info!(%client_id, by = grant.admin().caller(), policy = grant.policy(Some(client_id.as_str())), "client changed");
            }
            // Without a change too: the one before may have been made when memory could not follow.
            self.directory.refresh().await?;
            self.keep_live(&mut record);
            return Ok(record);
        }
        Err(RegistryError::Contended)
    }

    /// Refuses a client whose certificates another client has too: with such a certificate neither would be known. Two
    /// changes at once may get past this, and are then refused when they authenticate.
    pub(super) async fn names_are_free(
        &self,
        client_id: &ClientId,
        names: &CertificateNames,
    ) -> Result<(), RegistryError> {
        if names.is_empty() {
            return Ok(());
        }
        let mut violations = Violations::default();
        for ClientRecord { client: other, .. } in self.store.clients().await? {
            if other.client_id == *client_id {
                continue;
            }
            let theirs = other.settings.authentication.certificate;
            let lists =
                [("uris", &names.uris, &theirs.uris), ("dns_names", &names.dns_names, &theirs.dns_names)];
            for (list, ours, theirs) in lists {
                for (index, _) in ours.iter().enumerate().filter(|(_, name)| theirs.contains(name)) {
                    let field = format!("client.authentication.certificate.{list}[{index}]");
                    violations.add(
                        field,
                        format!("must not be a name of another client, as of `{}`", other.client_id),
                    );
                }
            }
        }
        violations.into_result().map_err(RegistryError::Invalid)
    }
}
