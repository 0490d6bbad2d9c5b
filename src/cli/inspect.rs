//! `tokend token inspect`: what a token says, believed or not.

use base64::{
    Engine as _,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use clap::Args;
use serde_json::Value;

use super::{
    failure::Failure,
    json_text::indented,
    output::{Output, plain, print, talk},
    time_text::instant_from,
    token_input::TokenInput,
};
use crate::{
    clock::{Clock as _, SystemClock},
    model::UnixTime,
};

/// Lenient on purpose: inspecting is how people find out what is wrong with a token.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::URL_SAFE,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

#[derive(Args)]
#[command(after_help = "Examples:
  tokend token issue --audience orders | tokend token inspect
  tokend token inspect -o json < token.txt | jq .claims.sub

It asks no server and checks nothing: what it prints may be forged. `tokend token verify` checks.")]
pub(super) struct Inspect {
    #[command(flatten)]
    token: TokenInput,
    #[command(flatten)]
    output: Output,
}

impl Inspect {
    pub(super) fn run(self) -> Result<(), Failure> {
        let token = self.token.read()?;
        let parts: Vec<&str> = token.split('.').collect();
        let [header, claims, signature] = parts.as_slice() else {
            return Err(Failure::refused(match parts.len() {
                5 => "this is an encrypted token (JWE): only who holds the key can read it".to_owned(),
                count => format!("a token has three parts with dots between them, this has {count}"),
            }));
        };
        let (header, claims) = (decode("header", header)?, decode("payload", claims)?);
        if signature.is_empty() {
            talk("NOT VERIFIED: nobody signed this token");
        } else {
            talk("NOT VERIFIED: whether anybody signed this is not known");
        }
        if self.output.is_json() {
            print(&indented_json(&format!(
                "{{\"verified\":false,\"header\":{header},\"claims\":{claims}}}"
            ))?)?;
        } else {
            print(&indented_json(&header)?)?;
            print(&indented_json(&claims)?)?;
            times(&claims);
        }
        Ok(())
    }
}

fn decode(part: &str, text: &str) -> Result<String, Failure> {
    let bytes = BASE64
        .decode(text)
        .map_err(|error| Failure::refused(format!("the {part} is not base64url: {error}")))?;
    let json = String::from_utf8(bytes).map_err(|_| Failure::refused(format!("the {part} is not UTF-8")))?;
    serde_json::from_str::<serde::de::IgnoredAny>(&json).map_err(|error| {
        Failure::refused(format!("the {part} is not JSON: {}", plain(&error.to_string())))
    })?;
    Ok(json)
}

fn indented_json(json: &str) -> Result<String, Failure> {
    indented(json).map_err(|error| Failure::refused(error.to_string()))
}

/// Says the times in words.
fn times(claims: &str) {
    let Ok(Value::Object(claims)) = serde_json::from_str(claims) else { return };
    let now = SystemClock.now();
    for (name, meaning) in [("iat", "issued"), ("nbf", "not before"), ("exp", "expires")] {
        let Some(number) = claims.get(name) else { continue };
        // A NumericDate may have a fraction (RFC 7519 section 2); what is cut off matters to nobody here.
        #[expect(clippy::cast_possible_truncation, reason = "a float saturates, and says then what it is")]
        let seconds = number.as_i64().or_else(|| number.as_f64().map(|seconds| seconds as i64));
        match seconds {
            Some(seconds) => {
                let time = UnixTime::from_seconds(seconds);
                talk(&format!("{name} {meaning:<11} {}", instant_from(time, now)));
            }
            None => talk(&format!("{name} {meaning:<11} not a number")),
        }
    }
}
