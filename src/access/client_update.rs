//! Changes a client: reads it, decides, and writes only if the version is unchanged.

use super::{ClientGrant, ClientRegistry, RegistryError, clients::MAX_ATTEMPTS};
use crate::model::{CertificateNames, ClientId, ClientRecord, ClientSettings, ClientVersion, Violations};

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
                let names = &settings.authentication.certificate;
                if *names != record.client.settings.authentication.certificate {
                    self.check_certificate_names(client_id, names).await?;
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

    /// Rejects certificate names of another client: a name of two clients authenticates neither. Two concurrent changes may pass this
    /// check; then both clients are rejected when they authenticate.
    pub(super) async fn check_certificate_names(
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
                        format!("must not be a name of another client: `{}` has it", other.client_id),
                    );
                }
            }
        }
        violations.into_result().map_err(RegistryError::Invalid)
    }
}
