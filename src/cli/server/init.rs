//! `tokend init`: creates everything that `tokend serve` needs.

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
    dev::sealing_key,
    template::{EXAMPLE_ISSUER, starting_configuration},
};
use crate::{
    access::RegistryError,
    cli::{
        error::CliError,
        output::{Output, message, print, print_json},
        private_file,
    },
    clock::SystemClock,
    config::{Config, Inputs, Resolved},
    model::{AuthenticationMethod, ClientId, ClientSecret, ClientSettings, Permissions, Role},
    server::Server,
    store::{OpenOptions, StoreError},
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
  tokend init --dir /etc/tokend --new-admin-secret      # if all credentials of administrators are lost

Existing files are used and never overwritten. The command prints the secret of the client `admin`, which may administer
clients, users and keys, once.")]
pub(in crate::cli) struct Init {
    /// Create tokend.toml, sealing.key and (with SQLite) tokend.db in this folder
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// Set the issuer of the tokens: an https URL
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
    /// Set the store of keys and clients [variable: TOKEND_STORE] [default: sqlite:DIR/tokend.db]
    #[arg(long, value_name = "STORE")]
    store: Option<String>,
    /// Read the value of --store from this file, for a value with a password [variable: TOKEND_STORE_FILE]
    #[arg(long, value_name = "FILE")]
    store_file: Option<String>,
    /// Set the gRPC address of `tokend serve`, such as 0.0.0.0:50051 for other machines [default: 127.0.0.1:50051]
    #[arg(long, value_name = "IP:PORT")]
    grpc_addr: Option<SocketAddr>,
    /// Set the HTTP address of `tokend serve` [default: 127.0.0.1:8080]
    #[arg(long, value_name = "IP:PORT")]
    http_addr: Option<SocketAddr>,
    /// Replace the secrets of the client `admin`, and restore its role `admin`; this needs only the store and the sealing key
    #[arg(long)]
    new_admin_secret: bool,
    #[command(flatten)]
    output: Output,
}

impl Init {
    pub(in crate::cli) fn run(self) -> Result<(), CliError> {
        let dir = std::path::absolute(&self.dir)?;
        let file = dir.join(CONFIGURATION);
        self.check_against(&file)?;
        let mut resolved = self.resolve(&file, env::vars_os().collect());
        // The sealing key is created in the file that a setting names, if that does not exist. With Vault, no key is created
        // unless a setting names its file.
        let key_file = resolved.take_absent("sealing_key");
        let key_file = key_file.or_else(|| (!seals_with_vault(&resolved)).then(|| dir.join(SEALING_KEY)));
        let problems = resolved.problems();
        if !problems.is_empty() {
            return Err(problems.into());
        }
        let plan = Plan::of(&resolved, &dir);
        // Check with a temporary key first, so that wrong settings create nothing.
        plan.config(Some(&*crate::keys::SealingKey::generate().map_err(CliError::failed)?.to_text()))?;

        private_file::create_folder(&dir)
            .map_err(|error| CliError::failed(format!("{}: {error}", dir.display())))?;
        let (sealing_key, named) = match resolved.secret_text("sealing_key") {
            // A file that named another key would contradict the given key.
            Some(text) => (Some(Zeroizing::new(text.to_owned())), None),
            None => match &key_file {
                Some(path) => (Some(sealing_key(path)?), Some(path.as_path())),
                None => (None, None),
            },
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let secret =
            runtime.block_on(self.admin(plan.config(sealing_key.as_ref().map(|text| text.as_str()))?))?;
        // The secret is shown last, because everything else can be repeated.
        let addresses = self.given().into_iter().filter(|(name, _)| name.ends_with("_addr"));
        let addresses = addresses.filter_map(|(name, text)| Some((name, text?)));
        let decided: Vec<_> = plan.store.iter().chain(&plan.vault).cloned().chain(addresses).collect();
        let text = starting_configuration(plan.issuer.as_deref(), &decided, named, &dir);
        match private_file::create(&file, &text) {
            Ok(()) => {
                message(&format!("created {}; read it before `tokend serve --config {0}`", file.display()));
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => message(&format!("warning: {} could not be written: {error}", file.display())),
        }
        if self.output.is_json() {
            return print_json(
                &json!({ "client_id": ADMIN, "client_secret": secret.reveal(), "config": file }),
            );
        }
        message("the secret of the client `admin` is shown only once:");
        print(secret.reveal())
    }

    /// Rejects flags that contradict an existing configuration, because the server uses the configuration.
    fn check_against(&self, file: &Path) -> Result<(), CliError> {
        if !file.exists() {
            return Ok(());
        }
        let there = Inputs { file: Some(file.to_owned()), ..Inputs::default() }.resolve();
        for (name, given) in self.given() {
            if let (Some(given), Some(kept)) = (&given, there.text(name))
                && given != kept
            {
                let flag = name.replace('_', "-");
                return Err(CliError::usage(format!(
                    "--{flag}: {} has another value, and is not changed; change it there, or remove the flag",
                    file.display()
                )));
            }
        }
        Ok(())
    }

    /// The settings of the flags.
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

    /// Opens the store, which creates the first keys, and creates the client.
    async fn admin(&self, config: Config) -> Result<ClientSecret, CliError> {
        let mut settings = config.within_open_files();
        settings.store = settings.store.at_once();
        // For a new secret, the store must exist: its location may be mistyped.
        settings.opening = if self.new_admin_secret { OpenOptions::EXISTING } else { OpenOptions::CREATE };
        let server = Server::open(settings, Arc::new(SystemClock)).await.map_err(CliError::failed)?;
        let client_id = ClientId::parse(ADMIN).map_err(CliError::failed)?;
        let settings = match server.stored_client(&client_id).await {
            Ok(_) if !self.new_admin_secret => {
                return Err(CliError::failed(
                    "the client `admin` already exists; `tokend init --new-admin-secret` creates a new secret for it",
                ));
            }
            Ok(record) => administrator_again(record.client.settings),
            Err(RegistryError::Store(StoreError::NotFound)) => administrator(),
            Err(error) => return Err(CliError::failed(error)),
        };
        let secret = server.put_client(client_id, settings, None).await.map_err(CliError::failed)?;
        server.store().close().await;
        Ok(secret)
    }
}

/// The value with an absolute path, because a relative path in the configuration is relative to the folder of the configuration.
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

/// Whether Vault encrypts the keys.
fn seals_with_vault(resolved: &Resolved) -> bool {
    resolved.text("vault_addr").is_some() && resolved.text("seal_with") != Some("local")
}

fn administrator() -> ClientSettings {
    ClientSettings {
        display_name: "created by tokend init".to_owned(),
        permissions: Permissions { roles: vec![Role::Admin], ..Permissions::default() },
        ..ClientSettings::default()
    }
}

/// The settings of the existing client, changed so that it can authenticate with its new secret and administer.
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

/// The settings for the store and the configuration, from flags, environment and an existing configuration.
struct Plan {
    issuer: Option<String>,
    /// `store` or `store_file` with its value; both if both were given, which is rejected.
    store: Vec<(&'static str, String)>,
    /// The given settings of Vault.
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

    /// The settings to open the store with. Settings for serving keep their defaults.
    fn config(&self, sealing_key: Option<&str>) -> Result<Config, CliError> {
        let mut flags: HashMap<&'static str, String> = HashMap::from([
            // The store does not depend on the issuer.
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
        Ok(Inputs { flags, variables, file: None }.resolve().config()?)
    }
}
