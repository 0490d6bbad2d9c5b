//! The file with trusted issuers: TOML with a table `[[issuer]]` for each.

use std::{fs, path::Path};

use serde::Deserialize;

use super::urls::check_address;
use crate::{
    access::{KeySource, TrustedIssuerSettings},
    database::printable,
    jose::media_type,
    model::{Algorithm, ClientId, FOREIGN_SUBJECT, foreign_prefix},
};

/// The default algorithms of an issuer's tokens.
const ALGORITHMS: [Algorithm; 4] = [Algorithm::Rs256, Algorithm::Es256, Algorithm::Es384, Algorithm::EdDsa];

/// The longest prefix of an issuer's subjects, in bytes: half of the longest subject.
const LONGEST_PREFIX: usize = 127;

/// The longest file, in bytes.
const LONGEST_FILE: usize = 1024 * 1024;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    issuer: Vec<toml::Table>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    issuer: String,
    jwks_uri: Option<String>,
    jwks_file: Option<String>,
    ca_file: Option<String>,
    bearer_token_file: Option<String>,
    algorithms: Option<Vec<String>>,
    subject_prefix: Option<String>,
    #[serde(default)]
    token_types: Vec<String>,
}

/// Reads the file. `own` is this server's issuer, whose tokens are no credentials.
///
/// # Errors
/// The first problem, with the file, the entry and the key.
pub(super) fn read(path: &Path, own: Option<&str>) -> Result<Vec<TrustedIssuerSettings>, String> {
    let shown = path.display();
    let text = fs::read_to_string(path).map_err(|error| format!("{shown} cannot be read: {error}"))?;
    let mut issuers = parse(&text, own).map_err(|problem| format!("{shown}: {problem}"))?;
    // Relative paths start from the folder of the file.
    let folder = path.parent().unwrap_or(path);
    for issuer in &mut issuers {
        let paths = match &mut issuer.source {
            KeySource::Uri { ca_file, bearer_token_file, .. } => {
                [ca_file.as_mut(), bearer_token_file.as_mut()]
            }
            KeySource::File(path) => [Some(path), None],
        };
        paths.into_iter().flatten().for_each(|path| *path = folder.join(&*path));
    }
    Ok(issuers)
}

fn parse(text: &str, own: Option<&str>) -> Result<Vec<TrustedIssuerSettings>, String> {
    if text.len() > LONGEST_FILE {
        return Err("is larger than 1 MiB".to_owned());
    }
    // Only the message: the whole error quotes the line, which may hold a secret.
    let file: File = toml::from_str(text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        format!("line {}: {}", before.matches('\n').count() + 1, error.message())
    })?;
    let mut issuers: Vec<TrustedIssuerSettings> = Vec::new();
    for (index, table) in file.issuer.into_iter().enumerate() {
        let name =
            table.get("issuer").and_then(toml::Value::as_str).map(|name| match name.contains(['@', ':']) {
                true => format!(" (`{}`)", printable(name)),
                false => format!(" (`{name}`)"),
            });
        let place = format!("issuer[{index}]{}", name.unwrap_or_default());
        let entry: Entry = table
            .try_into()
            .map_err(|error: toml::de::Error| format!("{place}: {}", error.message().trim_end()))?;
        let settings = entry.settings(own).map_err(|problem| format!("{place}: {problem}"))?;
        if issuers.iter().any(|other| other.issuer == settings.issuer) {
            return Err(format!("{place}: issuer: is there twice"));
        }
        if let Some(other) = issuers.iter().find(|other| share_subjects(other, &settings)) {
            let other = &other.issuer;
            return Err(format!(
                "{place}: subject_prefix: subjects of this issuer could be taken for those of `{other}`; use prefixes of which \
                 neither begins with the other"
            ));
        }
        issuers.push(settings);
    }
    if issuers.is_empty() {
        return Err("there is no [[issuer]] in it".to_owned());
    }
    Ok(issuers)
}

