//! Where the secrets of new clients go. A secret that was created must not be lost, because the server does not have it.

use std::path::Path;

use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::plan::Step;
use crate::cli::{
    error::CliError,
    output::{Output, message, print},
    private_file,
};

/// Writes secrets to a folder, or to stdout.
pub(super) struct Secrets<'a> {
    folder: Option<&'a Path>,
    output: &'a Output,
    /// What the JSON output holds.
    written: Vec<Value>,
}

impl<'a> Secrets<'a> {
    /// Writes to `folder`, a file for each client, or else to stdout. Fails now, before anything is created, if a file could not
    /// be written.
    pub(super) fn new(
        folder: Option<&'a Path>,
        output: &'a Output,
        steps: &[Step],
    ) -> Result<Self, CliError> {
        if let Some(folder) = folder {
            private_file::create_folder(folder)
                .map_err(|error| CliError::failed(format!("--secrets-dir: {}: {error}", folder.display())))?;
            let mut created = steps.iter().filter(|step| step.is_create());
            if let Some(path) =
                created.find_map(|step| Some(folder.join(step.client_id())).filter(|path| path.exists()))
            {
                let path = path.display();
                return Err(CliError::failed(format!(
                    "--secrets-dir: {path} already exists, and is never overwritten"
                )));
            }
        }
        Ok(Self { folder, output, written: Vec::new() })
    }

    /// Writes the secret of a client immediately; to stdout if its file cannot be written.
    pub(super) fn write(&mut self, client_id: &str, secret: String) -> Result<(), CliError> {
        let secret = Zeroizing::new(secret);
        if secret.is_empty() {
            return Ok(());
        }
        if let Some(path) = self.folder.map(|folder| folder.join(client_id)) {
            match private_file::create(&path, &format!("{}\n", *secret)) {
                Ok(()) => {
                    message(&format!("the secret of {client_id} is in {}", path.display()));
                    self.written.push(json!({ "client_id": client_id, "client_secret_file": path }));
                    return Ok(());
                }
                Err(error) => {
                    message(&format!("warning: {}: {error}; the secret goes to stdout", path.display()));
                }
            }
        }
        if self.output.is_json() {
            self.written.push(json!({ "client_id": client_id, "client_secret": *secret }));
            return Ok(());
        }
        print(&format!("{client_id} {}", *secret)).map_err(|_| {
            CliError::failed(format!(
                "the secret of {client_id} could not be printed; create another with `tokend client rotate-secret {client_id}`"
            ))
        })
    }

    /// Each client with its secret, or with the file that holds it.
    pub(super) fn into_json(self) -> Value {
        Value::Array(self.written)
    }
}
