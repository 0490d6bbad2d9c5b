//! Keys that the real `openssl` made: taken in every form in which it writes them, or refused for what is wrong.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use pkcs8::der::{
    Decode as _, Reader as _, SliceReader,
    asn1::{SequenceRef, UintRef},
};
use tokend::{model::Algorithm, proto::v1};
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::{
    forge::b64,
    harness::{ISSUER, TestServer, accepted, assert_refused, fields},
    import::{by_audience, foreign, payload_of, sign_with},
    key_calls::{import, revoke},
    made_keys::{pem_request, secret_request, signing_input, verify_only},
    openssl::{OpenSsl, say},
};

/// A kind of key, how openssl makes one, and how it signs with one.
struct Kind {
    algorithm: Algorithm,
    genpkey: &'static str,
    sign: &'static str,
}

const P256: &str = "-algorithm EC -pkeyopt ec_paramgen_curve:P-256";
const RAW: &str = "pkeyutl -sign -rawin -inkey key.pem -in message";

const KINDS: [Kind; 7] = [
    Kind {
        algorithm: Algorithm::Rs256,
        genpkey: "-algorithm RSA -pkeyopt rsa_keygen_bits:2048",
        sign: "dgst -sha256 -sign key.pem message",
    },
    Kind {
        algorithm: Algorithm::Rs256,
        genpkey: "-algorithm RSA -pkeyopt rsa_keygen_bits:3072",
        sign: "dgst -sha256 -sign key.pem message",
    },
    Kind {
        algorithm: Algorithm::Ps512,
        genpkey: "-algorithm RSA -pkeyopt rsa_keygen_bits:2048",
        sign: "dgst -sha512 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest -sign key.pem message",
    },
    Kind {
        algorithm: Algorithm::Ps512,
        genpkey: "-algorithm RSA -pkeyopt rsa_keygen_bits:3072",
        sign: "dgst -sha512 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest -sign key.pem message",
    },
    Kind { algorithm: Algorithm::Es256, genpkey: P256, sign: "dgst -sha256 -sign key.pem message" },
    Kind {
        algorithm: Algorithm::Es384,
        genpkey: "-algorithm EC -pkeyopt ec_paramgen_curve:P-384",
        sign: "dgst -sha384 -sign key.pem message",
    },
    Kind { algorithm: Algorithm::EdDsa, genpkey: "-algorithm ED25519", sign: RAW },
];

/// From OpenSSL 3.5 on.
const ML_DSA: [Kind; 3] = [
    Kind { algorithm: Algorithm::MlDsa44, genpkey: "-algorithm ML-DSA-44", sign: RAW },
    Kind { algorithm: Algorithm::MlDsa65, genpkey: "-algorithm ML-DSA-65", sign: RAW },
    Kind { algorithm: Algorithm::MlDsa87, genpkey: "-algorithm ML-DSA-87", sign: RAW },
];

impl Kind {
    fn make(&self, openssl: &OpenSsl) -> String {
        openssl.text(&format!("genpkey {}", self.genpkey), "")
    }

    /// A token that openssl signed.
    fn token(&self, openssl: &OpenSsl, key: &str, kid: &str, issuer: &str) -> String {
        let input = signing_input(self.algorithm, kid, &payload_of(issuer));
        openssl.file("key.pem", key);
        openssl.file("message", &input);
        let signature = openssl.run(self.sign, b"");
        let signature = match self.algorithm {
            Algorithm::Es256 => fixed(&signature, 32),
            Algorithm::Es384 => fixed(&signature, 48),
            _ => signature,
        };
        format!("{input}.{}", b64(signature))
    }

    /// The private key signs, by tokend; and by openssl, for the public key that is `kid` there.
    async fn is_private(&self, server: &TestServer, openssl: &OpenSsl, text: &str) {
        let key = accepted(import(server, pem_request(text, self.algorithm.name())).await);
        sign_with(server, self.algorithm, &key.key_id).await;
        let token = self.token(openssl, text, &key.key_id, ISSUER);
        accepted(server.root.check(&token).await);
    }

