//! `tokend init`: from an empty folder to a server that can be started.

use std::{
    collections::HashMap,
    env,
    ffi::OsString,
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::Args;
use serde_json::json;
use zeroize::Zeroizing;

use super::{
    config,
    dev::sealing_key,
    failure::Failure,
    init_file::{EXAMPLE_ISSUER, starting_configuration},
    output::{Output, print, print_json, talk},
    private_file,
};
use crate::{
    access::RegistryError,
    clock::SystemClock,
    config::{Config, Inputs, Resolved},
    model::{AuthenticationMethod, ClientId, ClientSecret, ClientSettings, Permissions, Role},
    server::Server,
    store::StoreError,
};

const CONFIGURATION: &str = "tokend.toml";
const SEALING_KEY: &str = "sealing.key";
const ADMIN: &str = "admin";
const VAULT: [&str; 7] = [
    "vault_addr",
    "vault_token_file",
    "vault_key",
    "vault_mount",
    "vault_namespace",
    "vault_ca_file",
    "seal_with",
];

#[derive(Args)]
#[command(after_help = "Examples:
  tokend init --dir /etc/tokend --issuer https://id.example.com
  tokend init --dir /etc/tokend --issuer https://id.example.com --grpc-addr 0.0.0.0:50051 --http-addr 0.0.0.0:8080
  SECRET=$(tokend init --dir /etc/tokend --store postgres://tokend@db.internal/tokend)
  tokend init --dir /etc/tokend --new-admin-secret      # when nobody can administer any more

What is there already is used and never overwritten. The secret of the client `admin`, which may keep clients, users and
keys, alone goes to stdout, once.")]
pub(super) struct Init {
    /// The folder for tokend.toml, sealing.key and (with SQLite) tokend.db
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// Who will issue the tokens: an https URL
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
    /// Where keys and clients will be kept [variable: TOKEND_STORE] [default: sqlite:DIR/tokend.db]
    #[arg(long, value_name = "STORE")]
    store: Option<String>,
    /// A file that holds the value of --store, for one with a password [variable: TOKEND_STORE_FILE]
    #[arg(long, value_name = "FILE")]
    store_file: Option<String>,
    /// Where `tokend serve` will serve gRPC, such as 0.0.0.0:50051 for other machines [default: 127.0.0.1:50051]
    #[arg(long, value_name = "IP:PORT")]
    grpc_addr: Option<SocketAddr>,
    /// Where `tokend serve` will serve HTTP [default: 127.0.0.1:8080]
    #[arg(long, value_name = "IP:PORT")]
    http_addr: Option<SocketAddr>,
    /// Give the client `admin` a new secret in place of those that it has, and the role `admin` if it has lost it: whoever
    /// holds store and sealing key may
    #[arg(long)]
    new_admin_secret: bool,
    #[command(flatten)]
    output: Output,
}

impl Init {
    pub(super) fn run(self) -> Result<(), Failure> {
        let dir = std::path::absolute(&self.dir)?;
        let file = dir.join(CONFIGURATION);
        self.agrees_with(&file)?;
        let mut resolved = self.resolve(&file, env::vars_os().collect());
        // A file for it that is named already, as a container's variables do, is where it will be made. Where Vault seals,
        // none is made unless one is named.
        let key_file = resolved.take_absent("sealing_key");
        let key_file = key_file.or_else(|| (!sealed_elsewhere(&resolved)).then(|| dir.join(SEALING_KEY)));
        let problems = resolved.problems();
        if !problems.is_empty() {
            return Err(config::refused(&problems));
        }
        let plan = Plan::of(&resolved, &dir);
        // Checked with a key that seals nothing, so that wrong settings leave nothing behind.
        plan.config(Some(&*crate::keys::SealingKey::generate().map_err(refused)?.to_text()))?;

        private_file::create_folder(&dir)
            .map_err(|error| Failure::refused(format!("{}: {error}", dir.display())))?;
        let (sealing_key, named) = match resolved.secret_text("sealing_key") {
            // Given from elsewhere: a file that named another would be a contradiction.
            Some(text) => (Some(Zeroizing::new(text.to_owned())), None),
            None => match &key_file {
                Some(path) => (Some(sealing_key(path)?), Some(path.as_path())),
                None => (None, None),
            },
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let secret =
            runtime.block_on(self.admin(plan.config(sealing_key.as_ref().map(|text| text.as_str()))?))?;
        // Last, and only now shown: everything else can be had again, this secret cannot.
        let addresses = self.given().into_iter().filter(|(name, _)| name.ends_with("_addr"));
        let addresses = addresses.filter_map(|(name, text)| Some((name, text?)));
        let decided: Vec<_> = plan.store.iter().chain(&plan.vault).cloned().chain(addresses).collect();
        let text = starting_configuration(plan.issuer.as_deref(), &decided, named, &dir);
        match private_file::create(&file, &text) {
            Ok(()) => {
                talk(&format!("{} was written; read it before `tokend serve --config {0}`", file.display()));
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => talk(&format!("warning: {} could not be written: {error}", file.display())),
        }
        if self.output.is_json() {
            return print_json(
                &json!({ "client_id": ADMIN, "client_secret": secret.reveal(), "config": file }),
            );
        }
        talk("the secret of the client `admin`, shown once:");
        print(secret.reveal())
    }

    /// Refuses flags that a configuration which is there, and stays as it is, contradicts: the server that it starts would be
    /// another one.
    fn agrees_with(&self, file: &Path) -> Result<(), Failure> {
        if !file.exists() {
            return Ok(());
        }
        let there = Inputs { file: Some(file.to_owned()), ..Inputs::default() }.resolve();
        for (name, given) in self.given() {
            if let (Some(given), Some(kept)) = (&given, there.text(name))
                && given != kept
            {
                let flag = name.replace('_', "-");
                return Err(Failure::usage(format!(
                    "--{flag}: {} says otherwise, and stays as it is; change it there, or leave the flag out",
                    file.display()
                )));
            }
        }
        Ok(())
    }

    /// The settings that flags give.
    fn given(&self) -> [(&'static str, Option<String>); 5] {
        let text = |address: Option<SocketAddr>| address.map(|address| address.to_string());
        [
            ("issuer", self.issuer.clone()),
            ("store", self.store.as_deref().map(|text| absolute("store", text))),
            ("store_file", self.store_file.as_deref().map(|text| absolute("store_file", text))),
            ("grpc_addr", text(self.grpc_addr)),
            ("http_addr", text(self.http_addr)),
        ]
    }

    fn resolve(&self, file: &Path, variables: HashMap<OsString, OsString>) -> Resolved {
        let flags = self.given().into_iter().filter_map(|(name, text)| Some((name, text?))).collect();
        Inputs { flags, variables, file: file.exists().then(|| file.to_owned()) }.resolve()
    }

    /// Opens the store, which makes the first keys, and makes the client.
    async fn admin(&self, config: Config) -> Result<ClientSecret, Failure> {
        let server = Server::open(config.into(), Arc::new(SystemClock)).await.map_err(refused)?;
        let client_id = ClientId::parse(ADMIN).map_err(refused)?;
        let settings = match server.stored_client(&client_id).await {
            Ok(_) if !self.new_admin_secret => {
                return Err(Failure::refused(
                    "the client `admin` exists already; `tokend init --new-admin-secret` gives it a new secret",
                ));
            }
            Ok(record) => administrator_again(record.client.settings),
            Err(RegistryError::Store(StoreError::NotFound)) => administrator(),
            Err(error) => return Err(refused(error)),
        };
        let secret = server.put_client(client_id, settings, None).await.map_err(refused)?;
        server.store().close().await;
        Ok(secret)
    }
}

/// The setting's value with a path that starts from the root: in the file, a relative one starts from the file's folder, and not from
/// the working folder.
fn absolute(name: &str, text: &str) -> String {
    let path_of = |path: &str| {
        let path = std::path::absolute(path).ok()?;
        path.to_str().map(str::to_owned)
    };
    let absolute = match (name, text.strip_prefix("sqlite:")) {
        ("store", Some(path)) => {
            path_of(path.strip_prefix("//").unwrap_or(path)).map(|path| format!("sqlite:{path}"))
        }
        (name, _) if name.ends_with("_file") => path_of(text),
        _ => None,
    };
    absolute.unwrap_or_else(|| text.to_owned())
}

/// Whether the settings have Vault seal.
fn sealed_elsewhere(resolved: &Resolved) -> bool {
    resolved.text("vault_addr").is_some() && resolved.text("seal_with") != Some("local")
}

fn administrator() -> ClientSettings {
    ClientSettings {
        display_name: "made by tokend init".to_owned(),
        permissions: Permissions { roles: vec![Role::Admin], ..Permissions::default() },
        ..ClientSettings::default()
    }
}

/// What operators decided about it stays, but for what would keep its new secret from being of use: it is the way back in.
fn administrator_again(settings: ClientSettings) -> ClientSettings {
    let ClientSettings { mut permissions, mut authentication, .. } = settings.clone();
    if !permissions.roles.contains(&Role::Admin) {
        permissions.roles.push(Role::Admin);
    }
    if !authentication.allows(AuthenticationMethod::ClientSecret) {
        authentication.methods.push(AuthenticationMethod::ClientSecret);
    }
    ClientSettings { disabled: false, permissions, authentication, ..settings }
}

/// What is to be made, as the flags, the environment and a file that is there already say.
struct Plan {
    issuer: Option<String>,
    /// `store` or `store_file` with its value; both only where both were given, which is refused.
    store: Vec<(&'static str, String)>,
    /// The settings of Vault that were given.
    vault: Vec<(&'static str, String)>,
    algorithms: Option<String>,
    shared_secret: Option<Zeroizing<String>>,
}

impl Plan {
    fn of(resolved: &Resolved, dir: &Path) -> Self {
        let texts = |names: &[&'static str]| -> Vec<_> {
            names.iter().filter_map(|name| Some((*name, absolute(name, resolved.text(name)?)))).collect()
        };
        let mut store = texts(&["store", "store_file"]);
        if store.is_empty() {
            store.push(("store", format!("sqlite:{}", dir.join("tokend.db").display())));
        }
        Self {
            issuer: resolved.text("issuer").map(str::to_owned),
            store,
            vault: if resolved.text("vault_addr").is_some() { texts(&VAULT) } else { Vec::new() },
            algorithms: resolved.text("algorithms").map(str::to_owned),
            shared_secret: resolved.secret_text("shared_secret").map(|text| Zeroizing::new(text.to_owned())),
        }
    }

    /// The settings that the store is opened with. What concerns serving alone keeps its default here.
    fn config(&self, sealing_key: Option<&str>) -> Result<Config, Failure> {
        let mut flags: HashMap<&'static str, String> = HashMap::from([
            // The store knows nothing of the issuer, so that any will do to open it.
            ("issuer", self.issuer.clone().unwrap_or_else(|| EXAMPLE_ISSUER.to_owned())),
            ("allow_plaintext", "true".to_owned()),
        ]);
        flags.extend(self.store.iter().chain(&self.vault).cloned());
        flags.extend(self.algorithms.clone().map(|algorithms| ("algorithms", algorithms)));
        let mut variables: HashMap<OsString, OsString> = HashMap::new();
        variables.extend(sealing_key.map(|text| ("TOKEND_SEALING_KEY".into(), text.into())));
        variables.extend(
            self.shared_secret.as_ref().map(|text| ("TOKEND_SHARED_SECRET".into(), text.as_str().into())),
        );
        let resolved = Inputs { flags, variables, file: None }.resolve();
        resolved.config().map_err(|problems| config::refused(&problems))
    }
}

fn refused(error: impl std::fmt::Display) -> Failure {
    Failure::refused(error.to_string())
}
