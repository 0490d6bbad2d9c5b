//! What `tokend dev` leaves behind, so that the other commands find it without being told.

use std::{env, fs, io, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::private_file;

/// The server that `tokend dev` started last, and the credential of its client.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Profile {
    /// The server's gRPC address: `http://127.0.0.1:50051`.
    pub(super) addr: String,
    /// Who calls.
    pub(super) client_id: String,
    /// The caller's secret.
    pub(super) client_secret: String,
    /// The server's HTTP address: `127.0.0.1:8080`.
    pub(super) http_addr: String,
}

impl Profile {
    /// The profile, if there is one.
    ///
    /// # Errors
    /// When there is one that cannot be read. The error quotes nothing of it, for it holds a secret.
    pub(super) fn read() -> Result<Option<Self>, String> {
        let Some(path) = path() else { return Ok(None) };
        match fs::read_to_string(&path) {
            Ok(text) => toml::from_str(&text).map(Some).map_err(|_| {
                format!("{} makes no sense; delete it and start `tokend dev` again", path.display())
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(format!("{} cannot be read: {error}", path.display())),
        }
    }

    /// Leaves the profile, in place of the one before.
    ///
    /// # Errors
    /// When it cannot be written, in words for a warning.
    pub(super) fn write(&self) -> Result<(), String> {
        let path = path().ok_or("no folder for it: neither XDG_CONFIG_HOME nor HOME is set")?;
        let text = toml::to_string(self).map_err(|error| error.to_string())?;
        path.parent()
            .map_or(Ok(()), private_file::create_folder)
            .and_then(|()| private_file::replace(&path, &text))
            .map_err(|error| format!("{}: {error}", path.display()))
    }
}

/// `$XDG_CONFIG_HOME/tokend/dev.toml`, else `~/.config/tokend/dev.toml`. A relative folder is passed over, as the
/// XDG base directory specification asks.
fn path() -> Option<PathBuf> {
    let folder = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let configuration = folder("XDG_CONFIG_HOME").or_else(|| Some(folder("HOME")?.join(".config")))?;
    Some(configuration.join("tokend").join("dev.toml"))
}
