//! Whatever comes, an answer follows, and it tells nothing of the material.

use proptest::{prelude::*, test_runner::TestRunner};
use serde_json::Value;

use super::made::{made, pem};
use crate::{
    Algorithm,
    import::{Source, import},
};

fn runner(cases: u32) -> TestRunner {
    TestRunner::new(ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() })
}

const KINDS: [Algorithm; 5] =
    [Algorithm::Es256, Algorithm::Es384, Algorithm::EdDsa, Algorithm::Rs256, Algorithm::MlDsa44];

#[test]
fn der_that_is_changed_anywhere() {
    let case = (0..KINDS.len(), any::<prop::sample::Index>(), any::<u8>(), 0..3_u8, any::<bool>());
    runner(512)
        .run(&case, |(kind, at, byte, change, private)| {
            let made = made(KINDS[kind]);
            let (label, der) =
                if private { ("PRIVATE KEY", &made.pkcs8) } else { ("PUBLIC KEY", &made.spki) };
            let mut der = der.clone();
            let at = at.index(der.len());
            match change {
                0 => der[at] = byte,
                1 => der.insert(at, byte),
                _ => der.truncate(at),
            }
            let _answer = import(Source::Pem(&pem(label, &der)), Some(KINDS[kind]));
            let _answer = import(Source::Secret(&der), Some(Algorithm::Hs256));
            Ok(())
        })
        .unwrap();
}

#[test]
fn jwks_that_are_changed_anywhere() {
    let json = prop_oneof![
        Just(Value::Null),
        any::<i64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "[A-Za-z0-9_-]{0,400}".prop_map(Value::from),
        prop::collection::vec(any::<String>(), 0..3).prop_map(Value::from),
    ];
    runner(512)
        .run(&(0..KINDS.len(), any::<prop::sample::Index>(), json), |(kind, at, value)| {
            let mut jwk = made(KINDS[kind]).jwk.clone();
            let members = jwk.as_object_mut().unwrap();
            let name = members.keys().nth(at.index(members.len())).unwrap().clone();
            members.insert(name, value);
            let _answer = import(Source::Jwk(&jwk.to_string()), Some(KINDS[kind]));
            Ok(())
        })
        .unwrap();
}

#[test]
fn any_text_and_any_bytes() {
    runner(512)
        .run(&(any::<String>(), prop::collection::vec(any::<u8>(), 0..200)), |(text, bytes)| {
            prop_assert!(import(Source::Pem(&text), None).is_err());
            prop_assert!(import(Source::Jwk(&text), None).is_err());
            prop_assert!(import(Source::Pem(&pem("PRIVATE KEY", &bytes)), None).is_err());
            let _answer = import(Source::Secret(&bytes), Some(Algorithm::Hs512));
            Ok(())
        })
        .unwrap();
}

#[test]
fn a_refusal_tells_nothing_of_the_material() {
    let marked = [
        r#"{"kty":"EC","crv":"MARK","x":"MARK","y":"MARK","d":"MARK"}"#,
        r#"{"kty":"MARK"}"#,
        r#"{"kty":"oct","alg":"MARK","k":"MARK"}"#,
        r#"{"kty":"oct","alg":"HS256","k":"MARK"}"#,
        r#"{"kty":"EC","kid":"MARK MARK"}"#,
        r#"{"MARK":1,"MARK":2}"#,
        r#"{"MARK": MARK}"#,
        r#"{"keys":["MARK"]}"#,
        "MARK",
    ];
    for text in marked {
        for source in [Source::Jwk(text), Source::Pem(text), Source::Secret(text.as_bytes())] {
            if let Err(error) = import(source, Some(Algorithm::Hs512)) {
                let told = format!("{} {} {error:?}", error.path, error.problem);
                assert!(!told.contains("MARK"), "{told}");
            }
        }
    }
    let pem = "-----BEGIN MARK-----\nMARK\n-----END MARK-----\n";
    let error = import(Source::Pem(pem), None).err().unwrap();
    assert!(!format!("{} {error:?}", error.problem).contains("MARK"));
}
