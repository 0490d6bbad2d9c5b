//! May this client administer that one (`ClientService`)?
//!
//! A role is for all clients; a method that `methods` allows is for those of `admin_clients`. A caller whose permission does not
//! reach all clients is bounded: it administers only clients that have no permission that it lacks, so that neither a secret nor a
//! setting of another client gives it more than it has.

use std::sync::Arc;

use super::{
    AdminGrant, Denial, DenialReason,
    check::{self, Check, Place, Verdict, listed},
    claim_value::is_narrower,
    grant::words,
    line::{Line, List, Rule},
    policy::all,
};
use crate::model::{Client, ClientId, Method, Pattern, Permissions};

/// Permission to call one method for some clients.
#[derive(Debug)]
pub(crate) struct ClientGrant {
    admin: AdminGrant,
    /// Whether there are clients that it does not reach.
    is_bounded: bool,
}

/// Permission to call `method` for the client of this id, or for those that the caller may administer.
pub(crate) fn administer_clients(
    client: &Arc<Client>,
    method: Method,
    client_id: Option<&str>,
) -> Result<ClientGrant, Denial> {
    all(client, checks(client, method, client_id))?;
    let admin = AdminGrant { client: Arc::clone(client), method };
    Ok(ClientGrant { admin, is_bounded: reaches_all(client, method).is_none() })
}

/// All that is looked at before the client is.
pub(super) fn checks<'a>(
    client: &'a Client,
    method: Method,
    client_id: Option<&'a str>,
) -> impl Iterator<Item = Check<'a>> {
    let reached = client_id.map(|client_id| Check {
        place: Place::Field(match method {
            Method::CreateClient | Method::UpdateClient => "client.client_id",
            _ => "client_id",
        }),
        value: Some(client_id),
        rule: Rule::List(List::AdminClients),
        reason: DenialReason::Subject,
        verdict: Verdict::by(reaching(client, method, client_id)),
    });
    [check::method(client, method)].into_iter().chain(reached)
}

/// The line by which the client may call the method for every client.
fn reaches_all(client: &Client, method: Method) -> Option<Line> {
    let permissions = &client.settings.permissions;
    let by_pattern = || permissions.admin_clients.iter().position(Pattern::is_any);
    check::by_role(client, method).or_else(|| Some(Line::Pattern(List::AdminClients, by_pattern()?)))
}

/// The line by which the client may call the method for this one.
fn reaching(client: &Client, method: Method, client_id: &str) -> Option<Line> {
    let is_own = client_id == client.client_id.as_str()
        && matches!(method, Method::GetClient | Method::RotateClientSecret);
    reaches_all(client, method)
        .or_else(|| listed(client, List::AdminClients, client_id))
        .or_else(|| is_own.then_some(Line::OwnId))
}

impl ClientGrant {
    /// Who administers.
    pub(crate) const fn admin(&self) -> &AdminGrant {
        &self.admin
    }

    /// Whether there are clients that it does not reach.
    pub(super) const fn is_bounded(&self) -> bool {
        self.is_bounded
    }

    /// Whether it reaches the client of this id.
    pub(super) fn reaches(&self, client_id: &ClientId) -> bool {
        let AdminGrant { client, method } = &self.admin;
        reaching(client, *method, client_id.as_str()).is_some()
    }

    /// Whether it may bring about, or take over, a client with these permissions: any, unless it is bounded.
    pub(super) fn covers(&self, permissions: &Permissions) -> Result<(), Denial> {
        let caller = &*self.admin.client;
        if !self.is_bounded {
            return Ok(());
        }
        all(caller, exceeding(caller, permissions))
    }

    /// What allows the call for the client of this id, or for some clients.
    pub(crate) fn policy(&self, client_id: Option<&str>) -> String {
        let AdminGrant { client, method } = &self.admin;
        words(client, checks(client, *method, client_id))
    }
}

/// Each of `permissions` that `caller` lacks.
fn exceeding<'a>(caller: &'a Client, permissions: &'a Permissions) -> impl Iterator<Item = Check<'a>> {
    let own = &caller.settings.permissions;
    let lists = List::ALL.into_iter().filter(|list| *list != List::Methods).filter_map(move |list| {
        let is_covered = |pattern: &Pattern| list.patterns(own).iter().any(|own| own.covers(pattern));
        let exceeding = list.patterns(permissions).iter().position(|pattern| !is_covered(pattern));
        exceeding.map(|index| Place::Permission(list.name(), index))
    });
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
        methods.map(|index| Place::Permission("methods", index)),
        roles.map(|index| Place::Permission("roles", index)),
        claim_values.map(|_| Place::Field("client.permissions.claim_values")),
        (permissions.max_ttl > own.max_ttl).then_some(Place::Field("client.permissions.max_ttl")),
        (permissions.impersonate && !own.impersonate)
            .then_some(Place::Field("client.permissions.impersonate")),
    ];
    single.into_iter().flatten().chain(lists).map(|place| Check {
        place,
        value: None,
        rule: Rule::Other,
        reason: DenialReason::Exceeding,
        verdict: Verdict::Denied(None),
    })
}
