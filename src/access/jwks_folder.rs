//! The directory with clients' JWK sets: files that operators write, reloaded when they change.

use std::{
    collections::{BTreeSet, HashMap},
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use aws_lc_rs::digest::{SHA256, digest};

use crate::{files, jose::PublicKeySet};

/// The longest file, in bytes.
const MAX_FILE: u64 = 64 * 1024;

/// The directory, and its files as last read.
#[derive(Debug)]
pub(super) struct JwksFolder {
    path: Option<PathBuf>,
    files: HashMap<String, File>,
}

/// A file as last read.
#[derive(Debug, Default)]
struct File {
    /// The SHA-256 of the content, which may be a private key by mistake; `None` before the first read, and after a failed one.
    digest: Option<Vec<u8>>,
    /// The last valid set. An invalid file keeps the keys of the last valid one.
    keys: Option<Arc<PublicKeySet>>,
    /// The logged problem of the file.
    problem: Option<String>,
}

impl JwksFolder {
    pub(super) fn new(path: Option<PathBuf>) -> Self {
        Self { path, files: HashMap::new() }
    }

    /// Whether no file is named.
    pub(super) fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// The keys of a file, as last read.
    pub(super) fn keys(&self, name: &str) -> Option<Arc<PublicKeySet>> {
        self.files.get(name)?.keys.clone()
    }

    /// Reads the new and changed files of `names`, and forgets all others. Returns whether any keys changed. Blocks on the disk.
    pub(super) fn read(&mut self, names: &BTreeSet<String>) -> bool {
        let before = self.files.len();
        self.files.retain(|name, _| names.contains(name));
        let mut changed = self.files.len() != before;
        for name in names {
            let file = self.files.entry(name.clone()).or_default();
            changed |= match path_of(self.path.as_deref(), name) {
                Ok(path) => file.follow(&path),
                Err(problem) => file.fail(name, problem),
            };
        }
        changed
    }
}

/// The path of a file. The name comes from a client's settings, and must not lead out of the directory.
fn path_of(folder: Option<&Path>, name: &str) -> Result<PathBuf, String> {
    let folder = folder.ok_or("setting client_jwks_dir is not set")?;
    let plain = |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '.');
    if name.is_empty() || name.len() > 255 || name.starts_with('.') || !name.chars().all(plain) {
        return Err("the name is not a plain file name".to_owned());
    }
    Ok(folder.join(name))
}

impl File {
    /// Reads the file if it changed.
    fn follow(&mut self, path: &Path) -> bool {
        let text = match read(path) {
            Ok(text) => text,
            Err(error) => {
                self.digest = None;
                return self.fail(&path.display().to_string(), format!("cannot be read: {error}"));
            }
        };
        let content = Some(digest(&SHA256, text.as_bytes()).as_ref().to_vec());
        if self.digest == content {
            return false;
        }
        self.digest = content;
        match PublicKeySet::strict(&text) {
            Ok(keys) => {
                for key in keys.skipped() {
                    tracing::warn!(file = %path.display(), %key, "a key of a client's JWK set cannot be used, and is skipped");
                }
                tracing::info!(file = %path.display(), keys = keys.key_count(), "a client's JWK set was read");
                self.keys = Some(Arc::new(keys));
                self.problem = None;
                true
            }
            Err(problem) => self.fail(&path.display().to_string(), problem),
        }
    }

    /// Logs a problem once.
    fn fail(&mut self, file: &str, problem: String) -> bool {
        if self.problem.as_ref() != Some(&problem) {
            let kept = self.keys.is_some();
            tracing::warn!(
                file,
                problem,
                kept,
                "a client's JWK set cannot be used; the keys of the last valid file stay in use"
            );
            self.problem = Some(problem);
        }
        false
    }
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    files::open(path)?.take(MAX_FILE + 1).read_to_string(&mut text)?;
    // One byte more than the import accepts, so that the import reports a set that is too large.
    Ok(text)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use std::{collections::BTreeSet, fs, os::unix::fs::symlink};

    use super::{JwksFolder, path_of};
    use crate::{
        jose::KeyMaterial,
        model::{Algorithm, KeyId},
    };

    fn set(kid: &str) -> String {
        let bytes = KeyMaterial::generate(Algorithm::Es256).unwrap();
        let key = KeyMaterial::parse(Algorithm::Es256, &bytes).unwrap().public_key(Algorithm::Es256).unwrap();
        let jwk = serde_json::to_string(&key.published(&KeyId::from_text(kid))).unwrap();
        format!(r#"{{"keys":[{jwk}]}}"#)
    }

    fn holds(folder: &JwksFolder, kid: &str) -> bool {
        let keys = folder.keys("a.json").unwrap();
        matches!(keys.find(Some(kid), Algorithm::Es256), crate::jose::SetLookup::Found(_))
    }

    #[test]
    fn a_changed_file_is_reloaded_and_an_invalid_one_keeps_the_keys() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.json");
        let mut folder = JwksFolder::new(Some(directory.path().to_owned()));
        let names = BTreeSet::from(["a.json".to_owned()]);
        assert!(!folder.read(&names), "no file yet");
        assert!(folder.keys("a.json").is_none());
        fs::write(&path, set("one")).unwrap();
        assert!(folder.read(&names) && holds(&folder, "one"));
        assert!(!folder.read(&names), "no change");
        for bad in ["", "{", r#"{"keys":[]}"#, &" ".repeat(70_000)] {
            fs::write(&path, bad).unwrap();
            assert!(!folder.read(&names) && holds(&folder, "one"), "{bad:.9}");
        }
        fs::remove_file(&path).unwrap();
        assert!(!folder.read(&names) && holds(&folder, "one"));
        fs::write(directory.path().join("elsewhere"), set("two")).unwrap();
        symlink("elsewhere", &path).unwrap();
        assert!(folder.read(&names) && holds(&folder, "two"));
        assert!(folder.read(&BTreeSet::new()), "no client names it");
        assert!(folder.keys("a.json").is_none());
    }

    #[test]
    fn a_name_never_leads_out_of_the_directory() {
        let folder = std::path::Path::new("/keys");
        assert!(path_of(Some(folder), "orders-1.json").is_ok());
        for bad in ["", ".", "..", "../a", "a/b", "/etc/a", "a\\b", ".hidden", "a\0b", &"a".repeat(256)] {
            assert!(path_of(Some(folder), bad).is_err(), "{bad}");
        }
        assert!(path_of(None, "orders.json").is_err());
    }
}
