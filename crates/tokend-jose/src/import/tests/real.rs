//! Keys as other tools write them.

use serde_json::{Value, json};

use super::{
    at,
    made::{b64, made, pem},
    refused, refused_jwk, refused_pem, taken, with,
};
use crate::{
    Algorithm, PublicKeySet, SetLookup,
    import::{Source, import, problem::Problem},
};

fn jwk(text: &str) -> Value {
    serde_json::from_str(text.trim_start_matches('\u{feff}')).unwrap()
}

#[test]
fn webcrypto_gives_each_half_its_own_operation() {
    for (text, algorithm) in [
        (include_str!("real/webcrypto-ec-private.json"), Algorithm::Es256),
        (include_str!("real/webcrypto-rsa-private.json"), Algorithm::Rs256),
        (include_str!("real/webcrypto-ed-private.json"), Algorithm::EdDsa),
    ] {
        let key = taken(Source::Jwk(text), None);
        assert!(key.algorithm == algorithm && key.private.is_some() && key.may_sign, "{algorithm}");
        let verifying = with(&jwk(text), &[("key_ops", json!(["verify"]))]);
        assert!(!taken(Source::Jwk(&verifying.to_string()), None).may_sign, "{algorithm}");
        let other = with(&jwk(text), &[("key_ops", json!(["encrypt", "wrapKey"]))]);
        assert_eq!(refused_jwk(&other), at("key_ops", Problem::KeyOpsUnfit), "{algorithm}");
    }
    let public = taken(Source::Jwk(include_str!("real/webcrypto-ed-public.json")), None);
    assert!(public.algorithm == Algorithm::EdDsa && public.private.is_none());
    let secret = json!({"kty": "oct", "alg": "HS256", "k": b64([7; 32]), "key_ops": ["sign"], "ext": true});
    assert!(taken(Source::Jwk(&secret.to_string()), None).may_sign);
}

#[test]
fn ed25519_is_eddsa_by_its_newer_name() {
    assert_eq!("Ed25519".parse::<Algorithm>().unwrap(), Algorithm::EdDsa);
    assert_eq!(serde_json::from_str::<Algorithm>("\"Ed25519\"").unwrap(), Algorithm::EdDsa);
    assert_eq!(Algorithm::EdDsa.name(), "EdDSA", "what is written stays");
    for other in ["ed25519", "Ed448", "EDDSA", "ESP256"] {
        assert!(other.parse::<Algorithm>().is_err(), "{other}");
    }
    let ec = with(&made(Algorithm::Es256).public_jwk, &[("alg", json!("Ed25519"))]);
    assert_eq!(refused_jwk(&ec), at("", Problem::AlgorithmUnfit(Algorithm::EdDsa)));
    let both = taken(Source::Jwk(include_str!("real/webcrypto-ed-public.json")), Some(Algorithm::EdDsa));
    assert_eq!(both.algorithm, Algorithm::EdDsa);
}

#[test]
fn null_and_empty_lists_stand_for_what_is_absent() {
    for text in [
        include_str!("real/dotnet-empty-lists.json"),
        include_str!("real/dotnet-keyops-only.json"),
        include_str!("real/dotnet-oth-only.json"),
        include_str!("real/nulls-use.json"),
    ] {
        let key = taken(Source::Jwk(text), None);
        assert!(key.algorithm == Algorithm::Rs256 && key.private.is_none());
    }
    let mut public = jwk(include_str!("real/nulls-use.json"));
    for name in ["kid", "d", "p", "q", "dp", "dq", "qi", "oth", "key_ops", "x5u", "x5t"] {
        public[name] = Value::Null;
    }
    assert!(taken(Source::Jwk(&public.to_string()), None).key_id.is_none());
    let mut ec = made(Algorithm::Es256).public_jwk.clone();
    ec["d"] = Value::Null;
    ec["alg"] = Value::Null;
    assert!(taken(Source::Jwk(&ec.to_string()), None).private.is_none());
    // What a key cannot be without is missing.
    ec["x"] = Value::Null;
    assert_eq!(refused_jwk(&ec), at("x", Problem::Missing));
    ec["kty"] = json!([]);
    assert_eq!(refused_jwk(&ec), at("kty", Problem::Missing));
    public["oth"] = json!([{"r": "AQ", "d": "AQ", "t": "AQ"}]);
    assert_eq!(refused_jwk(&public), at("oth", Problem::RsaMultiPrime));
}

