//! A stock tonic server, as in the documentation of tonic and jsonwebtoken.

use std::{
    net::SocketAddr,
    time::{SystemTime, UNIX_EPOCH},
};

use aws_lc_rs::{
    rand::{SecureRandom as _, SystemRandom},
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use tonic::{Request, Response, Status};

use self::proto::{
    EchoReply, EchoRequest, IssueReply, IssueRequest, VerifyReply, VerifyRequest,
    anchors_server::{Anchors, AnchorsServer},
};

mod proto {
    tonic::include_proto!("anchors");
}

const ISSUER: &str = "https://auth.example.com";

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: String,
    exp: i64,
    nbf: i64,
    iat: i64,
    jti: String,
    scope: String,
}

struct Service {
    header: Header,
    encoding_key: EncodingKey,
    decoding_key: DecodingKey,
    validation: Validation,
    reply: String,
}

/// Serves with a new key, and prints a token that it signed.
pub(crate) async fn serve(address: SocketAddr, reply: usize) -> crate::Result<()> {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?;
    let mut header = Header::new(Algorithm::ES256);
    header.kid = Some("key-2026-01".to_owned());
    let mut validation = Validation::new(Algorithm::ES256);
    validation.set_audience(&["orders"]);
    validation.set_issuer(&[ISSUER]);
    let service = Service {
        header,
        encoding_key: EncodingKey::from_ec_der(pair.to_pkcs8v1()?.as_ref()),
        decoding_key: DecodingKey::from_ec_der(pair.public_key().as_ref()),
        validation,
        reply: "x".repeat(reply),
    };
    let request = IssueRequest { subject: "alice".into(), audience: "orders".into(), scope: "read".into() };
    let token = service.issue(request)?.token;
    service.verify(&token)?;
    println!("{token}");
    Ok(tonic::transport::Server::builder()
        .tcp_nodelay(true)
        .add_service(AnchorsServer::new(service))
        .serve(address)
        .await?)
}

impl Service {
    fn issue(&self, request: IssueRequest) -> Result<IssueReply, Status> {
        let failed = |error: &dyn std::error::Error| Status::internal(error.to_string());
        let mut id = [0; 16];
        SystemRandom::new().fill(&mut id).map_err(|error| failed(&error))?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(|error| failed(&error))?;
        let now = i64::try_from(now.as_secs()).map_err(|error| failed(&error))?;
        let claims = Claims {
            iss: ISSUER.to_owned(),
            sub: request.subject,
            aud: request.audience,
            exp: now + 3600,
            nbf: now,
            iat: now,
            jti: URL_SAFE_NO_PAD.encode(id),
            scope: request.scope,
        };
        let token = jsonwebtoken::encode(&self.header, &claims, &self.encoding_key);
        let token = token.map_err(|error| failed(&error))?;
        Ok(IssueReply { token, expire_time: claims.exp, jwt_id: claims.jti })
    }

    fn verify(&self, token: &str) -> Result<VerifyReply, Status> {
        let decoded = jsonwebtoken::decode::<Claims>(token, &self.decoding_key, &self.validation);
        let claims = decoded.map_err(|error| Status::unauthenticated(error.to_string()))?.claims;
        Ok(VerifyReply {
            issuer: claims.iss,
            subject: claims.sub,
            audience: claims.aud,
            expire_time: claims.exp,
            not_before_time: claims.nbf,
            issue_time: claims.iat,
            jwt_id: claims.jti,
            scope: claims.scope,
        })
    }
}

#[tonic::async_trait]
impl Anchors for Service {
    async fn echo(&self, request: Request<EchoRequest>) -> Result<Response<EchoReply>, Status> {
        if request.get_ref().token.is_empty() {
            return Err(Status::invalid_argument("empty"));
        }
        Ok(Response::new(EchoReply { text: self.reply.clone() }))
    }

    async fn verify_token(&self, request: Request<VerifyRequest>) -> Result<Response<VerifyReply>, Status> {
        self.verify(&request.get_ref().token).map(Response::new)
    }

    async fn issue_token(&self, request: Request<IssueRequest>) -> Result<Response<IssueReply>, Status> {
        self.issue(request.into_inner()).map(Response::new)
    }
}
