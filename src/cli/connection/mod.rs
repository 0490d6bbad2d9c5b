//! Connections to a server: from flags, variables and the profile of `tokend dev` to a channel with the caller's credential.
//!
//! Invariant: a secret is sent only over TLS, to a loopback host, over a Unix socket, or to an explicit `http://` address.

mod address;
mod call;
mod profile;
mod tls;
mod unreachable;

use std::{env, path::PathBuf, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use clap::Args;
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::Channel,
};
use zeroize::Zeroizing;

use self::{address::Address, tls::ClientTls};
use crate::{
    cli::{
        error::CliError,
        output::{escaped, message},
    },
    config::Secret,
    database::printable,
    files::exposed_mode,
    model::CLIENT_SECRET_PREFIX,
};

pub(super) use self::{
    call::{RemoteFlags, all_pages, response},
    profile::Profile,
};

const ADDRESS: &str = "TOKEND_ADDR";
const SECRET: &str = "TOKEND_CLIENT_SECRET";
const SECRET_FILE: &str = "TOKEND_CLIENT_SECRET_FILE";

/// The server's address and the caller's credential. The default is the most recent server of `tokend dev`.
#[derive(Args)]
#[command(next_help_heading = "Server")]
pub(super) struct Connection {
    /// Set the server's gRPC address: HOST:PORT (TLS, except for a loopback host), https://…, http://…, or unix:PATH
    /// [variable: TOKEND_ADDR] [default: the most recent `tokend dev`]
    #[arg(long, value_name = "ADDRESS")]
    addr: Option<String>,
    /// Read the client secret from this file; no flag takes the secret itself, because all users can see arguments
    /// [variable: TOKEND_CLIENT_SECRET_FILE, or TOKEND_CLIENT_SECRET with the secret itself]
    #[arg(long, value_name = "FILE")]
    client_secret_file: Option<PathBuf>,
    #[command(flatten)]
    tls: ClientTls,
    /// Set how long to wait for a response
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = humantime::parse_duration)]
    timeout: Duration,
}

/// A server to call.
struct Target {
    address: Address,
    /// Where the address came from.
    origin: String,
    profile: Option<Profile>,
}

/// A channel that adds the credential to each call.
pub(super) type AuthenticatedChannel = InterceptedService<Channel, Credential>;

impl Connection {
    /// The server, with its profile if `tokend dev` started it.
    fn target(&self) -> Result<Target, CliError> {
        let profiles = Profile::all().map_err(CliError::Failed)?;
        let named = self.addr.clone().map(|text| (text, "--addr"));
        let Some((text, origin)) = named.or_else(|| Some((variable(ADDRESS)?, ADDRESS))) else {
            let (path, profile) = profiles.into_iter().next().ok_or_else(|| {
                CliError::usage(format!("no server: set --addr or {ADDRESS}, or start one with `tokend dev`"))
            })?;
            let origin = format!("{}, written by `tokend dev`", path.display());
            let address =
                profile.address().parse().map_err(|wanted| CliError::usage(format!("{origin}: {wanted}")))?;
            return Ok(Target { address, origin, profile: Some(profile) });
        };
        // The address may hold a password.
        let shown = if text.contains('@') { printable(&text) } else { text.clone() };
        let address: Address = text
            .parse()
            .map_err(|wanted| CliError::usage(format!("{origin}: `{}` {wanted}", escaped(&shown))))?;
        // The secret of a profile is sent only to the server of that profile.
        let same = |profile: &Profile| {
            [&profile.addr, &profile.address()].iter().any(|text| text.parse().as_ref() == Ok(&address))
        };
        let profile = profiles.into_iter().map(|(_, profile)| profile).find(same);
        Ok(Target { address, origin: origin.to_owned(), profile })
    }

    /// A channel to the server, which connects at the first call.
    fn open(&self, target: &Target) -> Result<AuthenticatedChannel, CliError> {
        let Target { address, profile, .. } = target;
        let credential = match (self.secret()?, profile) {
            (Some(secret), _) => Credential::bearer(secret.reveal()).ok_or_else(|| {
                CliError::usage("the client secret contains characters that no secret of tokend has")
            })?,
            // The server rejects a call with two credentials, and the certificate was given explicitly.
            (None, _) if self.tls.has_certificate() => Credential(None),
            // The server knows the user of this process.
            (None, _) if address.unix_path().is_some() => Credential(None),
            (None, Some(profile)) => Credential::of(&profile.client_id, &profile.client_secret)?,
            (None, None) => {
                return Err(CliError::usage(format!(
                    "no credential for {address}: set {SECRET}, {SECRET_FILE} or --client-secret-file, or a client \
                     certificate by --cert-file and --key-file"
                )));
            }
        };
        Ok(InterceptedService::new(self.channel(address)?, credential))
    }