#[test]
fn keys_of_a_set_that_cannot_be_used_are_skipped_and_named() {
    for (text, skipped) in [
        (
            include_str!("real/keycloak-set.json"),
            "`keys[1].use` must be `sig`, or `jwt-svid` of a SPIFFE bundle (`kid` \"kc-enc\")",
        ),
        (
            include_str!("real/set-with-es512.json"),
            "`keys[1].alg` must be an algorithm that tokend uses (`kid` \"m2\")",
        ),
    ] {
        let imported = import(Source::Jwk(text), None).ok().unwrap();
        assert_eq!((imported.keys.len(), imported.keys[0].algorithm), (1, Algorithm::Rs256));
        assert_eq!(imported.skipped.iter().map(ToString::to_string).collect::<Vec<_>>(), [skipped]);
        let set = PublicKeySet::strict(text).unwrap();
        assert_eq!((set.key_count(), set.skipped()), (1, imported.skipped.as_slice()));
    }
    // Alone, each fails with its reason.
    let set = jwk(include_str!("real/keycloak-set.json"));
    assert_eq!(refused_jwk(&set["keys"][1]), at("use", Problem::Use));
    // A private key among them is no key to skip, whatever it is for.
    let mut leaked = set.clone();
    leaked["keys"][1]["d"] = json!("AQAB");
    assert_eq!(refused_jwk(&leaked), at("keys[1]", Problem::SetPrivate));
}

#[test]
fn a_trusted_set_names_each_key_that_it_drops() {
    let good = jwk(include_str!("real/kid-spaces.json"));
    let long = with(&good, &[("kid", json!("k".repeat(1024)))]);
    let bare =
        with(&made(Algorithm::EdDsa).public_jwk, &[("alg", json!("Ed25519")), ("use", json!("jwt-svid"))]);
    let bad = [
        (
            jwk(include_str!("real/modulus-leading-zero.json")),
            "`n` must be a number without leading zero bytes",
        ),
        (
            with(&good, &[("x", json!(format!("{}=", good["x"].as_str().unwrap())))]),
            "`x` must be canonical base64url without padding",
        ),
        (with(&good, &[("kid", json!("k".repeat(1025)))]), "its `kid` is longer than 1024 bytes"),
        (with(&good, &[("kid", json!(7))]), "its `kid` is not a string"),
        (
            with(&made(Algorithm::Es384).public_jwk, &[("kid", json!("other"))]),
            "it is for none of the issuer's `algorithms`",
        ),
        (
            made(Algorithm::Es256).jwk.clone(),
            "it holds a private key or a secret, where only public keys belong",
        ),
        (
            with(&good, &[("use", json!("x509-svid"))]),
            "`use` must be `sig`, or `jwt-svid` of a SPIFFE bundle",
        ),
        (json!("no key"), "`kty` must be given"),
    ];
    let keys: Vec<&Value> = [&good, &long, &bare].into_iter().chain(bad.iter().map(|(key, _)| key)).collect();
    let text = format!("\u{feff}{}", json!({"keys": keys}));
    let algorithms = [Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa];
    let set = PublicKeySet::lenient(text.as_bytes(), &algorithms).unwrap();
    assert_eq!(set.key_count(), 3);
    let found = |kid: Option<&str>, algorithm| matches!(set.find(kid, algorithm), SetLookup::Found(_));
    assert!(found(Some("signing key 2024"), Algorithm::Es256));
    assert!(found(Some(&"k".repeat(1024)), Algorithm::Es256));
    // Without `kid`: the only one for its algorithm, and no one of several.
    assert!(found(None, Algorithm::EdDsa) && !found(None, Algorithm::Es256));
    assert!(!found(None, Algorithm::Rs256) && !found(Some("other"), Algorithm::Es384));
    let problems: Vec<&str> = set.skipped().iter().map(|key| key.problem.as_str()).collect();
    assert_eq!(problems, bad.iter().map(|(_, problem)| *problem).collect::<Vec<_>>());
    assert_eq!(set.skipped()[0].key_id, "z1");
    assert_eq!(set.skipped()[2].key_id.len(), 128);
    let none = PublicKeySet::lenient(json!({"keys": [bad[0].0]}).to_string().as_bytes(), &algorithms);
    let told =
        "it holds no key that can be used: `n` must be a number without leading zero bytes (`kid` \"z1\")";
    assert_eq!(none.unwrap_err(), told);
}

