//! The steps of IssueToken and VerifyToken that `benches/` measures, with the default settings and a store in memory.
//!
//! May import everything. Invariant: a step does what a call does, without the setup.

use std::{collections::HashMap, error::Error, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, header::AUTHORIZATION};

use crate::{
    access::{
        self, Authenticator, Caller, ClientRegistry, Directory, IssueRules, TrustedIssuers, UsedAssertions,
    },
    admission::Admission,
    clock::{Clock, SystemClock},
    config::Inputs,
    grpc,
    jose::{self, Compact, Header, KeyMaterial, Signer},
    keys::{KeyRing, SealingKey},
    metrics::MetricsRegistry,
    model::{Algorithm, ClientId, ClientSettings, IssueRequest, Pattern, Permissions, VerifyRequest},
    revocations::{RevocationSettings, Revocations},
    server::Settings,
    store::{self, ClockGuard, Location},
    tokens::{Issuer, VerifiedToken, Verifier, VerifyPolicy},
};

const CLIENT: &str = "bench";
const AUDIENCE: &str = "orders";

/// A failure of the setup.
pub type Failure = Box<dyn Error>;

/// Signs like a key of the ring.
pub fn signing(algorithm: Algorithm) -> Result<impl Fn() -> bool, Failure> {
    let (signer, _, message) = key(algorithm)?;
    Ok(move || signer.sign(&message).is_ok())
}

/// Verifies like a key of the ring.
pub fn verifying(algorithm: Algorithm) -> Result<impl Fn() -> bool, Failure> {
    let (signer, verifier, message) = key(algorithm)?;
    let signature = signer.sign(&message)?;
    Ok(move || verifier.verify(&message, &signature).is_ok())
}

fn key(algorithm: Algorithm) -> Result<(Signer, jose::Verifier, Vec<u8>), Failure> {
    let material = Arc::new(KeyMaterial::parse(algorithm, &KeyMaterial::generate(algorithm)?)?);
    let verifier = match material.public_key(algorithm) {
        Some(public) => jose::Verifier::public(public),
        None => jose::Verifier::secret(algorithm, &material),
    };
    // The length of a usual token's header and claims.
    Ok((Signer::in_memory(algorithm, material), verifier, vec![b'x'; 400]))
}

/// The parts of a server that issue and verify.
pub struct Scene {
    caller: Caller,
    rules: IssueRules,
    issuer: Issuer,
    cold: Verifier,
    warm: Verifier,
    token: String,
}