    /// The id of the calling client, if the credential contains the id, as a secret created by tokend does.
    pub(super) fn caller_id(&self) -> Result<Option<String>, CliError> {
        match self.secret()? {
            Some(secret) => {
                let named =
                    secret.reveal().strip_prefix(CLIENT_SECRET_PREFIX).and_then(|rest| rest.split_once('_'));
                Ok(named.map(|(client_id, _)| client_id.to_owned()))
            }
            // Only the server knows the client with the names of a certificate.
            None if self.tls.has_certificate() => Ok(None),
            None => Ok(self.target()?.profile.map(|profile| profile.client_id)),
        }
    }

    fn secret(&self) -> Result<Option<Secret>, CliError> {
        let in_place = variable(SECRET).map(Secret::from_text);
        let file = match (&self.client_secret_file, variable(SECRET_FILE)) {
            (Some(path), _) => Some((path.clone(), "--client-secret-file")),
            (None, named) => named.map(|path| (PathBuf::from(path), SECRET_FILE)),
        };
        match (in_place, file) {
            (Some(_), Some((_, by))) => Err(CliError::usage(format!(
                "client secret given twice, by {SECRET} and by {by}: remove one"
            ))),
            (None, Some((path, by))) => {
                let secret = Secret::from_file(&path)
                    .map_err(|problem| CliError::usage(format!("{by}: {problem}")))?;
                if let Ok(Some(mode)) = exposed_mode(&path) {
                    let path = escaped(&path.display().to_string());
                    message(&format!("warning: {by}: {path} holds a secret and has the mode {mode:04o}"));
                }
                Ok(Some(secret))
            }
            (in_place, None) => Ok(in_place),
        }
    }

    fn channel(&self, address: &Address) -> Result<Channel, CliError> {
        let failed = |error: tonic::transport::Error| CliError::failed(describe(&error));
        let endpoint = address.endpoint().map_err(failed)?;
        let mut endpoint = endpoint.connect_timeout(self.timeout).timeout(self.timeout);
        if address.is_tls() {
            endpoint = endpoint.tls_config(self.tls.config()?).map_err(failed)?;
        } else if self.tls.has_certificate() {
            return Err(CliError::usage(format!(
                "a client certificate needs TLS, and {address} is plaintext: begin the address with https://"
            )));
        }
        Ok(endpoint.connect_lazy())
    }
}

/// The value of the `authorization` header, or none if the credential is a certificate. Never printed.
#[derive(Clone)]
pub(super) struct Credential(Option<MetadataValue<Ascii>>);

impl Credential {
    /// `Bearer`, if the secret has only characters that a header may have.
    fn bearer(secret: &str) -> Option<Self> {
        secret
            .bytes()
            .all(|byte| byte.is_ascii_graphic())
            .then(|| Self::from_header(&format!("Bearer {secret}")))?
    }

    /// `Bearer`, or `Basic` for a chosen secret with other characters.
    fn of(client_id: &str, secret: &str) -> Result<Self, CliError> {
        Self::from_header(&authorization(client_id, secret))
            .ok_or_else(|| CliError::failed("the client secret cannot be sent"))
    }

    fn from_header(header: &str) -> Option<Self> {
        let mut value = MetadataValue::try_from(header).ok()?;
        value.set_sensitive(true);
        Some(Self(Some(value)))
    }
}

/// The `authorization` header of a client.
pub(super) fn authorization(client_id: &str, secret: &str) -> Zeroizing<String> {
    if secret.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Zeroizing::new(format!("Bearer {secret}"));
    }
    let pair = Zeroizing::new(format!("{client_id}:{secret}"));
    Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes())))
}

impl Interceptor for Credential {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(value) = &self.0 {
            request.metadata_mut().insert("authorization", value.clone());
        }
        Ok(request)
    }
}

/// The value of a variable; an empty value counts as not set.
pub(super) fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|text| !text.is_empty())
}

/// An error with its causes, in one line, because the first message of a transport error says little.
fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = error.source();
    }
    text
}
