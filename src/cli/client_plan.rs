//! What it takes to bring the server's clients to a file's state.

use std::collections::{HashMap, HashSet};

use serde_json::{Value, json};

use super::{
    client_diff::{FieldDiff, diff},
    client_file::certificate_names,
    failure::Failure,
    output::plain,
};
use crate::{
    grpc::{read_client, shown_client},
    proto::v1::Client,
};

/// One change of one client.
pub(super) enum Step {
    /// It is not there yet.
    Create {
        /// As the file says it.
        client: Box<Client>,
        /// What the file says of it, besides its id.
        fields: Vec<FieldDiff>,
    },
    /// It is different.
    Update {
        /// As the file says it, with the etag of what is there.
        client: Box<Client>,
        /// What differs.
        fields: Vec<FieldDiff>,
    },
    /// It is not in the file.
    Delete {
        /// Which.
        client_id: String,
        /// What is there.
        etag: String,
    },
}

/// What the server has, and what is to become of it.
pub(super) struct Terms<'a> {
    /// All of the server's clients.
    pub(super) present: &'a [Client],
    /// Whether those that are not in the file go.
    pub(super) prune: bool,
    /// Clients that do not go in any case.
    pub(super) keep: HashSet<String>,
    /// The caller itself, if it can be told: it is changed last.
    pub(super) caller: Option<&'a str>,
    /// Of each client of the file by its id, the fields that stay as they are.
    pub(super) kept: HashMap<String, Vec<&'static str>>,
}

/// The steps, in the order in which they are to be made.
///
/// # Errors
/// When two clients would have the same name in their certificates.
pub(super) fn plan(wanted: Vec<Client>, terms: &Terms<'_>) -> Result<Vec<Step>, Failure> {
    let present: HashMap<&str, &Client> =
        terms.present.iter().map(|client| (client.client_id.as_str(), client)).collect();
    let named: HashSet<String> = wanted.iter().map(|client| client.client_id.clone()).collect();
    let goes = |client: &Client| {
        terms.prune && !named.contains(&client.client_id) && !terms.keep.contains(&client.client_id)
    };
    let stays = terms.present.iter().filter(|client| !named.contains(&client.client_id) && !goes(client));
    certificates_are_apart(stays, &wanted)?;

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
    let gone = terms.present.iter().filter(|client| goes(client));
    steps.extend(
        gone.map(|client| Step::Delete { client_id: client.client_id.clone(), etag: client.etag.clone() }),
    );
    // What gives a certificate's name away comes before what takes it, and the caller, who must be able to do it all, last.
    steps.sort_by_key(|step| match step {
        Step::Update { client, .. } if Some(client.client_id.as_str()) == terms.caller => 4,
        Step::Delete { .. } if gives_names_away(step, &present) => 0,
        Step::Update { .. } if gives_names_away(step, &present) => 1,
        Step::Create { .. } | Step::Update { .. } => 2,
        Step::Delete { .. } => 3,
    });
    Ok(steps)
}

fn create(wanted: Client) -> Result<Step, Failure> {
    // One of which the file says no more than the id may do nothing.
    let empty = Client { client_id: wanted.client_id.clone(), ..Client::default() };
    let fields = diff(&shown(empty)?, &shown(wanted.clone())?);
    Ok(Step::Create { client: Box::new(wanted), fields })
}

/// The client as the server would answer it.
pub(super) fn shown(client: Client) -> Result<Client, Failure> {
    // The file was checked already.
    let read = read_client(client).map_err(|_| Failure::refused("a client of the file makes no sense"))?;
    Ok(shown_client(read))
}

fn update(there: &Client, mut wanted: Client, kept: &[&'static str]) -> Result<Option<Step>, Failure> {
    let mut fields = diff(there, &shown(wanted.clone())?);
    fields.retain(|field| !kept.contains(&field.path));
    wanted.etag.clone_from(&there.etag);
    Ok((!fields.is_empty()).then(|| Step::Update { client: Box::new(wanted), fields }))
}

fn gives_names_away(step: &Step, present: &HashMap<&str, &Client>) -> bool {
    let Some(there) = present.get(step.client_id()) else { return false };
    let left: HashSet<&str> = match step {
        Step::Update { client, .. } => certificate_names(client).collect(),
        Step::Create { .. } | Step::Delete { .. } => HashSet::new(),
    };
    certificate_names(there).any(|name| !left.contains(name))
}

fn certificates_are_apart<'a>(
    stays: impl Iterator<Item = &'a Client>,
    wanted: &'a [Client],
) -> Result<(), Failure> {
    let mut names: HashMap<&str, &str> = HashMap::new();
    for client in stays {
        names.extend(certificate_names(client).map(|name| (name, client.client_id.as_str())));
    }
    for client in wanted {
        if let Some(other) = certificate_names(client).find_map(|name| names.get(name)) {
            return Err(Failure::refused(format!(
                "client `{}`: authentication.certificate: `{}`, which is not in the file, has the same name",
                client.client_id,
                plain(other)
            )));
        }
    }
    Ok(())
}

impl Step {
    /// Which client it is about.
    pub(super) fn client_id(&self) -> &str {
        match self {
            Self::Create { client, .. } | Self::Update { client, .. } => &client.client_id,
            Self::Delete { client_id, .. } => client_id,
        }
    }

    /// For people, a line a change.
    pub(super) fn text(&self) -> String {
        let id = plain(self.client_id());
        match self {
            Self::Create { fields, .. } => {
                let lines = fields.iter().map(|field| format!("\n+ {id} {}", field.text()));
                format!("+ {id} (new){}", lines.collect::<String>())
            }
            Self::Delete { .. } => format!("- {id}"),
            Self::Update { fields, .. } => {
                let lines: Vec<String> =
                    fields.iter().map(|field| format!("~ {id} {}", field.text())).collect();
                lines.join("\n")
            }
        }
    }

    /// For programs.
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

    /// A client whose certificate has this name, or that has none.
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
    fn names_are_given_away_before_they_are_taken_and_the_caller_comes_last() {
        let present = [
            client("admin", None),
            client("gone", Some("spiffe://a/gone")),
            client("idle", None),
            client("web", Some("spiffe://a/web")),
        ];
        let wanted = vec![
            Client { display_name: "me".to_owned(), ..client("admin", None) },
            client("heir", Some("spiffe://a/gone")),
            client("next", Some("spiffe://a/web")),
            client("web", Some("spiffe://a/web2")),
        ];
        let expected =
            ["delete gone", "update web", "create heir", "create next", "delete idle", "update admin"];
        assert_eq!(order(&present, wanted, Some("admin")).unwrap(), expected);
    }

    #[test]
    fn a_name_of_one_who_stays_is_not_taken() {
        let present = [client("admin", Some("spiffe://a/x"))];
        let taken = order(&present, vec![client("web", Some("spiffe://a/x"))], Some("admin")).unwrap_err();
        assert!(taken.contains("client `web`") && taken.contains("`admin`"), "{taken}");
        assert_eq!(
            order(&present, vec![client("web", Some("spiffe://a/x"))], None).unwrap(),
            ["delete admin", "create web"]
        );
    }

    #[test]
    fn an_update_has_the_etag_of_what_is_there() {
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
