//! The steps that change the server's clients to the state of a file.

use std::collections::{HashMap, HashSet};

use serde_json::{Value, json};

use super::{
    file::{PeerName, peer_names},
    view::{FieldDiff, diff},
};
use crate::{
    cli::{error::CliError, output::escaped},
    grpc::{read_client, shown_client},
    proto::v1::Client,
};

/// A change of one client.
pub(super) enum Step {
    Create {
        client: Box<Client>,
        /// What the file sets, except for the id.
        fields: Vec<FieldDiff>,
    },
    Update {
        /// The client of the file, with the etag of the server's client.
        client: Box<Client>,
        fields: Vec<FieldDiff>,
    },
    Delete {
        client_id: String,
        etag: String,
    },
}

/// The server's clients, and what may change.
pub(super) struct Terms<'a> {
    pub(super) present: &'a [Client],
    /// Whether clients that are not in the file are deleted.
    pub(super) prune: bool,
    /// Clients that are never deleted.
    pub(super) keep: HashSet<String>,
    /// The calling client, if known; it is changed last.
    pub(super) caller: Option<&'a str>,
    /// For each client id of the file, the fields that do not change.
    pub(super) kept: HashMap<String, Vec<&'static str>>,
}

/// The steps in the order in which they must run.
///
/// # Errors
/// When two clients would have the same name in their certificates, or the same user or group id.
pub(super) fn plan(wanted: Vec<Client>, terms: &Terms<'_>) -> Result<Vec<Step>, CliError> {
    let present: HashMap<&str, &Client> =
        terms.present.iter().map(|client| (client.client_id.as_str(), client)).collect();
    let named: HashSet<String> = wanted.iter().map(|client| client.client_id.clone()).collect();
    let is_deleted = |client: &Client| {
        terms.prune && !named.contains(&client.client_id) && !terms.keep.contains(&client.client_id)
    };
    let stay =
        terms.present.iter().filter(|client| !named.contains(&client.client_id) && !is_deleted(client));
    check_peer_names(stay, &wanted)?;

    let mut steps = Vec::new();
    for client in wanted {
        match present.get(client.client_id.as_str()) {
            None => steps.push(create(client)?),
            Some(there) => {
                let kept = terms.kept.get(&client.client_id).map_or(&[][..], Vec::as_slice);
                steps.extend(update(there, client, kept)?);
            }
        }
    }
    let deleted = terms.present.iter().filter(|client| is_deleted(client));
    steps.extend(
        deleted.map(|client| Step::Delete { client_id: client.client_id.clone(), etag: client.etag.clone() }),
    );
    // A step that releases a name or an id runs before a step that may take it. The caller's own client is last, because the
    // caller needs its permissions for all other steps.
    steps.sort_by_key(|step| match step {
        Step::Update { client, .. } if Some(client.client_id.as_str()) == terms.caller => 4,
        Step::Delete { .. } if releases_names(step, &present) => 0,
        Step::Update { .. } if releases_names(step, &present) => 1,
        Step::Create { .. } | Step::Update { .. } => 2,
        Step::Delete { .. } => 3,
    });
    Ok(steps)
}

fn create(wanted: Client) -> Result<Step, CliError> {
    let empty = Client { client_id: wanted.client_id.clone(), ..Client::default() };
    let fields = diff(&as_shown(empty)?, &as_shown(wanted.clone())?)?;
    Ok(Step::Create { client: Box::new(wanted), fields })
}

/// The client as the server would return it.
pub(super) fn as_shown(client: Client) -> Result<Client, CliError> {
    // `read_file` has checked the client already.
    let read = read_client(client).map_err(|_| CliError::failed("a client of the file is invalid"))?;
    Ok(shown_client(read))
}

fn update(there: &Client, mut wanted: Client, kept: &[&'static str]) -> Result<Option<Step>, CliError> {
    let mut fields = diff(there, &as_shown(wanted.clone())?)?;
    fields.retain(|field| !kept.contains(&field.path));
    wanted.etag.clone_from(&there.etag);
    Ok((!fields.is_empty()).then(|| Step::Update { client: Box::new(wanted), fields }))
}

fn releases_names(step: &Step, present: &HashMap<&str, &Client>) -> bool {
    let Some(there) = present.get(step.client_id()) else { return false };
    let left: HashSet<PeerName> = match step {
        Step::Update { client, .. } => peer_names(client).collect(),
        Step::Create { .. } | Step::Delete { .. } => HashSet::new(),
    };
    peer_names(there).any(|name| !left.contains(&name))
}

fn check_peer_names<'a>(
    stay: impl Iterator<Item = &'a Client>,
    wanted: &'a [Client],
) -> Result<(), CliError> {
    let mut names: HashMap<PeerName, &str> = HashMap::new();
    for client in stay {
        names.extend(peer_names(client).map(|name| (name, client.client_id.as_str())));
    }
    for client in wanted {
        if let Some((name, other)) = peer_names(client).find_map(|name| names.get_key_value(&name)) {
            return Err(CliError::failed(format!(
                "client `{}`: authentication.{}: `{}`, which is not in the file, has the same {}",
                client.client_id,
                name.field,
                escaped(other),
                name.what()
            )));
        }
    }
    Ok(())
}

