//! Files of the operator: secrets, and their permissions.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::Path,
};

use rustix::fs::OFlags;
use zeroize::Zeroizing;

/// Longer than any secret: the path probably names another file.
const LONGEST_SECRET: u64 = 64 * 1024;

/// Opens a regular file. Anything else is rejected, because reading a pipe blocks until another process writes to it.
///
/// # Errors
/// When the file does not exist, cannot be read, or is no regular file.
pub fn open(path: &Path) -> io::Result<File> {
    let without_waiting = i32::try_from(OFlags::NONBLOCK.bits()).map_err(io::Error::other)?;
    let file = File::options().read(true).custom_flags(without_waiting).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it is no regular file")) }
}

/// A path for logs and errors: `…` for a text that looks like a secret given instead of a path.
pub fn printable(path: &Path) -> String {
    let text = path.to_string_lossy();
    let is_secret =
        text.contains("://") || text.contains(['=', '@']) || text.len() >= 32 && !text.contains('/');
    if is_secret { "…".to_owned() } else { text.into_owned() }
}

/// Reads a secret from a regular file, without the line ends after it.
///
/// # Errors
/// When the file cannot be read, is empty, or is not UTF-8. The error does not quote the file.
pub fn read_secret(path: &Path) -> Result<Zeroizing<String>, String> {
    let file = open(path).map_err(|error| format!("{} cannot be read: {error}", printable(path)))?;
    secret(file, path)
}

/// Reads a secret from an open file, as [`read_secret`] does.
///
/// # Errors
/// As for [`read_secret`].
pub fn secret(file: File, path: &Path) -> Result<Zeroizing<String>, String> {
    let mut text = Zeroizing::new(String::new());
    file.take(LONGEST_SECRET + 1)
        .read_to_string(&mut text)
        .map_err(|error| format!("{} cannot be read: {error}", printable(path)))?;
    if text.len() as u64 > LONGEST_SECRET {
        return Err(format!("{} is too long for a secret", printable(path)));
    }
    let end = text.trim_end_matches(['\r', '\n']).len();
    text.truncate(end);
    if text.is_empty() { Err(format!("{} is empty", printable(path))) } else { Ok(text) }
}

/// The mode of a file that other users than its owner can read or change; none if only the owner can. As in PostgreSQL, the group
/// of root's files may read them, because Kubernetes mounts secrets with these permissions.
///
/// # Errors
/// When the mode of the file cannot be read.
pub fn exposed_mode(path: &Path) -> io::Result<Option<u32>> {
    let metadata = fs::metadata(path)?;
    let others = if metadata.uid() == 0 { 0o037 } else { 0o077 };
    let mode = metadata.mode() & 0o777;
    Ok(Some(mode).filter(|mode| mode & others != 0))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn only_regular_files_and_links_to_them_are_opened() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("file"), "text").unwrap();
        std::os::unix::fs::symlink(at("file"), at("link")).unwrap();
        assert_eq!(io::read_to_string(open(&at("link")).unwrap()).unwrap(), "text");
        // No process writes to the pipe.
        rustix::fs::mkfifoat(rustix::fs::CWD, at("pipe"), rustix::fs::Mode::RUSR).unwrap();
        for other in [at("pipe"), folder.path().to_owned()] {
            assert_eq!(open(&other).unwrap_err().to_string(), "it is no regular file");
        }
        assert_eq!(open(&at("none")).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_secret_is_for_its_owner_and_the_group_of_root() {
        use std::os::unix::fs::{PermissionsExt as _, chown};
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        fs::write(&path, "x").unwrap();
        let own = fs::metadata(&path).unwrap().uid();
        // Only root can change the owner of a file.
        let owners: &[u32] = if own == 0 { &[0, 65534] } else { &[own] };
        for owner in owners {
            chown(&path, Some(*owner), None).unwrap();
            for (mode, exposed) in [
                (0o400, false),
                (0o600, false),
                (0o700, false),
                (0o440, *owner != 0),
                (0o640, *owner != 0),
                (0o660, true),
                (0o610, true),
                (0o604, true),
                (0o602, true),
                (0o644, true),
            ] {
                fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
                assert_eq!(exposed_mode(&path).unwrap(), exposed.then_some(mode), "{mode:o} of {owner}");
            }
        }
        std::os::unix::fs::symlink(&path, folder.path().join("link")).unwrap();
        assert_eq!(exposed_mode(&folder.path().join("link")).unwrap(), Some(0o644));
        assert!(exposed_mode(&folder.path().join("none")).is_err());
    }
}