impl Entry {
    fn settings(self, own: Option<&str>) -> Result<TrustedIssuerSettings, String> {
        if self.issuer.trim() != self.issuer || self.issuer.is_empty() {
            return Err("issuer: must be `iss` of its tokens, exactly".to_owned());
        }
        if Some(self.issuer.as_str()) == own {
            return Err("issuer: is this server's own; its tokens are no credentials".to_owned());
        }
        // A host name such as `accounts.google.com` may be an issuer. Its tokens are not used as assertions of a client with that id,
        // because trusted issuers are looked up first.
        if ClientId::parse(self.issuer.as_str()).is_ok() && !self.issuer.contains('.') {
            return Err("issuer: looks like a client's id, whose assertions it could be taken for".to_owned());
        }
        let source = match (self.jwks_uri, self.jwks_file) {
            (Some(uri), None) => KeySource::Uri {
                uri: check_address(&uri).map_err(|problem| format!("jwks_uri: {problem}"))?,
                ca_file: self.ca_file.map(Into::into),
                bearer_token_file: self.bearer_token_file.map(Into::into),
            },
            (None, Some(path)) => {
                for (key, value) in
                    [("ca_file", &self.ca_file), ("bearer_token_file", &self.bearer_token_file)]
                {
                    if value.is_some() {
                        return Err(format!("{key}: goes with jwks_uri only"));
                    }
                }
                KeySource::File(path.into())
            }
            (Some(_), Some(_)) => {
                return Err("jwks_file: given together with jwks_uri: remove one".to_owned());
            }
            (None, None) => return Err("jwks_uri: is missing; or give a jwks_file".to_owned()),
        };
        let algorithms = match self.algorithms {
            None => ALGORITHMS.to_vec(),
            Some(names) => algorithms(&names).map_err(|problem| format!("algorithms: {problem}"))?,
        };
        if let Some(name) = self.token_types.iter().find(|name| !is_media_type(name)) {
            return Err(format!("token_types: `{name}` is no media type, such as `at+jwt`"));
        }
        let token_types = self.token_types.iter().map(|name| media_type(name)).collect();
        let subject_prefix = self.subject_prefix;
        if let Some(prefix) = &subject_prefix {
            check_prefix(prefix).map_err(|problem| format!("subject_prefix: {problem}"))?;
        } else if foreign_prefix(&self.issuer).len() > LONGEST_PREFIX {
            return Err(format!(
                "subject_prefix: must be given, for the default `foreign:<issuer>#` would be longer than {LONGEST_PREFIX} bytes"
            ));
        }
        Ok(TrustedIssuerSettings { issuer: self.issuer, source, algorithms, token_types, subject_prefix })
    }
}

/// Up to 127 characters of RFC 6838 section 4.2, with or without the type before the name.
fn is_media_type(name: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&-^_.+/".contains(&byte);
    (1..=127).contains(&name.len()) && name.bytes().all(good)
}

fn check_prefix(prefix: &str) -> Result<(), String> {
    if prefix.len() > LONGEST_PREFIX || !prefix.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(format!("must be at most {LONGEST_PREFIX} printable ASCII characters without spaces"));
    }
    if prefix.starts_with(FOREIGN_SUBJECT) {
        return Err(format!("must not begin with `{FOREIGN_SUBJECT}`, as the default prefixes do"));
    }
    if !prefix.is_empty() && ClientId::parse(format!("{prefix}0")).is_ok() {
        return Err("must not be the beginning of a client id: end it with `:`, for example".to_owned());
    }
    Ok(())
}

/// Whether both have prefixes with which a subject of one could be a subject of the other. An issuer with an empty prefix names
/// subjects of this server intentionally.
fn share_subjects(one: &TrustedIssuerSettings, other: &TrustedIssuerSettings) -> bool {
    let given = |settings: &TrustedIssuerSettings| {
        settings.subject_prefix.clone().filter(|prefix| !prefix.is_empty())
    };
    given(one)
        .zip(given(other))
        .is_some_and(|(one, other)| one.starts_with(&other) || other.starts_with(&one))
}

fn algorithms(names: &[String]) -> Result<Vec<Algorithm>, String> {
    if names.is_empty() {
        return Err("must hold at least one".to_owned());
    }
    let mut algorithms = Vec::new();
    for name in names {
        match name.parse::<Algorithm>() {
            Ok(algorithm) if algorithm.is_symmetric() => {
                return Err(format!("`{name}` is symmetric: a verifier could sign with the same key"));
            }
            // `EdDSA` and `Ed25519` are two names of one algorithm.
            Ok(algorithm) if algorithms.contains(&algorithm) => {}
            Ok(algorithm) => algorithms.push(algorithm),
            Err(_) => return Err(format!("`{name}` is no algorithm that tokend uses")),
        }
    }
    Ok(algorithms)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]
mod tests {
    use super::{ALGORITHMS, parse};
    use crate::{access::KeySource, model::Algorithm};

    const OWN: Option<&str> = Some("https://tokend.test");

