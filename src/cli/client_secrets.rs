//! Where the secrets of new clients go: none may be lost once it was made.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{
    client_plan::Step,
    failure::Failure,
    output::{Output, print, talk},
    private_file,
};

/// Takes secrets.
pub(super) struct Secrets<'a> {
    folder: Option<&'a Path>,
    output: &'a Output,
    /// What is to be printed in the end, for programs.
    kept: Vec<Value>,
}

impl<'a> Secrets<'a> {
    /// Into `folder`, a file a client; else to stdout. What would fail then is found now, before anything is made.
    pub(super) fn new(folder: Option<&'a Path>, output: &'a Output, steps: &[Step]) -> Result<Self, Failure> {
        if let Some(folder) = folder {
            private_file::create_folder(folder)
                .map_err(|error| Failure::refused(format!("--secrets-dir: {}: {error}", folder.display())))?;
            for step in steps.iter().filter(|step| matches!(step, Step::Create { .. })) {
                let path = folder.join(step.client_id());
                if path.exists() {
                    return Err(Failure::refused(format!(
                        "--secrets-dir: {} is there already, and is never overwritten",
                        path.display()
                    )));
                }
            }
        }
        Ok(Self { folder, output, kept: Vec::new() })
    }

    /// Keeps the secret of a client, at once. One that fits in no file goes to stdout: it cannot be had again.
    pub(super) fn keep(&mut self, client_id: &str, secret: String) -> Result<(), Failure> {
        let secret = Zeroizing::new(secret);
        if secret.is_empty() {
            return Ok(());
        }
        let path: Option<PathBuf> = self.folder.map(|folder| folder.join(client_id));
        if let Some(path) = path {
            match private_file::create(&path, &format!("{}\n", *secret)) {
                Ok(()) => {
                    talk(&format!("the secret of {client_id} is in {}", path.display()));
                    self.kept.push(json!({ "client_id": client_id, "client_secret_file": path }));
                    return Ok(());
                }
                Err(error) => {
                    talk(&format!("warning: {}: {error}; the secret goes to stdout", path.display()));
                }
            }
        }
        if self.output.is_json() {
            self.kept.push(json!({ "client_id": client_id, "client_secret": *secret }));
            return Ok(());
        }
        print(&format!("{client_id} {}", *secret)).map_err(|_| {
            let again = format!("`tokend client rotate-secret {client_id}` makes another");
            Failure::refused(format!("the secret of {client_id} could not be printed; {again}"))
        })
    }

    /// For programs: each client with its secret, or with the file that holds it.
    pub(super) fn into_json(self) -> Value {
        Value::Array(self.kept)
    }
}
