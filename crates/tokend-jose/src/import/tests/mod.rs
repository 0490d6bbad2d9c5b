#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests fail by panicking")]

mod accepted;
mod hostile;
mod jwk;
mod made;
mod pem;
mod private;
mod real;
mod secret;
mod set;

use serde_json::Value;

use super::{ImportedKey, Source, import, problem::Problem};
use crate::Algorithm;

/// The one key that is taken.
fn taken(source: Source<'_>, algorithm: Option<Algorithm>) -> ImportedKey {
    let mut imported = import(source, algorithm).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((imported.keys.len(), imported.skipped.len()), (1, 0));
    imported.keys.remove(0)
}

/// Where and why nothing is taken.
fn refused(source: Source<'_>, algorithm: Option<Algorithm>) -> (String, Problem) {
    let error = import(source, algorithm).err().unwrap_or_else(|| panic!("it was taken"));
    (error.path, error.problem)
}

fn refused_jwk(jwk: &Value) -> (String, Problem) {
    refused(Source::Jwk(&jwk.to_string()), None)
}

fn refused_pem(pem: &str) -> Problem {
    let (path, problem) = refused(Source::Pem(pem), None);
    assert_eq!(path, "");
    problem
}

/// `jwk` with these members in place of its own; null takes one away.
fn with(jwk: &Value, members: &[(&str, Value)]) -> Value {
    let mut changed = jwk.clone();
    for (name, value) in members {
        let object = changed.as_object_mut().unwrap();
        match value {
            Value::Null => drop(object.remove(*name)),
            value => drop(object.insert((*name).to_owned(), value.clone())),
        }
    }
    changed
}

fn at(path: &str, problem: Problem) -> (String, Problem) {
    (path.to_owned(), problem)
}