    #[test]
    fn a_file_names_the_source_of_each_issuers_keys() {
        let text = r#"
            [[issuer]]
            issuer = "https://kubernetes.default.svc"
            jwks_uri = "https://kubernetes.default.svc/openid/v1/jwks"
            ca_file = "/ca.crt"
            bearer_token_file = "/token"
            [[issuer]]
            issuer = "https://ci.example"
            jwks_file = "/etc/ci.json"
            algorithms = ["PS256"]
            [[issuer]]
            issuer = "kubernetes/serviceaccount"
            jwks_uri = "http://127.0.0.1:8001/jwks"
            [[issuer]]
            issuer = "accounts.google.com"
            jwks_uri = "https://www.googleapis.com/oauth2/v3/certs"
            algorithms = ["RS256", "Ed25519", "EdDSA"]
            token_types = ["WIMSE+jwt", "application/jwt-svid"]
            [[issuer]]
            issuer = "https://accounts.google.com"
            jwks_uri = "https://www.googleapis.com/oauth2/v3/certs"
        "#;
        let issuers = parse(text, OWN).unwrap();
        assert_eq!(issuers.len(), 5);
        let google = issuers.get(3).unwrap();
        assert_eq!(google.algorithms, [Algorithm::Rs256, Algorithm::EdDsa]);
        assert_eq!(google.token_types, ["wimse+jwt", "jwt-svid"]);
        let KeySource::Uri { uri, ca_file: Some(_), bearer_token_file: Some(_) } =
            &issuers.first().unwrap().source
        else {
            panic!("{issuers:?}")
        };
        assert_eq!(uri.path(), "/openid/v1/jwks");
        assert_eq!(issuers.first().unwrap().algorithms, ALGORITHMS);
        assert_eq!(issuers.get(1).unwrap().algorithms, [Algorithm::Ps256]);
    }

    #[test]
    fn a_problem_names_the_entry_and_the_key() {
        let entry = |lines: &str| format!("[[issuer]]\nissuer = \"https://a.example\"\n{lines}\n");
        let uri = "jwks_uri = \"https://a.example/jwks\"\n";
        for (text, expected) in [
            (String::new(), "there is no [[issuer]]"),
            ("issuers = []".to_owned(), "line 1: unknown field `issuers`"),
            ("[[issuer]]\njwks_file = \"a\"".to_owned(), "issuer[0]: missing field `issuer`"),
            (entry(&format!("{uri}jwks = 1")), "issuer[0] (`https://a.example`): unknown field `jwks`"),
            (entry("jwks_uri = 1"), "issuer[0] (`https://a.example`): invalid type"),
            (entry(""), "jwks_uri: is missing"),
            (entry(&format!("{uri}jwks_file = \"a\"")), "jwks_file: given together"),
            (
                entry("jwks_uri = \"http://a.example/jwks\""),
                "jwks_uri: `http://a.example/jwks` must start with https://",
            ),
            (entry("jwks_uri = \"file:///etc/passwd\""), "jwks_uri: "),
            (entry("jwks_uri = \"https://user:pass@a.example/\""), "jwks_uri: must hold no user name"),
            (
                entry(&format!("{uri}subject_prefix = \"a b\"")),
                "subject_prefix: must be at most 127 printable",
            ),
            (
                entry(&format!("{uri}subject_prefix = \"{}\"", "a:".repeat(64))),
                "subject_prefix: must be at most 127 printable",
            ),
            (
                entry(&format!("{uri}subject_prefix = \"foreign:a#\"")),
                "subject_prefix: must not begin with `foreign:`",
            ),
            (
                entry(&format!("{uri}subject_prefix = \"team-\"")),
                "subject_prefix: must not be the beginning of a client id",
            ),
            (
                format!("[[issuer]]\nissuer = \"https://a.example/{}\"\n{uri}", "a".repeat(120)),
                "subject_prefix: must be given, for the default",
            ),
            (
                entry(&format!("{uri}subject_prefix = \"a:\""))
                    + &format!("[[issuer]]\nissuer = \"https://b.example\"\n{uri}subject_prefix = \"a:b:\""),
                "issuer[1] (`https://b.example`): subject_prefix: subjects of this issuer could be taken for",
            ),
            (entry("jwks_file = \"a\"\nca_file = \"b\""), "ca_file: goes with jwks_uri only"),
            (entry("jwks_file = \"a\"\nbearer_token_file = \"b\""), "bearer_token_file: goes with"),
            (entry(&format!("{uri}token_types = [\"a b\"]")), "token_types: `a b` is no media type"),
            (entry(&format!("{uri}token_types = [\"\"]")), "token_types: `` is no media type"),
            (entry(&format!("{uri}algorithms = []")), "algorithms: must hold at least one"),
            (entry(&format!("{uri}algorithms = [\"HS256\"]")), "algorithms: `HS256` is symmetric"),
            (entry(&format!("{uri}algorithms = [\"none\"]")), "algorithms: `none` is no algorithm"),
            (entry(uri) + &entry(uri), "issuer[1] (`https://a.example`): issuer: is there twice"),
            (format!("[[issuer]]\nissuer = \"https://tokend.test\"\n{uri}"), "is this server's own"),
            (format!("[[issuer]]\nissuer = \"web\"\n{uri}"), "looks like a client's id"),
            (format!("[[issuer]]\nissuer = \" \"\n{uri}"), "issuer: must be `iss`"),
        ] {
            let problem = parse(&text, OWN).unwrap_err();
            assert!(problem.contains(expected), "{problem}\nwhere expected: {expected}");
        }
    }
}
