//! `tokend token inspect`: the content of a token, without verification.

use base64::{
    Engine as _,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use clap::Args;
use serde::Serialize;
use serde_json::{Value, value::RawValue};

use super::input::TokenInput;
use crate::{
    cli::{
        error::CliError,
        output::{Output, escaped, message, print_exact_json},
        time_text::with_distance,
    },
    clock::{Clock as _, SystemClock},
    model::UnixTime,
};

/// Lenient, because people inspect a token to find out what is wrong with it.
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

The command calls no server and verifies nothing: the output may be forged. `tokend token verify` verifies.")]
pub(in crate::cli) struct Inspect {
    #[command(flatten)]
    token: TokenInput,
    #[command(flatten)]
    output: Output,
}

impl Inspect {
    pub(super) fn run(self) -> Result<(), CliError> {
        #[derive(Serialize)]
        struct Inspected<'a> {
            verified: bool,
            header: &'a RawValue,
            claims: &'a RawValue,
        }
        let token = self.token.read()?;
        let parts: Vec<&str> = token.split('.').collect();
        let [header, claims, signature] = parts.as_slice() else {
            return Err(CliError::failed(match parts.len() {
                5 => "this is an encrypted token (JWE), which can be read only with its key".to_owned(),
                count => format!("a token has three parts with dots between them, this has {count}"),
            }));
        };
        let (header, claims) = (decode("header", header)?, decode("payload", claims)?);
        if signature.is_empty() {
            message("NOT VERIFIED: the token has no signature");
        } else {
            message("NOT VERIFIED: the signature was not checked");
        }
        if self.output.is_json() {
            return print_exact_json(&Inspected { verified: false, header: &header, claims: &claims });
        }
        print_exact_json(&header)?;
        print_exact_json(&claims)?;
        print_times(claims.get());
        Ok(())
    }
}

fn decode(part: &str, text: &str) -> Result<Box<RawValue>, CliError> {
    let bytes = BASE64
        .decode(text)
        .map_err(|error| CliError::failed(format!("the {part} is not base64url: {error}")))?;
    let json = String::from_utf8(bytes).map_err(|_| CliError::failed(format!("the {part} is not UTF-8")))?;
    RawValue::from_string(json)
        .map_err(|error| CliError::failed(format!("the {part} is not JSON: {}", escaped(&error.to_string()))))
}

/// Prints the times, and their distance from now.
fn print_times(claims: &str) {
    let Ok(Value::Object(claims)) = serde_json::from_str(claims) else { return };
    let now = SystemClock.now();
    for (name, meaning) in [("iat", "issued"), ("nbf", "not before"), ("exp", "expires")] {
        let Some(number) = claims.get(name) else { continue };
        // A NumericDate may have a fraction (RFC 7519 section 2); the fraction does not matter here.
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a float saturates, and the result is still far away"
        )]
        let seconds = number.as_i64().or_else(|| number.as_f64().map(|seconds| seconds as i64));
        match seconds {
            Some(seconds) => {
                let time = UnixTime::from_seconds(seconds);
                message(&format!("{name} {meaning:<11} {}", with_distance(time, now)));
            }
            None => message(&format!("{name} {meaning:<11} not a number")),
        }
    }
}
