//! A table of hostile tokens. Each is refused for its reason, and the untouched token verifies before and after.

use aws_lc_rs::hmac;
use serde_json::{Value, json};
use tokend::model::Algorithm;

use crate::{
    forge::{Profile, b64},
    harness::{START, START_SECONDS, accepted},
    hostile_scene::{Scene, cut, rows},
};

/// Every table is for both profiles: one that accepts more must refuse each attack as well.
macro_rules! for_both_profiles {
    ($($table:ident),+) => {
        mod by_own_keys {
            $(#[tokio::test] async fn $table() { super::$table(super::Profile::Own).await; })+
        }
        mod by_imported_keys {
            $(#[tokio::test] async fn $table() { super::$table(super::Profile::Foreign).await; })+
        }
    };
}

for_both_profiles!(
    forms_that_are_not_one_compact_jws,
    headers_that_say_too_much_too_little_or_something_else,
    a_place_where_a_key_might_be_found_is_never_read,
    signatures_that_are_not_the_keys_own,
    claims_that_are_missing_wrong_or_not_for_here
);

const ES256: Algorithm = Algorithm::Es256;
const HS256: Algorithm = Algorithm::Hs256;

async fn forms_that_are_not_one_compact_jws(profile: Profile) {
    let scene = Scene::new(profile).await;
    let Scene { good, .. } = &scene;
    let (h, p, s) = cut(good);
    const MALFORMED: &str = "TOKEN_MALFORMED";
    // The last character of a 64-byte signature carries four bits that must be zero.
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let last = alphabet.find(s.chars().last().unwrap()).unwrap();
    let unused_bits = format!("{h}.{p}.{}{}", &s[..s.len() - 1], &alphabet[last + 1..last + 2]);
    let table = rows(vec![
        ("nothing", String::new(), MALFORMED),
        ("dots only", "..".to_owned(), MALFORMED),
        ("one part", h.clone(), MALFORMED),
        ("two parts", format!("{h}.{p}"), MALFORMED),
        ("four parts", format!("{good}.{s}"), MALFORMED),
        ("five parts, as a JWE", format!("{h}.{p}.{s}.{p}.{s}"), MALFORMED),
        ("an empty fourth part", format!("{good}."), MALFORMED),
        ("padding in the header", format!("{h}=.{p}.{s}"), MALFORMED),
        ("padding in the payload", format!("{h}.{p}==.{s}"), MALFORMED),
        ("padding in the signature", format!("{h}.{p}.{s}=="), MALFORMED),
        ("a line break at the end", format!("{good}\n"), MALFORMED),
        ("a space before", format!(" {good}"), MALFORMED),
        ("a space inside", format!("{h}. {p}.{s}"), MALFORMED),
        ("a line break inside the payload", format!("{h}.{}\n{}.{s}", &p[..8], &p[8..]), MALFORMED),
        ("the other base64 alphabet", format!("{h}.{p}.{}+/", &s[..s.len() - 2]), MALFORMED),
        ("unused bits in the signature", unused_bits, MALFORMED),
        (
            "a part of impossible length",
            format!("{h}.{p}A.{s}").replace(&p, &p[..p.len() - p.len() % 4]),
            MALFORMED,
        ),
        ("a Bearer before it", format!("Bearer {good}"), MALFORMED),
        ("quotes around it", format!("\"{good}\""), MALFORMED),
        ("a NUL inside", format!("{h}.{p}\0.{s}"), MALFORMED),
        ("letters that only look alike", good.replacen('e', "е", 1), MALFORMED),
        (
            "flattened JSON serialisation",
            json!({"protected": h, "payload": p, "signature": s}).to_string(),
            MALFORMED,
        ),
        ("an empty header", format!(".{p}.{s}"), MALFORMED),
        ("8,193 bytes", "a".repeat(8193), "TOKEN_TOO_LARGE"),
        ("a long signature", format!("{h}.{p}.{}", "A".repeat(9000)), "TOKEN_TOO_LARGE"),
    ]);
    assert_eq!(scene.all_refused(table).await, 25);
}

async fn headers_that_say_too_much_too_little_or_something_else(profile: Profile) {
    let scene = Scene::new(profile).await;
    let Scene { forge, .. } = &scene;
    let (es, hs) = (forge.kid(ES256).to_owned(), forge.kid(HS256).to_owned());
    let body = forge.payload().to_string();
    // Each of these headers is under a good signature of the ES256 key, so that only the header can be what is refused.
    let header = |text: String| forge.sign(ES256, text, &body);
    let with = |extra: &str| header(format!(r#"{{"alg":"ES256","kid":"{es}","typ":"JWT",{extra}}}"#));
    let alg = |alg: &str| header(format!(r#"{{"alg":{alg},"kid":"{es}","typ":"JWT"}}"#));
    let typ = |typ: &str| header(format!(r#"{{"alg":"ES256","kid":"{es}","typ":{typ}}}"#));
    let kid = |kid: &str| header(format!(r#"{{"alg":"ES256","kid":{kid},"typ":"JWT"}}"#));
    const MALFORMED: &str = "TOKEN_MALFORMED";
    const ALGORITHM: &str = "TOKEN_ALGORITHM_NOT_ALLOWED";
    const KEY: &str = "TOKEN_KEY_UNKNOWN";
    const TYPE: &str = "TOKEN_TYPE_MISMATCH";
    const CRIT: &str = "TOKEN_CRITICAL_HEADER";
    let nested_twice = r#""x":{"a":1,"a":2}"#;
    let deep = format!("\"x\":{}1{}", "[".repeat(40), "]".repeat(40));
    let table = rows(vec![
        ("none", alg("\"none\""), ALGORITHM),
        ("None", alg("\"None\""), ALGORITHM),
        ("NONE", alg("\"NONE\""), ALGORITHM),
        ("an empty algorithm", alg("\"\""), ALGORITHM),
        ("lower case", alg("\"es256\""), ALGORITHM),
        ("a space behind", alg("\"ES256 \""), ALGORITHM),
        ("an unknown algorithm", alg("\"ES256K\""), ALGORITHM),
        ("an encryption algorithm", alg("\"RSA-OAEP\""), ALGORITHM),
        ("another curve", alg("\"ES384\""), ALGORITHM),
        ("another family", alg("\"RS256\""), ALGORITHM),
        ("the MAC family", alg("\"HS256\""), ALGORITHM),
        ("a number as algorithm", alg("256"), MALFORMED),
        ("null as algorithm", alg("null"), MALFORMED),
        ("a list of algorithms", alg(r#"["ES256"]"#), MALFORMED),
        ("no algorithm", header(format!(r#"{{"kid":"{es}","typ":"JWT"}}"#)), MALFORMED),
        ("none and no kid", header(r#"{"alg":"none","typ":"JWT"}"#.to_owned()), ALGORITHM),
        ("no type", header(format!(r#"{{"alg":"ES256","kid":"{es}"}}"#)), TYPE),
        ("another type", typ("\"dpop+jwt\""), TYPE),
        ("a lower-case type", typ("\"jwt\""), TYPE),
        ("a logout token", typ("\"logout+jwt\""), TYPE),
        ("a type that is no string", typ("1"), TYPE),
        ("no kid", header(r#"{"alg":"ES256","typ":"JWT"}"#.to_owned()), KEY),
        ("an unknown kid", kid("\"nobody\""), KEY),
        ("an empty kid", kid("\"\""), KEY),
        ("a path as kid", kid("\"../../dev/null\""), KEY),
        ("SQL as kid", kid("\"' OR 1=1 --\""), KEY),
        ("a number as kid", kid("1"), MALFORMED),
        ("a list of kids", kid(&format!(r#"["{es}"]"#)), MALFORMED),
        ("crit with b64", with(r#""crit":["b64"],"b64":false"#), CRIT),
        ("crit with exp", with(r#""crit":["exp"],"exp":1"#), CRIT),
        ("an empty crit", with(r#""crit":[]"#), CRIT),
        ("crit that is no list", with(r#""crit":null"#), CRIT),
        ("b64 without crit", with(r#""b64":false"#), MALFORMED),
        ("b64 true", with(r#""b64":true"#), MALFORMED),
        ("compressed", with(r#""zip":"DEF""#), MALFORMED),
        ("encrypted", with(r#""enc":"A256GCM""#), MALFORMED),
        ("nested", with(r#""cty":"JWT""#), MALFORMED),
        ("alg twice", with(r#""alg":"ES256""#), MALFORMED),
        ("kid twice", with(&format!(r#""kid":"{hs}""#)), MALFORMED),
        ("an unknown member twice", with(r#""x":1,"x":1"#), MALFORMED),
        ("an escaped second alg", with(r#""\u0061lg":"none""#), MALFORMED),
        ("a member twice deep inside", with(nested_twice), MALFORMED),
        ("nested too deeply", with(&deep), MALFORMED),
        ("trailing bytes", header(format!(r#"{{"alg":"ES256","kid":"{es}","typ":"JWT"}}x"#)), MALFORMED),
        ("two headers", header(format!(r#"{{"alg":"ES256","kid":"{es}","typ":"JWT"}}{{}}"#)), MALFORMED),
        ("a list as header", header("[]".to_owned()), MALFORMED),
        ("text as header", header("\"ES256\"".to_owned()), MALFORMED),
        ("no JSON", header("alg=ES256".to_owned()), MALFORMED),
        (
            "a byte order mark",
            header(format!("\u{feff}{{\"alg\":\"ES256\",\"kid\":\"{es}\",\"typ\":\"JWT\"}}")),
            MALFORMED,
        ),
        (
            "invalid UTF-8",
            forge.sign(ES256, [b"{\"alg\":\"ES256\",\"x\":\"", &b"\xff"[..], b"\"}"].concat(), &body),
            MALFORMED,
        ),
    ]);
    assert_eq!(scene.all_refused(table).await, 50);
}

async fn a_place_where_a_key_might_be_found_is_never_read(profile: Profile) {
    let scene = Scene::new(profile).await;
    let Scene { forge, .. } = &scene;
    let kid = forge.kid(ES256);
    let body = forge.payload().to_string();
    let attacker = jsonwebtoken::EncodingKey::from_ec_der(
        aws_lc_rs::signature::EcdsaKeyPair::generate(&aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED_SIGNING)
            .unwrap()
            .to_pkcs8v1()
            .unwrap()
            .as_ref(),
    );
    let jwk = jsonwebtoken::jwk::Jwk::from_encoding_key(&attacker, jsonwebtoken::Algorithm::ES256).unwrap();
    let jwk = serde_json::to_string(&jwk).unwrap();
    let sign = |header: String| {
        let input = format!("{}.{}", b64(header), b64(&body));
        let signature =
            jsonwebtoken::crypto::sign(input.as_bytes(), &attacker, jsonwebtoken::Algorithm::ES256).unwrap();
        format!("{input}.{signature}")
    };
    // No server listens there: a reader that followed these would fail with another error than the signature.
    let url = "http://127.0.0.1:9/jwks.json";
    let own = |extra: &str| sign(format!(r#"{{"alg":"ES256","kid":"{kid}","typ":"JWT",{extra}}}"#));
    const SIGNATURE: &str = "TOKEN_SIGNATURE_INVALID";
    let table = rows(vec![
        ("jwk", own(&format!("\"jwk\":{jwk}")), SIGNATURE),
        ("jku", own(&format!("\"jku\":\"{url}\"")), SIGNATURE),
        ("x5u", own(&format!("\"x5u\":\"{url}\"")), SIGNATURE),
        ("x5c", own("\"x5c\":[\"MIIB\"]"), SIGNATURE),
        (
            "jwk without kid",
            sign(format!(r#"{{"alg":"ES256","typ":"JWT","jwk":{jwk}}}"#)),
            "TOKEN_KEY_UNKNOWN",
        ),
        (
            "jku with a kid of its own",
            sign(format!(r#"{{"alg":"ES256","kid":"evil","typ":"JWT","jku":"{url}"}}"#)),
            "TOKEN_KEY_UNKNOWN",
        ),
    ]);
    scene.all_refused(table).await;
}

async fn signatures_that_are_not_the_keys_own(profile: Profile) {
    let scene = Scene::new(profile).await;
    let Scene { server, forge, good, .. } = &scene;
    let (h, p, s) = cut(good);
    let body = forge.payload().to_string();
    let algorithms = [ES256, HS256, Algorithm::Es384, Algorithm::Rs256, Algorithm::Ps256];
    let header = |algorithm, kid: &str| format!(r#"{{"alg":"{algorithm}","kid":"{kid}","typ":"JWT"}}"#);
    const SIGNATURE: &str = "TOKEN_SIGNATURE_INVALID";
    const ALGORITHM: &str = "TOKEN_ALGORITHM_NOT_ALLOWED";
    let other = cut(&scene.token().await);
    let flipped = |at: usize| {
        let mut bytes = s.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        format!("{h}.{p}.{}", String::from_utf8(bytes).unwrap())
    };
    let mut table = rows(vec![
        ("no signature", format!("{h}.{p}."), SIGNATURE),
        ("another token's signature", format!("{h}.{p}.{}", other.2), SIGNATURE),
        ("another token's payload", format!("{h}.{}.{s}", other.1), SIGNATURE),
        ("a changed payload", format!("{h}.{}.{s}", b64(body.replace("alice", "mallory"))), SIGNATURE),
        ("a payload that is no JSON", format!("{h}.{}.{s}", b64("not json")), SIGNATURE),
        ("an empty payload", format!("{h}..{s}"), SIGNATURE),
        ("the first character changed", flipped(0), SIGNATURE),
        ("a middle character changed", flipped(43), SIGNATURE),
        ("cut by a byte", format!("{h}.{p}.{}", &s[..84]), SIGNATURE),
        ("three bytes more", format!("{h}.{p}.{}", b64([b64(&s).as_bytes(), b"AAA"].concat())), SIGNATURE),
        ("all zero (CVE-2022-21449)", format!("{h}.{p}.{}", b64([0; 64])), SIGNATURE),
        ("all ones", format!("{h}.{p}.{}", b64([0xff; 64])), SIGNATURE),
        (
            "DER instead of r and s",
            format!("{h}.{p}.{}", b64([&[0x30, 0x44, 2, 0x20][..], &[1; 32], &[2, 0x20], &[1; 32]].concat())),
            SIGNATURE,
        ),
        (
            "the header spelled otherwise",
            format!("{}.{p}.{s}", b64(header(ES256, forge.kid(ES256)).replace(',', ", "))),
            SIGNATURE,
        ),
    ]);
    // The MAC of the text under the public key: the classic confusion of algorithms.
    let jwks: Value = serde_json::from_str(&server.get("/.well-known/jwks.json").await.2).unwrap();
    for public in [jwks.to_string(), jwks["keys"][0].to_string(), String::new()] {
        for (alg, expected) in [(HS256, ALGORITHM), (ES256, SIGNATURE)] {
            let input = format!("{}.{}", b64(header(alg, forge.kid(ES256))), b64(&body));
            let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, public.as_bytes()), input.as_bytes());
            table.push((
                format!("MAC by the public key as {alg}"),
                format!("{input}.{}", b64(mac)),
                expected,
            ));
        }
    }
    // Every key under every other key's name: the algorithm is the named key's, whatever the header says.
    for signs in algorithms {
        for named in algorithms.into_iter().filter(|named| *named != signs) {
            let honest = forge.sign(signs, header(signs, forge.kid(named)), &body);
            table.push((format!("{signs} under the kid of {named}"), honest, ALGORITHM));
            let lying = forge.sign(signs, header(named, forge.kid(named)), &body);
            table.push((format!("{signs} as if it were {named}"), lying, SIGNATURE));
        }
    }
    assert_eq!(scene.all_refused(table).await, 60);
}

async fn claims_that_are_missing_wrong_or_not_for_here(profile: Profile) {
    let scene = Scene::new(profile).await;
    let Scene { server, forge, good, .. } = &scene;
    // The MAC key is shared with others, who may well write such payloads.
    let text = |payload: String| forge.sign(HS256, forge.header(HS256), payload);
    let set = |name: &str, value: Value| {
        let mut claims = forge.payload();
        claims[name] = value;
        text(claims.to_string())
    };
    let without = |name: &str| {
        let mut claims = forge.payload();
        claims.as_object_mut().unwrap().remove(name);
        text(claims.to_string())
    };
    let raw = |extra: &str| text(forge.payload().to_string().replacen('{', &format!("{{{extra},"), 1));
    const CLAIM: &str = "TOKEN_CLAIM_INVALID";
    const MALFORMED: &str = "TOKEN_MALFORMED";
    const EXPIRED: &str = "TOKEN_EXPIRED";
    const EARLY: &str = "TOKEN_NOT_YET_VALID";
    let deep = format!("\"x\":{}1{}", "[".repeat(40), "]".repeat(40));
    let mut table = rows(vec![
        ("no exp", without("exp"), CLAIM),
        ("no iss", without("iss"), CLAIM),
        ("no aud", without("aud"), CLAIM),
        ("no sub", without("sub"), CLAIM),
        ("an empty sub", set("sub", json!("")), CLAIM),
        ("exp as text", set("exp", json!((START + 600).to_string())), CLAIM),
        ("exp null", set("exp", json!(null)), CLAIM),
        ("exp true", set("exp", json!(true)), CLAIM),
        ("exp negative", set("exp", json!(-1)), CLAIM),
        ("exp beyond time", set("exp", json!(1e300)), CLAIM),
        ("exp beyond the year 9999", set("exp", json!(253_402_300_800_i64)), CLAIM),
        ("exp beyond 64 bits", raw_exp(&text, &forge.payload(), "99999999999999999999"), CLAIM),
        ("exp as a list", set("exp", json!([START + 600])), CLAIM),
        ("nbf as text", set("nbf", json!("0")), CLAIM),
        ("iat as text", set("iat", json!("0")), CLAIM),
        ("sub as number", set("sub", json!(1)), CLAIM),
        ("jti as number", set("jti", json!(1)), CLAIM),
        // An id that RevokeToken cannot name.
        ("an empty jti", set("jti", json!("")), CLAIM),
        ("a jti of 256 bytes", set("jti", json!("x".repeat(256))), CLAIM),
        ("a jti with U+0000", set("jti", json!("a\0b")), CLAIM),
        ("scope as list", set("scope", json!(["read"])), CLAIM),
        ("client_id as object", set("client_id", json!({})), CLAIM),
        ("iss as list", set("iss", json!(["https://tokend.test"])), CLAIM),
        ("aud as number", set("aud", json!(1)), CLAIM),
        ("aud empty", set("aud", json!([])), CLAIM),
        ("aud with a number", set("aud", json!(["orders", 1])), CLAIM),
        ("aud nested", set("aud", json!([["orders"]])), CLAIM),
        ("act as text", set("act", json!("bob")), CLAIM),
        ("act without sub", set("act", json!({"name": "bob"})), CLAIM),
        ("an actor's actor without sub", set("act", json!({"sub": "bob", "act": {}})), CLAIM),
        ("another issuer", set("iss", json!("https://evil.test")), "TOKEN_ISSUER_MISMATCH"),
        (
            "an issuer with a slash more",
            set("iss", json!(format!("{}/", forge.issuer()))),
            "TOKEN_ISSUER_MISMATCH",
        ),
        ("another audience", set("aud", json!("billing")), "TOKEN_AUDIENCE_MISMATCH"),
        ("an audience that begins alike", set("aud", json!("orders2")), "TOKEN_AUDIENCE_MISMATCH"),
        ("a pattern as audience", set("aud", json!("*")), "TOKEN_AUDIENCE_MISMATCH"),
        ("an audience in capitals", set("aud", json!(["ORDERS"])), "TOKEN_AUDIENCE_MISMATCH"),
        ("expired now", set("exp", json!(START)), EXPIRED),
        ("expired by a fraction", set("exp", json!(START_SECONDS + 0.9)), EXPIRED),
        ("expired long ago", set("exp", json!(0)), EXPIRED),
        ("nbf in a second", set("nbf", json!(START + 1)), EARLY),
        ("nbf in a second and a half", set("nbf", json!(START_SECONDS + 1.5)), EARLY),
        ("iat tomorrow", set("iat", json!(START + 86_400)), EARLY),
        ("sub twice", raw(r#""sub":"mallory""#), MALFORMED),
        ("aud twice, alike", raw(r#""aud":"orders""#), MALFORMED),
        ("an unknown claim twice", raw(r#""x":1,"x":2"#), MALFORMED),
        ("twice by an escape", raw(r#""s\u0075b":"mallory""#), MALFORMED),
        ("a member twice deep inside", raw(r#""x":[{"a":1,"a":1}]"#), MALFORMED),
        ("nested too deeply", raw(&deep), MALFORMED),
        ("a number that no double holds", raw(r#""x":1e999"#), MALFORMED),
        ("a lone surrogate", raw(r#""x":"\ud83d""#), MALFORMED),
        ("a control character", raw("\"x\":\"\u{1}\""), MALFORMED),
        ("a comment", raw("/* */\"x\":1"), MALFORMED),
        ("trailing bytes", text(format!("{}null", forge.payload())), MALFORMED),
        ("a trailing NUL", text(format!("{}\0", forge.payload())), MALFORMED),
        ("two payloads", text(format!("{}{}", forge.payload(), forge.payload())), MALFORMED),
        ("a list", text(format!("[{}]", forge.payload())), MALFORMED),
        ("text", text("\"alice\"".to_owned()), MALFORMED),
        ("nothing", text(String::new()), MALFORMED),
        ("a nested token", text(good.clone()), MALFORMED),
    ]);
    let invalid_utf8 = [b"{\"sub\":\"", &b"\xc3\x28"[..], b"\"}"].concat();
    table.push(("invalid UTF-8".to_owned(), forge.sign(HS256, forge.header(HS256), invalid_utf8), MALFORMED));
    assert_eq!(scene.all_refused(table).await, 60);
    // What the table changes is accepted unchanged.
    accepted(server.root.check(&text(forge.payload().to_string())).await);
    accepted(server.root.check(&set("exp", json!(START_SECONDS + 1.5))).await);
    accepted(server.root.check(&without("nbf")).await);
    for jwt_id in ["x".repeat(255), " ".to_owned()] {
        accepted(server.root.check(&set("jti", json!(jwt_id))).await);
    }
    // Keys that were imported sign tokens without one: they are revoked by session, subject, client or key.
    accepted(server.root.check(&without("jti")).await);
    let acting = set("act", json!({"sub": "gateway", "act": {"sub": "web"}}));
    let actor = accepted(server.root.check(&acting).await).token_claims.unwrap().actor.unwrap();
    assert_eq!((actor.subject.as_str(), actor.actor.unwrap().subject.as_str()), ("gateway", "web"));
}

/// A payload whose `exp` is this text.
fn raw_exp(text: &impl Fn(String) -> String, payload: &Value, exp: &str) -> String {
    text(payload.to_string().replace(&(START + 600).to_string(), exp))
}
