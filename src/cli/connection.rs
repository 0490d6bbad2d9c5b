//! From flags, variables and the profile of `dev` to a channel that carries the caller's credential.

use std::{env, path::PathBuf, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use clap::Args;
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, Endpoint},
};
use zeroize::Zeroizing;

use super::{
    address::Address,
    client_tls::ClientTls,
    failure::Failure,
    output::{plain, talk},
    profile::Profile,
};
use crate::{config::Secret, database::printable, files::exposed_mode, model::CLIENT_SECRET_PREFIX};

const ADDRESS: &str = "TOKEND_ADDR";
const SECRET: &str = "TOKEND_CLIENT_SECRET";
const SECRET_FILE: &str = "TOKEND_CLIENT_SECRET_FILE";

/// Where the server is and who calls. Without any of it: the server that `tokend dev` started last.
#[derive(Args)]
#[command(next_help_heading = "Server")]
pub(super) struct Connection {
    /// The server's gRPC address: HOST:PORT (TLS, but for a loopback host), https://… or http://…
    /// [variable: TOKEND_ADDR] [default: where `tokend dev` was started last]
    #[arg(long, value_name = "ADDRESS")]
    addr: Option<String>,
    /// A file that holds the caller's client secret, which no flag takes, for all users see the arguments of a process
    /// [variable: TOKEND_CLIENT_SECRET_FILE, or TOKEND_CLIENT_SECRET with the secret itself]
    #[arg(long, value_name = "FILE")]
    client_secret_file: Option<PathBuf>,
    #[command(flatten)]
    tls: ClientTls,
    /// How long to wait for an answer
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = humantime::parse_duration)]
    timeout: Duration,
}

/// A server to call.
pub(super) struct Target {
    pub(super) address: Address,
    /// What named the address.
    pub(super) origin: String,
    profile: Option<Profile>,
}

/// A channel that puts the credential on each call.
pub(super) type Caller = InterceptedService<Channel, Credential>;

impl Connection {
    /// Where the server is, and the profile of a `tokend dev` there.
    pub(super) fn target(&self) -> Result<Target, Failure> {
        let profiles = Profile::all().map_err(Failure::Refused)?;
        let named = self.addr.clone().map(|text| (text, "--addr"));
        let Some((text, origin)) = named.or_else(|| Some((variable(ADDRESS)?, ADDRESS))) else {
            let (path, profile) = profiles.into_iter().next().ok_or_else(|| {
                Failure::usage(format!("no server: set --addr or {ADDRESS}, or start one with `tokend dev`"))
            })?;
            let origin = format!("{}, which `tokend dev` left", path.display());
            let address =
                profile.addr.parse().map_err(|wanted| Failure::usage(format!("{origin}: {wanted}")))?;
            return Ok(Target { address, origin, profile: Some(profile) });
        };
        // It may hold a password.
        let shown = if text.contains('@') { printable(&text) } else { text.clone() };
        let address: Address = text
            .parse()
            .map_err(|wanted| Failure::usage(format!("{origin}: `{}` {wanted}", plain(&shown))))?;
        // A secret is only ever sent to the server that it was left for.
        let same = |profile: &Profile| profile.addr.parse().as_ref() == Ok(&address);
        let profile = profiles.into_iter().map(|(_, profile)| profile).find(same);
        Ok(Target { address, origin: origin.to_owned(), profile })
    }

    /// A channel to the server. It connects at the first call.
    pub(super) fn open(&self, target: &Target) -> Result<Caller, Failure> {
        let Target { address, profile, .. } = target;
        let credential = match (self.secret()?, profile) {
            (Some(secret), _) => Credential::bearer(secret.reveal()).ok_or_else(|| {
                Failure::usage("the client secret holds characters that no secret of tokend has")
            })?,
            // Two credentials on one call would be refused, and the certificate is what was asked for.
            (None, _) if self.tls.has_certificate() => Credential::none(),
            (None, Some(profile)) => Credential::of(&profile.client_id, &profile.client_secret)?,
            (None, None) => {
                return Err(Failure::usage(format!(
                    "no credential for {address}: set {SECRET}, {SECRET_FILE} or --client-secret-file, or a client \
                     certificate by --cert-file and --key-file"
                )));
            }
        };
        Ok(InterceptedService::new(self.channel(address)?, credential))
    }