impl Step {
    pub(super) fn client_id(&self) -> &str {
        match self {
            Self::Create { client, .. } | Self::Update { client, .. } => &client.client_id,
            Self::Delete { client_id, .. } => client_id,
        }
    }

    pub(super) const fn is_create(&self) -> bool {
        matches!(self, Self::Create { .. })
    }

    /// A line for each change.
    pub(super) fn text(&self) -> String {
        let id = escaped(self.client_id());
        let lines = |sign: &str, fields: &[FieldDiff]| -> Vec<String> {
            fields.iter().map(|field| format!("{sign} {id} {}", field.text())).collect()
        };
        match self {
            Self::Create { fields, .. } => {
                [vec![format!("+ {id} (new)")], lines("+", fields)].concat().join("\n")
            }
            Self::Delete { .. } => format!("- {id}"),
            Self::Update { fields, .. } => lines("~", fields).join("\n"),
        }
    }

    pub(super) fn json(&self) -> Value {
        let (action, fields) = match self {
            Self::Create { fields, .. } => ("create", fields.as_slice()),
            Self::Delete { .. } => ("delete", &[][..]),
            Self::Update { fields, .. } => ("update", fields.as_slice()),
        };
        let fields: Vec<Value> = fields.iter().map(FieldDiff::json).collect();
        json!({ "client_id": self.client_id(), "action": action, "fields": fields })
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use std::collections::{HashMap, HashSet};

    use super::{Step, Terms, plan};
    use crate::proto::v1::{Authentication, AuthenticationMethod, CertificateNames, Client};

    /// A client with this name in its certificate, or without a certificate.
    fn client(client_id: &str, uri: Option<&str>) -> Client {
        let certificate =
            uri.map(|uri| CertificateNames { uris: vec![uri.to_owned()], ..CertificateNames::default() });
        let method = match certificate {
            Some(_) => AuthenticationMethod::MutualTls,
            None => AuthenticationMethod::ClientSecret,
        };
        let authentication =
            Authentication { methods: vec![method.into()], certificate, ..Authentication::default() };
        Client {
            client_id: client_id.to_owned(),
            authentication: Some(authentication),
            etag: "\"1-1\"".to_owned(),
            ..Client::default()
        }
    }

    fn order(present: &[Client], wanted: Vec<Client>, caller: Option<&str>) -> Result<Vec<String>, String> {
        let keep: HashSet<String> = caller.map(str::to_owned).into_iter().collect();
        let terms = Terms { present, prune: true, keep, caller, kept: HashMap::new() };
        let steps = plan(wanted, &terms).map_err(|failure| failure.message().unwrap().to_owned())?;
        let word = |step: &Step| match step {
            Step::Create { .. } => "create",
            Step::Update { .. } => "update",
            Step::Delete { .. } => "delete",
        };
        Ok(steps.iter().map(|step| format!("{} {}", word(step), step.client_id())).collect())
    }

    #[test]
    fn names_are_released_before_they_are_taken_and_the_caller_is_last() {
        let present = [
            client("admin", None),
            client("gone", Some("spiffe://a/gone")),
            client("idle", None),
            client("web", Some("spiffe://a/web")),
        ];
        let wanted = vec![
            Client { display_name: "me".to_owned(), ..client("admin", None) },
            client("successor", Some("spiffe://a/gone")),
            client("next", Some("spiffe://a/web")),
            client("web", Some("spiffe://a/web2")),
        ];
        let expected =
            ["delete gone", "update web", "create successor", "create next", "delete idle", "update admin"];
        assert_eq!(order(&present, wanted, Some("admin")).unwrap(), expected);
    }

    #[test]
    fn a_certificate_name_of_a_client_that_stays_is_not_taken() {
        let present = [client("admin", Some("spiffe://a/x"))];
        let taken = order(&present, vec![client("web", Some("spiffe://a/x"))], Some("admin")).unwrap_err();
        assert!(taken.contains("client `web`") && taken.contains("`admin`"), "{taken}");
        assert_eq!(
            order(&present, vec![client("web", Some("spiffe://a/x"))], None).unwrap(),
            ["delete admin", "create web"]
        );
    }

    #[test]
    fn an_update_has_the_etag_of_the_servers_client() {
        let terms = Terms {
            present: &[client("web", None)],
            prune: false,
            keep: HashSet::new(),
            caller: None,
            kept: HashMap::new(),
        };
        let wanted = Client { disabled: true, etag: String::new(), ..client("web", None) };
        let steps = plan(vec![wanted], &terms).map_err(|_| ()).unwrap();
        assert!(matches!(
            steps.as_slice(),
            [Step::Update { client, fields }]
                if client.etag == "\"1-1\"" && fields.iter().any(|field| field.path == "disabled")
        ));
    }
}