impl Scene {
    /// Opens a store in memory with one client, and issues a token that is then in the cache of verified
    /// tokens.
    ///
    /// # Errors
    /// As the start of a server.
    pub fn new() -> Result<Self, Failure> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        runtime.block_on(Self::open())
    }

    async fn open() -> Result<Self, Failure> {
        let settings = settings()?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let store = store::open(&Location::Memory).await?;
        let ring = Arc::new(KeyRing::open(Arc::clone(&store), settings.keys, Arc::clone(&clock)).await?);
        let guard = Arc::new(ClockGuard::new(Arc::clone(&store), Arc::clone(&clock)));
        // There is no `Follower`.
        let serve_stale = RevocationSettings { serve_stale: true, ..settings.revocations };
        let opening = Revocations::open(Arc::clone(&store), serve_stale, Arc::clone(&clock), guard);
        let revocations = Arc::new(opening.await?);
        let sources = settings.caller_sources;
        let issuers =
            Arc::new(TrustedIssuers::new(sources.trusted_issuers, sources.refresh, Arc::clone(&clock)));
        let directory = Directory::open(Arc::clone(&store), Arc::clone(ring.sealer()), sources.jwks_dir);
        let directory = Arc::new(directory.await?);
        let secret = {
            let clients = ClientRegistry::new(Arc::clone(&store), Arc::clone(&directory), Arc::clone(&clock));
            clients.put(ClientId::parse(CLIENT)?, service()?, None).await?
        };
        let authenticator = Authenticator::new(
            settings.callers,
            directory,
            Arc::new(UsedAssertions::new(store, Arc::clone(&clock))),
            issuers,
            &mut MetricsRegistry::default(),
            Arc::clone(&clock),
        )?;
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, format!("Bearer {}", secret.reveal()).parse()?);
        let authenticated = authenticator.authenticate(&headers, None).await?;
        let admission = Admission::new(settings.admission, 1, Arc::clone(&clock));
        let traffic = admission.traffic(authenticated.client_id());
        let caller = authenticated.admit(&admission, &traffic, None).await?;
        let verifier = |cache_bytes| {
            let policy = VerifyPolicy { cache_bytes, ..settings.verify.clone() };
            grpc::verifier(policy, &ring, &revocations, &clock)
        };
        let (cold, warm) = (verifier(0), verifier(1 << 20));
        let issuer = Issuer::new(settings.issue, Arc::clone(&ring), Arc::clone(&clock));
        let mut scene = Self { caller, rules: settings.rules, issuer, cold, warm, token: String::new() };
        scene.token = scene.issue()?;
        // The first call caches the token.
        scene.verify(&scene.warm)?;
        Ok(scene)
    }

    /// Parses a token: compact form, header, claims.
    pub fn parse(&self) -> bool {
        let Ok(token) = Compact::parse(&self.token, 8192) else { return false };
        let Ok((_, claims)) = token.claims() else { return false };
        Header::parse(&token.header).is_ok() && jose::read_claims(&claims).is_ok()
    }

    /// Decides whether the caller may issue a token.
    pub fn decide_issue(&self) -> bool {
        access::issue(self.caller.client(), issue_request(), &self.rules).is_ok()
    }

    /// Decides whether the caller may verify a token.
    pub fn decide_verify(&self) -> bool {
        access::verify(self.caller.client(), self.verify_request()).is_ok()
    }

    /// Issues a token: policy, claims, signature.
    ///
    /// # Errors
    /// As IssueToken.
    pub fn issue(&self) -> Result<String, Failure> {
        let grant = access::issue(self.caller.client(), issue_request(), &self.rules)?;
        Ok(self.issuer.issue(&grant)?.token)
    }

    /// Verifies the token: policy, signature, claims, revocations.
    pub fn verify_cold(&self) -> bool {
        self.verify(&self.cold).is_ok()
    }

    /// Verifies the token with the verified-token cache.
    pub fn verify_warm(&self) -> bool {
        self.verify(&self.warm).is_ok()
    }

    /// Verifies the token that is in the cache of verified tokens, and encodes the response.
    ///
    /// # Errors
    /// As VerifyToken.
    pub fn answer_warm(&self) -> Result<Bytes, Failure> {
        Ok(grpc::verified_response(&self.verify(&self.warm)?))
    }

    fn verify(&self, verifier: &Verifier) -> Result<VerifiedToken, Failure> {
        let grant = access::verify(self.caller.client(), self.verify_request())?;
        Ok(match verifier.cached(grant.token()) {
            Some(token) => verifier.verify_known(&grant, token, verifier.now())?,
            None => verifier.verify(&grant)?,
        })
    }

    fn verify_request(&self) -> VerifyRequest {
        VerifyRequest {
            token: self.token.clone(),
            audiences: vec![AUDIENCE.to_owned()],
            ..VerifyRequest::default()
        }
    }
}

fn issue_request() -> IssueRequest {
    IssueRequest {
        subject: Some("user-1".to_owned()),
        audiences: vec![AUDIENCE.to_owned()],
        scopes: vec!["orders.read".to_owned(), "orders.write".to_owned()],
        ..IssueRequest::default()
    }
}

/// The defaults of `tokend serve`.
fn settings() -> Result<Settings, Failure> {
    let flags = [
        ("issuer", "https://auth.example.com"),
        ("allow_plaintext", "true"),
        ("audit_mode", "off"),
        ("store", "sqlite:bench"),
    ];
    let flags: HashMap<&'static str, String> = flags.map(|(key, value)| (key, value.to_owned())).into();
    let sealing_key = SealingKey::generate()?.to_text();
    let variables = [("TOKEND_SEALING_KEY".into(), sealing_key.as_str().into())].into();
    let config = Inputs { flags, variables, file: None }.resolve().config();
    Ok(config.map_err(|problems| problems.to_string())?.within_open_files())
}

/// A client with the permissions of a usual service.
fn service() -> Result<ClientSettings, Failure> {
    let patterns =
        |texts: &[&str]| texts.iter().map(|text| Pattern::parse(*text)).collect::<Result<Vec<_>, _>>();
    Ok(ClientSettings {
        permissions: Permissions {
            methods: patterns(&["TokenService/IssueToken", "TokenService/VerifyToken"])?,
            audiences: patterns(&["billing", AUDIENCE])?,
            scopes: patterns(&["billing.*", "orders.*"])?,
            subjects: patterns(&["service-*", "user-*"])?,
            verify_audiences: patterns(&["billing", AUDIENCE])?,
            ..Permissions::default()
        },
        ..ClientSettings::default()
    })
}
