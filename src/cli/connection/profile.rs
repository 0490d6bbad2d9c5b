//! The files in which `tokend dev` stores its address and credential, so that the other commands find the server.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use serde::{Deserialize, Serialize};

use crate::cli::private_file;

/// A server that `tokend dev` started, and the credential of its client.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::cli) struct Profile {
    /// The server's gRPC address: `http://127.0.0.1:50051`.
    pub(in crate::cli) addr: String,
    /// The client that calls.
    pub(in crate::cli) client_id: String,
    /// The client's secret.
    pub(in crate::cli) client_secret: String,
    /// The server's HTTP address: `127.0.0.1:8080`.
    pub(in crate::cli) http_addr: String,
    /// The path of the server's Unix socket, on which the user of the server is the client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::cli) grpc_socket: Option<String>,
}

impl Profile {
    /// The address to call: the Unix socket if there is one, which needs no secret.
    pub(super) fn address(&self) -> String {
        self.grpc_socket.as_ref().map_or_else(|| self.addr.clone(), |path| format!("unix:{path}"))
    }

    /// All profiles with their files, most recent first.
    ///
    /// # Errors
    /// When a profile cannot be read. The error does not quote the file, because it holds a secret.
    pub(in crate::cli) fn all() -> Result<Vec<(PathBuf, Self)>, String> {
        let Some(folder) = folder() else { return Ok(Vec::new()) };
        let failed = |path: &Path, error: io::Error| format!("{} cannot be read: {error}", path.display());
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(&folder, error)),
        };
        let mut profiles = Vec::new();
        for entry in entries {
            let path = entry.map_err(|error| failed(&folder, error))?.path();
            if path.extension().is_none_or(|extension| extension != "toml") {
                continue;
            }
            let text = match fs::read_to_string(&path) {
                Ok(text) => text,
                // Its server has just stopped.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(failed(&path, error)),
            };
            let profile = toml::from_str(&text).map_err(|_| {
                format!("{} is not a profile; delete it and start `tokend dev` again", path.display())
            })?;
            let written = path.metadata().and_then(|data| data.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
            profiles.push((written, path, profile));
        }
        profiles.sort_by_key(|(written, ..)| std::cmp::Reverse(*written));
        Ok(profiles.into_iter().map(|(_, path, profile)| (path, profile)).collect())
    }

    /// Writes the profile, and replaces one with the same address.
    ///
    /// # Errors
    /// Why the profile cannot be written, for a warning.
    pub(in crate::cli) fn write(&self) -> Result<(), String> {
        let path = self.path().ok_or("neither XDG_CONFIG_HOME nor HOME is set")?;
        path.parent()
            .map_or(Ok(()), private_file::create_folder)
            .and_then(|()| private_file::replace(&path, &self.text()?))
            .map_err(|error| format!("{}: {error}", path.display()))
    }

    /// Removes the profile, unless another server has replaced it.
    pub(in crate::cli) fn remove(&self) {
        let Some(path) = self.path() else { return };
        if fs::read_to_string(&path).ok() == self.text().ok() {
            let _ = fs::remove_file(path);
        }
    }

    /// A name for the files of the server with this address, without an extension.
    pub(in crate::cli) fn file_name(address: &str) -> String {
        address.chars().map(|part| if part.is_ascii_alphanumeric() { part } else { '-' }).collect()
    }

    fn text(&self) -> io::Result<String> {
        toml::to_string(self).map_err(io::Error::other)
    }

    fn path(&self) -> Option<PathBuf> {
        let name = Self::file_name(self.addr.trim_start_matches("http://"));
        Some(folder()?.join(name).with_extension("toml"))
    }
}

/// `$XDG_CONFIG_HOME/tokend/dev`, else `~/.config/tokend/dev`, with a file for each server. The XDG base directory specification
/// ignores a relative folder.
fn folder() -> Option<PathBuf> {
    let folder = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let configuration = folder("XDG_CONFIG_HOME").or_else(|| Some(folder("HOME")?.join(".config")))?;
    Some(configuration.join("tokend").join("dev"))
}
