//! Signs and verifies stored clients. A client with a wrong MAC is handled like an unknown one.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    keys::{Patience, RowCheck, Sealer},
    model::{ClientId, ClientRecord},
    random::RandomError,
};

/// Signs and verifies the rows of clients.
#[derive(Debug)]
pub(super) struct ClientRows(pub(super) Arc<Sealer>);

/// Stored clients after their MACs were verified.
#[derive(Debug, Default)]
pub(super) struct CheckedClients {
    /// The clients in use.
    pub(super) trusted: Vec<ClientRecord>,
    /// The other clients, with the reason.
    pub(super) untrusted: BTreeMap<ClientId, String>,
    /// The number of clients that are accepted without a valid MAC.
    pub(super) unsigned: usize,
    /// Whether a sealing key is missing, so that a later check may succeed.
    pub(super) incomplete: bool,
}

impl ClientRows {
    /// Signs a client before it is written.
    pub(super) fn sign(&self, record: &mut ClientRecord) -> Result<(), RandomError> {
        let content = record.content();
        record.client.mac = content.map(|content| self.0.sign_row(&content)).transpose()?.flatten();
        Ok(())
    }

    /// Whether one client is trusted; logs the reason if not.
    pub(super) async fn trusts(&self, record: &ClientRecord) -> bool {
        self.load(std::slice::from_ref(record)).await;
        match self.check(record) {
            RowCheck::Signed | RowCheck::Unsigned => true,
            RowCheck::Unknown(problem) | RowCheck::Refused(problem) => {
                report(&record.client.client_id, &problem);
                false
            }
        }
    }

    /// Verifies each client. A client whose MAC cannot be verified stays trusted while its content is unchanged: it was signed again
    /// under a sealing key that is not in memory.
    pub(super) async fn check_all(
        &self,
        records: Vec<ClientRecord>,
        before: &CheckedClients,
    ) -> CheckedClients {
        self.load(&records).await;
        let mut checked = CheckedClients::default();
        for record in records {
            match self.check(&record) {
                RowCheck::Signed => checked.trusted.push(record),
                RowCheck::Unsigned => {
                    checked.unsigned += 1;
                    checked.trusted.push(record);
                }
                RowCheck::Unknown(_) if before.contains(&record) => {
                    checked.incomplete = true;
                    checked.trusted.push(record);
                }
                RowCheck::Unknown(problem) => {
                    checked.incomplete = true;
                    checked.untrusted.insert(record.client.client_id, problem);
                }
                RowCheck::Refused(problem) => {
                    checked.untrusted.insert(record.client.client_id, problem);
                }
            }
        }
        for (client_id, problem) in &checked.untrusted {
            if !before.untrusted.contains_key(client_id) {
                report(client_id, problem);
            }
        }
        checked
    }

    /// Loads the sealing keys of the MACs.
    async fn load(&self, records: &[ClientRecord]) {
        let macs = records.iter().filter_map(|record| record.client.mac.as_deref());
        self.0.load(macs, Patience::Brief).await;
    }

    fn check(&self, record: &ClientRecord) -> RowCheck {
        match record.content() {
            Some(content) => self.0.check_row(&content, record.client.mac.as_deref()),
            None => RowCheck::Refused("the settings have no JSON form".to_owned()),
        }
    }
}

impl CheckedClients {
    /// Whether a client with the same content is trusted here.
    fn contains(&self, record: &ClientRecord) -> bool {
        let index =
            self.trusted.binary_search_by(|known| known.client.client_id.cmp(&record.client.client_id));
        let known = index.ok().and_then(|index| self.trusted.get(index));
        known.is_some_and(|known| known.content() == record.content())
    }
}

fn report(client_id: &ClientId, problem: &str) {
    tracing::error!(%client_id, problem, "a stored client is not trusted, and is handled like an unknown client");
}