    /// What openssl signed with the other half verifies.
    async fn is_public(&self, openssl: &OpenSsl, private: &str, public: &str) {
        let server = TestServer::start().await;
        let request = pem_request(public, self.algorithm.name());
        let key = accepted(import(&server, foreign(verify_only(request))).await);
        assert_eq!(key.usage(), v1::KeyUsage::VerifyOnly);
        let token = self.token(openssl, private, &key.key_id, &key.issuer);
        assert_eq!(accepted(server.root.check(&token).await).key_id, key.key_id);
        let other = self.token(openssl, &self.make(openssl), &key.key_id, &key.issuer);
        let answer = server.root.check(&other).await;
        assert_refused(answer, Code::InvalidArgument, "TOKEN_SIGNATURE_INVALID");
        // It is one key in both forms: who it is tells the private half as well.
        let answer = import(&server, pem_request(private, self.algorithm.name())).await;
        assert_refused(answer, Code::AlreadyExists, "KEY_ALREADY_EXISTS");
    }
}

/// ECDSA's two numbers (RFC 3279 section 2.2.3) at their full length (RFC 7518 section 3.4).
fn fixed(der: &[u8], len: usize) -> Vec<u8> {
    let sequence = <&SequenceRef>::from_der(der).unwrap();
    let mut reader = SliceReader::new(sequence.as_bytes()).unwrap();
    let mut bytes = Vec::new();
    for _ in 0..2 {
        let number: UintRef<'_> = reader.decode().unwrap();
        bytes.extend(vec![0; len - number.as_bytes().len()]);
        bytes.extend(number.as_bytes());
    }
    bytes
}

#[tokio::test]
async fn private_keys_of_openssl_sign() {
    let Some(openssl) = OpenSsl::find() else { return };
    let server = by_audience().await;
    for kind in &KINDS {
        kind.is_private(&server, &openssl, &kind.make(&openssl)).await;
        // Ed25519 has no traditional form.
        if kind.algorithm != Algorithm::EdDsa {
            let text = openssl.text("pkey -traditional", &kind.make(&openssl));
            assert!(
                text.contains("BEGIN RSA PRIVATE KEY") || text.contains("BEGIN EC PRIVATE KEY"),
                "{text}"
            );
            kind.is_private(&server, &openssl, &text).await;
        }
    }
    for (kind, curve) in [(&KINDS[4], "prime256v1"), (&KINDS[5], "secp384r1")] {
        let text = openssl.text(&format!("ecparam -name {curve} -genkey"), "");
        assert!(text.contains("BEGIN EC PARAMETERS"));
        kind.is_private(&server, &openssl, &text).await;
        // Without the block of parameters before it.
        let text = openssl.text(&format!("ecparam -name {curve} -genkey -noout"), "");
        kind.is_private(&server, &openssl, &text).await;
    }
}

#[tokio::test]
async fn what_openssl_signs_verifies_with_its_public_keys() {
    let Some(openssl) = OpenSsl::find() else { return };
    for kind in &KINDS {
        let private = kind.make(&openssl);
        kind.is_public(&openssl, &private, &openssl.text("pkey -pubout", &private)).await;
        if kind.genpkey.contains("RSA") {
            let public = openssl.text("rsa -RSAPublicKey_out", &private);
            assert!(public.starts_with("-----BEGIN RSA PUBLIC KEY"));
            kind.is_public(&openssl, &private, &public).await;
        }
    }
}

#[tokio::test]
async fn ml_dsa_keys_of_openssl() {
    let Some(openssl) = OpenSsl::find() else { return };
    let server = by_audience().await;
    for kind in &ML_DSA {
        if openssl.attempt(&format!("genpkey {}", kind.genpkey), b"").is_none() {
            return say("NOT RUN: this `openssl` has no ML-DSA, which came with 3.5");
        }
        let private = kind.make(&openssl);
        kind.is_private(&server, &openssl, &private).await;
        kind.is_public(&openssl, &private, &openssl.text("pkey -pubout", &private)).await;
    }
}

