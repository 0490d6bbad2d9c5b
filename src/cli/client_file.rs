//! Files with clients: TOML with a `[[client]]` for each, its settings named as in the API.

use std::{collections::HashMap, fs, path::Path};

use toml::{Table, Value};

use super::{output::plain, time_text::to_api, toml_section::Section};
use crate::{
    config::Problems,
    grpc::read_client,
    model::AuthenticationMethod,
    proto::v1::{
        self, AssertionKeys, Authentication, CertificateNames, ClaimCondition, Client, ClientLimits,
        Permissions, WorkloadIdentity,
    },
};

/// What a file says.
pub(super) struct ClientFile {
    /// The clients, each of which the server would take.
    pub(super) clients: Vec<Client>,
    /// Of each client by its id, the fields that keep what the server has, because the file does not name them.
    pub(super) kept: HashMap<String, Vec<&'static str>>,
}

/// Permissions that files of the release before do not name: a client registered there has them all, and keeps them.
pub(super) const KEPT: [&str; 3] =
    ["permissions.verify_issuers", "permissions.exchange_actors", "permissions.admin_clients"];

/// Reads a file.
///
/// # Errors
/// Everything that is wrong with it, one problem a line, with client and key.
pub(super) fn read(path: &Path) -> Result<ClientFile, Problems> {
    let failed = |problem: String| Problems::of(format!("{}: {problem}", path.display()));
    let text = fs::read_to_string(path).map_err(|error| failed(format!("cannot be read: {error}")))?;
    let file: Table = text.parse().map_err(|error: toml::de::Error| {
        // Its message only: the whole error would quote the line.
        let offset = error.span().map_or(0, |span| span.start);
        let line = text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1;
        failed(format!("line {line}: {}", error.message().replace('\n', ", ")))
    })?;
    let mut problems = Problems::default();
    let kept = kept(&file);
    let clients = clients(file, &mut problems);
    check(&clients, &mut problems);
    if problems.is_empty() { Ok(ClientFile { clients, kept }) } else { Err(problems) }
}

fn kept(file: &Table) -> HashMap<String, Vec<&'static str>> {
    let of_client = |client: &Value| {
        let permissions = client.get("permissions");
        let is_named = |path: &str| {
            let name = path.strip_prefix("permissions.").unwrap_or(path);
            permissions.is_some_and(|permissions| permissions.get(name).is_some())
        };
        let client_id = client.get("client_id")?.as_str()?.to_owned();
        Some((client_id, KEPT.into_iter().filter(|path| !is_named(path)).collect()))
    };
    let clients = file.get("client").and_then(Value::as_array);
    clients.into_iter().flatten().filter_map(of_client).collect()
}

fn clients(mut file: Table, problems: &mut Problems) -> Vec<Client> {
    let tables = match file.remove("client") {
        None => Vec::new(),
        Some(Value::Array(tables)) => tables,
        Some(_) => {
            problems.add("client: must be a list of tables, each of which begins with `[[client]]`");
            Vec::new()
        }
    };
    for key in file.keys() {
        problems.add(format!("{}: unknown key; each client begins with `[[client]]`", plain(key)));
    }
    let mut clients = Vec::with_capacity(tables.len());
    for (index, table) in tables.into_iter().enumerate() {
        match table {
            Value::Table(table) => clients.push(client(index, table, problems)),
            _ => problems.add(format!("client {}: must be a table", index + 1)),
        }
    }
    clients
}

fn client(index: usize, table: Table, problems: &mut Problems) -> Client {
    let place = match table.get("client_id").and_then(Value::as_str) {
        Some(id) if !id.is_empty() => place(id),
        _ => format!("client {}: ", index + 1),
    };
    if !table.contains_key("client_id") {
        problems.add(format!("{place}client_id: must be given"));
    } else if table.get("client_id").and_then(Value::as_str) == Some("") {
        problems.add(format!("{place}client_id: must not be empty"));
    }
    let mut section = Section::new(place, table);
    let client = Client {
        client_id: section.text("client_id", problems),
        display_name: section.text("display_name", problems),
        disabled: section.flag("disabled", problems),
        default_audiences: section.texts("default_audiences", problems),
        default_ttl: section.duration("default_ttl", problems).map(to_api),
        token_type: section.text("token_type", problems),
        algorithm: section.text("algorithm", problems),
        authentication: Some(authentication(section.section("authentication", problems), problems)),
        permissions: Some(permissions(section.section("permissions", problems), problems)),
        limits: Some(limits(section.section("limits", problems), problems)),
        ..Client::default()
    };
    section.end(problems);
    client
}

fn place(client_id: &str) -> String {
    format!("client `{}`: ", plain(client_id))
}

