//! Authorizes the administration of clients (`ClientService`).
//!
//! A role applies to all clients; a method in `methods` applies to the clients in `admin_clients`. A caller whose permission does not
//! apply to all clients is restricted: it cannot administer a client with a permission that the caller lacks, so that neither a secret
//! nor a setting of another client extends the caller's permissions.

use std::sync::Arc;

use super::{
    AdminGrant, Denial, DenialReason,
    check::{self, listed},
    claim_value::is_narrower,
    decision::{Check, DecisionsText, Field, Verdict},
    policy::all,
    rule::{PatternList, Permission, Rule},
};
use crate::model::{Client, ClientId, Method, Pattern, Permissions};

/// Permission to call one method for all clients, or for some.
#[derive(Debug)]
pub(crate) struct ClientGrant {
    admin: AdminGrant,
    /// Whether the permission does not apply to all clients.
    is_restricted: bool,
}

/// Permission to call `method` for the client with this id, or for the clients that the caller may administer.
pub(crate) fn administer_clients(
    client: &Arc<Client>,
    method: Method,
    client_id: Option<&str>,
) -> Result<ClientGrant, Denial> {
    all(client, checks(client, method, client_id))?;
    let admin = AdminGrant { client: Arc::clone(client), method };
    Ok(ClientGrant { admin, is_restricted: reaches_all(client, method).is_none() })
}

/// The checks before the look-up of the client.
pub(super) fn checks<'a>(
    client: &'a Client,
    method: Method,
    client_id: Option<&'a str>,
) -> impl Iterator<Item = Check<'a>> {
    let reached = client_id.map(|client_id| Check {
        field: Field::Name(match method {
            Method::CreateClient | Method::UpdateClient => "client.client_id",
            _ => "client_id",
        }),
        value: Some(client_id),
        permission: Permission::List(PatternList::AdminClients),
        reason: DenialReason::Subject,
        verdict: Verdict::by(reaching(client, method, client_id)),
    });
    [check::method(client, method)].into_iter().chain(reached)
}

/// The rule that allows the method for all clients.
fn reaches_all(client: &Client, method: Method) -> Option<Rule> {
    let permissions = &client.settings.permissions;
    let by_pattern = || permissions.admin_clients.iter().position(Pattern::is_any);
    check::by_role(client, method).or_else(|| Some(Rule::Pattern(PatternList::AdminClients, by_pattern()?)))
}

/// The rule that allows the method for the client with this id.
fn reaching(client: &Client, method: Method, client_id: &str) -> Option<Rule> {
    let is_own = client_id == client.client_id.as_str()
        && matches!(method, Method::GetClient | Method::RotateClientSecret);
    reaches_all(client, method)
        .or_else(|| listed(client, PatternList::AdminClients, client_id))
        .or_else(|| is_own.then_some(Rule::OwnId))
}

impl ClientGrant {
    /// The grant of the method.
    pub(crate) const fn admin(&self) -> &AdminGrant {
        &self.admin
    }

    /// Whether the permission does not apply to all clients.
    pub(super) const fn is_restricted(&self) -> bool {
        self.is_restricted
    }

    /// Whether the permission applies to the client with this id.
    pub(super) fn reaches(&self, client_id: &ClientId) -> bool {
        let AdminGrant { client, method } = &self.admin;
        reaching(client, *method, client_id.as_str()).is_some()
    }

    /// Whether the caller may create, or take over, a client with these permissions: any, unless the caller is restricted.
    pub(super) fn covers(&self, permissions: &Permissions) -> Result<(), Denial> {
        let caller = &*self.admin.client;
        if !self.is_restricted {
            return Ok(());
        }
        all(caller, exceeding(caller, permissions))
    }

    /// The rules that allow the call for the client with this id, or for some clients.
    pub(crate) fn policy(&self, client_id: Option<&str>) -> String {
        let AdminGrant { client, method } = &self.admin;
        DecisionsText::of(client, checks(client, *method, client_id)).to_string()
    }
}

/// The permissions that `caller` lacks.
fn exceeding<'a>(caller: &'a Client, permissions: &'a Permissions) -> impl Iterator<Item = Check<'a>> {
    let own = &caller.settings.permissions;
    let lists = PatternList::ALL.iter().copied().filter(|list| *list != PatternList::Methods).filter_map(
        move |list| {
            let is_covered = |pattern: &Pattern| list.patterns(own).iter().any(|own| own.covers(pattern));
            let exceeding = list.patterns(permissions).iter().position(|pattern| !is_covered(pattern));
            exceeding.map(|index| Field::Permission(list.name(), index))
        },
    );
    let may_call = |pattern: &Pattern| {
        own.methods.iter().any(|own| own.covers(pattern))
            || Method::ALL
                .into_iter()
                .any(|method| pattern.is_exactly(method.name()) && check::by_role(caller, method).is_some())
    };
    let methods = permissions.methods.iter().position(|pattern| !may_call(pattern));
    let roles = permissions.roles.iter().position(|role| !own.roles.iter().any(|own| own.includes(*role)));
    let claim_values = own.claim_values.iter().find(|condition| {
        let may_have = permissions.claims.iter().any(|name| name.matches(&condition.outermost_claim()));
        may_have && !permissions.claim_values.iter().any(|other| is_narrower(other, condition))
    });
    let single = [
        methods.map(|index| Field::Permission("methods", index)),
        roles.map(|index| Field::Permission("roles", index)),
        claim_values.map(|_| Field::Name("client.permissions.claim_values")),
        (permissions.max_ttl > own.max_ttl).then_some(Field::Name("client.permissions.max_ttl")),
        (permissions.impersonate && !own.impersonate)
            .then_some(Field::Name("client.permissions.impersonate")),
    ];
    single.into_iter().flatten().chain(lists).map(|field| Check {
        field,
        value: None,
        permission: Permission::Other,
        reason: DenialReason::Exceeding,
        verdict: Verdict::Denied(None),
    })
}