    /// Which client calls, as far as the credential tells: a secret that tokend made holds the client's id.
    pub(super) fn caller_id(&self) -> Result<Option<String>, Failure> {
        match self.secret()? {
            Some(secret) => {
                let named =
                    secret.reveal().strip_prefix(CLIENT_SECRET_PREFIX).and_then(|rest| rest.split_once('_'));
                Ok(named.map(|(client_id, _)| client_id.to_owned()))
            }
            // A certificate tells names, and the server knows whose they are.
            None if self.tls.has_certificate() => Ok(None),
            None => Ok(self.target()?.profile.map(|profile| profile.client_id)),
        }
    }

    fn secret(&self) -> Result<Option<Secret>, Failure> {
        let in_place = variable(SECRET).map(Secret::from_text);
        let file = match (&self.client_secret_file, variable(SECRET_FILE)) {
            (Some(path), _) => Some((path.clone(), "--client-secret-file")),
            (None, named) => named.map(|path| (PathBuf::from(path), SECRET_FILE)),
        };
        match (in_place, file) {
            (Some(_), Some((_, by))) => Err(Failure::usage(format!(
                "client secret given twice, by {SECRET} and by {by}: leave one out"
            ))),
            (None, Some((path, by))) => {
                let secret =
                    Secret::from_file(&path).map_err(|problem| Failure::usage(format!("{by}: {problem}")))?;
                if let Ok(Some(mode)) = exposed_mode(&path) {
                    let path = plain(&path.display().to_string());
                    talk(&format!("warning: {by}: {path} holds a secret and has the mode {mode:04o}"));
                }
                Ok(Some(secret))
            }
            (in_place, None) => Ok(in_place),
        }
    }

    fn channel(&self, address: &Address) -> Result<Channel, Failure> {
        let failed = |error: tonic::transport::Error| Failure::refused(describe(&error));
        let mut endpoint = Endpoint::from(address.uri()).connect_timeout(self.timeout).timeout(self.timeout);
        if address.is_tls() {
            endpoint = endpoint.tls_config(self.tls.config()?).map_err(failed)?;
        } else if self.tls.has_certificate() {
            return Err(Failure::usage(format!(
                "a client certificate is shown over TLS only, and {address} is plaintext: begin the address with https://"
            )));
        }
        Ok(endpoint.connect_lazy())
    }
}

/// The value of an `authorization` header, or none where a certificate is the credential. Never printed.
#[derive(Clone)]
pub(super) struct Credential(Option<MetadataValue<Ascii>>);

impl Credential {
    const fn none() -> Self {
        Self(None)
    }

    /// `Bearer`, where the secret can stand in a header as it is.
    fn bearer(secret: &str) -> Option<Self> {
        secret
            .bytes()
            .all(|byte| byte.is_ascii_graphic())
            .then(|| Self::from_header(&format!("Bearer {secret}")))?
    }

    /// `Bearer`, or `Basic` for a secret that somebody chose with other characters in it.
    fn of(client_id: &str, secret: &str) -> Result<Self, Failure> {
        Self::from_header(&authorization(client_id, secret))
            .ok_or_else(|| Failure::refused("the client secret cannot be sent"))
    }

    fn from_header(header: &str) -> Option<Self> {
        let mut value = MetadataValue::try_from(header).ok()?;
        value.set_sensitive(true);
        Some(Self(Some(value)))
    }
}

/// The text of the `authorization` header for this client.
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

/// A variable's text; an empty one counts as not set.
pub(super) fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|text| !text.is_empty())
}

/// An error with its causes, in one line: transport errors say little in their first words.
pub(super) fn describe(error: &dyn std::error::Error) -> String {
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