fn authentication(mut section: Section, problems: &mut Problems) -> Authentication {
    let names = section.texts("methods", problems);
    let mut certificate = section.section("certificate", problems);
    let mut keys = section.section("assertion_keys", problems);
    let authentication = Authentication {
        methods: names.iter().map(|name| method(name)).collect(),
        certificate: Some(CertificateNames {
            uris: certificate.texts("uris", problems),
            dns_names: certificate.texts("dns_names", problems),
        }),
        assertion_keys: Some(AssertionKeys {
            jwks_json: keys.text("jwks_json", problems),
            jwks_file: keys.text("jwks_file", problems),
        }),
        workload_identities: section
            .sections("workload_identities", problems)
            .into_iter()
            .map(|section| identity(section, problems))
            .collect(),
        ..Authentication::default()
    };
    certificate.end(problems);
    keys.end(problems);
    section.end(problems);
    authentication
}

/// A method's number; that of none for an unknown name, which the check then refuses with all that may stand there.
fn method(name: &str) -> i32 {
    name.parse().map_or(v1::AuthenticationMethod::Unspecified.into(), method_number)
}

/// A method's number in the API.
pub(super) fn method_number(method: AuthenticationMethod) -> i32 {
    let method = match method {
        AuthenticationMethod::ClientSecret => v1::AuthenticationMethod::ClientSecret,
        AuthenticationMethod::MutualTls => v1::AuthenticationMethod::MutualTls,
        AuthenticationMethod::PrivateKeyJwt => v1::AuthenticationMethod::PrivateKeyJwt,
        AuthenticationMethod::WorkloadIdentity => v1::AuthenticationMethod::WorkloadIdentity,
    };
    method.into()
}

fn identity(mut section: Section, problems: &mut Problems) -> WorkloadIdentity {
    let identity = WorkloadIdentity {
        issuer: section.text("issuer", problems),
        audience: section.text("audience", problems),
        conditions: conditions(section.sections("conditions", problems), problems),
    };
    section.end(problems);
    identity
}

fn permissions(mut section: Section, problems: &mut Problems) -> Permissions {
    let permissions = Permissions {
        methods: section.texts("methods", problems),
        audiences: section.texts("audiences", problems),
        scopes: section.texts("scopes", problems),
        subjects: section.texts("subjects", problems),
        claims: section.texts("claims", problems),
        max_ttl: section.duration("max_ttl", problems).map(to_api),
        verify_audiences: section.texts("verify_audiences", problems),
        claim_values: conditions(section.sections("claim_values", problems), problems),
        login_usernames: section.texts("login_usernames", problems),
        revoke_subjects: section.texts("revoke_subjects", problems),
        revoke_clients: section.texts("revoke_clients", problems),
        exchange_subjects: section.texts("exchange_subjects", problems),
        exchange_audiences: section.texts("exchange_audiences", problems),
        exchange_issuers: section.texts("exchange_issuers", problems),
        impersonate: section.flag("impersonate", problems),
        roles: section.texts("roles", problems),
        verify_issuers: section.texts("verify_issuers", problems),
        exchange_actors: section.texts("exchange_actors", problems),
        admin_clients: section.texts("admin_clients", problems),
    };
    section.end(problems);
    permissions
}

fn conditions(sections: Vec<Section>, problems: &mut Problems) -> Vec<ClaimCondition> {
    let read = |mut section: Section| {
        let condition = ClaimCondition {
            claim: section.text("claim", problems),
            values: section.texts("values", problems),
        };
        section.end(problems);
        condition
    };
    sections.into_iter().map(read).collect()
}

fn limits(mut section: Section, problems: &mut Problems) -> ClientLimits {
    let limits = ClientLimits {
        calls_per_second: section.number("calls_per_second", problems),
        concurrent_calls: section.number("concurrent_calls", problems),
    };
    section.end(problems);
    limits
}

/// What the server would say against each client, and against all of them together.
fn check(clients: &[Client], problems: &mut Problems) {
    let mut ids = HashMap::new();
    let mut names = HashMap::new();
    for client in clients {
        let place = place(&client.client_id);
        if let Err(violations) = read_client(client.clone()) {
            // An id that is not there was named already.
            let given = |field: &str| field != "client.client_id" || !client.client_id.is_empty();
            for violation in violations.as_slice().iter().filter(|violation| given(&violation.field)) {
                let field = violation.field.strip_prefix("client.").unwrap_or(&violation.field);
                problems.add(format!("{place}{field}: {}", violation.description));
            }
        }
        if !client.client_id.is_empty() && ids.insert(&client.client_id, ()).is_some() {
            problems.add(format!("{place}stands in the file twice"));
        }
        for name in certificate_names(client) {
            if let Some(other) =
                names.insert(name, &client.client_id).filter(|other| **other != client.client_id)
            {
                problems
                    .add(format!("{place}authentication.certificate: `{}` has the same name", plain(other)));
            }
        }
    }
}

/// The names in a client's certificates.
pub(super) fn certificate_names(client: &Client) -> impl Iterator<Item = &str> {
    let certificate = client.authentication.as_ref().and_then(|known| known.certificate.as_ref());
    let names = certificate.map(|names| names.uris.iter().chain(&names.dns_names));
    names.into_iter().flatten().map(String::as_str)
}