#[tokio::test]
async fn secrets_of_openssl() {
    let Some(openssl) = OpenSsl::find() else { return };
    let server = by_audience().await;
    for (algorithm, hash, len) in
        [(Algorithm::Hs256, "sha256", 32), (Algorithm::Hs384, "sha384", 48), (Algorithm::Hs512, "sha512", 64)]
    {
        let text = openssl.text(&format!("rand -base64 {len}"), "").replace('\n', "");
        let secret = STANDARD.decode(text).unwrap();
        let key = accepted(import(&server, secret_request(secret.as_slice(), algorithm.name())).await);
        sign_with(&server, algorithm, &key.key_id).await;
        let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
        let input = signing_input(algorithm, &key.key_id, &payload_of(ISSUER));
        let mac = format!("dgst -{hash} -mac HMAC -macopt hexkey:{hex} -binary");
        let mac = openssl.run(&mac, input.as_bytes());
        accepted(server.root.check(&format!("{input}.{}", b64(mac))).await);
        accepted(revoke(&server, &key.key_id).await);
    }
}

#[tokio::test]
async fn what_openssl_makes_and_nobody_should_use_is_refused() {
    let Some(openssl) = OpenSsl::find() else { return };
    let server = TestServer::start().await;
    let make = |arguments: &str| openssl.text(&format!("genpkey {arguments}"), "");
    let good = KINDS[0].make(&openssl);
    let ec = KINDS[4].make(&openssl);
    openssl.file("key.pem", &good);
    let dsa = openssl.attempt("dsaparam -genkey -noout 1024", b"");
    let dsa = dsa.map(|bytes| ("RS256", String::from_utf8(bytes).unwrap(), "must be of a kind"));
    if dsa.is_none() {
        say("NOT RUN for DSA: this `openssl` makes no such keys");
    }
    let encrypt = "-aes256 -passout pass:horse";
    let made = [
        ("RS256", make("-algorithm RSA -pkeyopt rsa_keygen_bits:1024"), "the modulus must have at least"),
        ("PS512", make("-algorithm RSA -pkeyopt rsa_keygen_pubexp:3"), "the public exponent must be"),
        ("RS256", openssl.text(&format!("pkey {encrypt}"), &good), "must not be encrypted"),
        ("RS256", openssl.text(&format!("pkey -traditional {encrypt}"), &good), "must not be encrypted"),
        ("", openssl.text(&format!("pkey -traditional {encrypt}"), &ec), "must not be encrypted"),
        (
            "RS256",
            openssl.text("req -x509 -key key.pem -subj /CN=x -days 1", ""),
            "must be a key, not a cert",
        ),
        ("RS256", openssl.text("req -new -key key.pem -subj /CN=x", ""), "must be a `PRIVATE KEY`"),
        ("PS256", make("-algorithm RSA-PSS"), "must be of a kind"),
        ("", make("-algorithm EC -pkeyopt ec_paramgen_curve:secp256k1"), "the curve must be P-256 or P-384"),
        ("", openssl.text("ecparam -name secp256k1 -genkey", ""), "the curve must be P-256 or P-384"),
        ("", make("-algorithm EC -pkeyopt ec_paramgen_curve:P-521"), "the curve must be P-256 or P-384"),
        ("", make("-algorithm ED448"), "the curve must be Ed25519"),
        ("", make("-algorithm X25519"), "the curve must be Ed25519"),
        ("", make(&format!("{P256} -pkeyopt ec_param_enc:explicit")), "must name its curve"),
        ("", openssl.text("ec -param_enc explicit", &ec), "must name its curve"),
        ("", openssl.text("ecparam -name prime256v1 -param_enc explicit -genkey", ""), "must name its curve"),
        ("", openssl.text("ec -pubout -conv_form compressed", &ec), "the point must be uncompressed"),
        ("", openssl.text("ecparam -name prime256v1", ""), "must be a `PRIVATE KEY`"),
    ];
    let before = server.store.keys().await.unwrap().keys;
    for (algorithm, text, problem) in made.into_iter().chain(dsa) {
        let answer = import(&server, pem_request(text.as_str(), algorithm)).await;
        let status = assert_refused(answer, Code::InvalidArgument, "FIELD_INVALID");
        assert_eq!(fields(&status), ["pem"]);
        let details = status.get_details_bad_request().unwrap().field_violations;
        assert!(details[0].description.starts_with(problem), "{text}{}", details[0].description);
    }
    assert!(server.store.keys().await.unwrap().keys == before, "nothing is stored");
}