#[test]
fn rsa_without_its_primes_says_what_to_do() {
    let (path, problem) =
        refused(Source::Jwk(include_str!("real/rsa-jwk-minimal.json")), Some(Algorithm::Rs256));
    assert_eq!((path.as_str(), &problem), ("", &Problem::RsaIncomplete));
    assert!(problem.to_string().contains("PyJWT adds them"), "{problem}");
}

#[test]
fn pem_with_the_white_space_of_yaml_and_env_files() {
    for text in [
        include_str!("real/pem-blank-lines.pem"),
        include_str!("real/pem-indented.pem"),
        include_str!("real/pem-tabs.pem"),
        include_str!("real/pem-trailing-spaces.pem"),
    ] {
        assert!(taken(Source::Pem(text), None).may_sign, "{text}");
        assert!(taken(Source::Pem(&format!("\u{feff}{text}")), None).may_sign, "{text}");
        // On one line, as an environment variable may have it.
        assert!(taken(Source::Pem(&text.replace('\n', " ")), None).may_sign, "{text}");
    }
    let escaped = include_str!("real/pem-escaped-n.pem");
    assert_eq!(refused_pem(escaped), Problem::PemEscaped);
    assert!(taken(Source::Pem(&escaped.replace("\\n", "\n")), None).may_sign);
}

#[test]
fn a_byte_order_mark_is_not_part_of_a_key() {
    let text = include_str!("real/bom-jwk.json");
    assert!(text.starts_with('\u{feff}'));
    assert_eq!(taken(Source::Jwk(text), None).key_id.unwrap().as_str(), "bom");
    let set = format!("\u{feff}{}", json!({"keys": [jwk(text)]}));
    assert_eq!(taken(Source::Jwk(&set), None).algorithm, Algorithm::Es256);
    let twice = format!("\u{feff}{text}");
    assert!(matches!(refused(Source::Jwk(&twice), None).1, Problem::Json(_)));
}

#[test]
fn ed25519_as_ring_wrote_it() {
    let text = include_str!("real/ring16.pem");
    let key = taken(Source::Pem(text), None);
    assert!(key.algorithm == Algorithm::EdDsa && key.may_sign && key.public.is_some());
    // Nothing but that form is taken: each byte around the halves counts, and the halves must belong together.
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let body: String = text.lines().filter(|line| !line.starts_with('-')).collect();
    let der = STANDARD.decode(body).unwrap();
    for at in (0..16).chain(48..53) {
        let mut changed = der.clone();
        changed[at] ^= 1;
        assert!(import(Source::Pem(&pem("PRIVATE KEY", &changed)), None).is_err(), "byte {at}");
    }
    for at in [16, 47, 53, 84] {
        let mut changed = der.clone();
        changed[at] ^= 1;
        let problem = refused_pem(&pem("PRIVATE KEY", &changed));
        assert!(!matches!(problem, Problem::Der), "byte {at}: {problem}");
    }
    for longer in [&der[..84], &[der.as_slice(), &[0]].concat()] {
        assert_eq!(refused_pem(&pem("PRIVATE KEY", longer)), Problem::Der);
    }
}
