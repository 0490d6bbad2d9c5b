//! The folder with clients' JWK sets: files that operators put there, read again when they change.

use std::{
    collections::{BTreeSet, HashMap},
    fs::{self, Metadata},
    io::{self, Read as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{files, jose::PublicKeySet};

/// The longest file that is read, in bytes.
const LONGEST_FILE: u64 = 64 * 1024;

/// The folder, and what was last read of it.
#[derive(Debug)]
pub(super) struct JwksFolder {
    path: Option<PathBuf>,
    files: HashMap<String, File>,
}

/// A file as it was last looked at.
#[derive(Debug, Default)]
struct File {
    /// What it looked like; none before the first look, and when it could not be looked at.
    stamp: Option<Stamp>,
    /// The last good set in it. A file that went bad leaves the keys that were read before.
    keys: Option<Arc<PublicKeySet>>,
    /// Why the file cannot be used now, as it was logged.
    problem: Option<String>,
}

/// Changes when a file does, and when a link to it is turned to another one, as Kubernetes does.
#[derive(Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
}

impl JwksFolder {
    /// Nothing is read yet.
    pub(super) fn new(path: Option<PathBuf>) -> Self {
        Self { path, files: HashMap::new() }
    }

    /// Whether no file has been named.
    pub(super) fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// The keys in a file, as they were last read.
    pub(super) fn keys(&self, name: &str) -> Option<Arc<PublicKeySet>> {
        self.files.get(name)?.keys.clone()
    }

    /// Reads those of these files that are new or have changed, and forgets all others. Answers whether any keys are other
    /// than before. Blocks on the disk.
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

/// Where a file is. A name comes from a client's settings, and must not lead out of the folder.
fn path_of(folder: Option<&Path>, name: &str) -> Result<PathBuf, String> {
    let folder = folder.ok_or("setting client_jwks_dir is not set")?;
    let plain = |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '.');
    if name.is_empty() || name.len() > 255 || name.starts_with('.') || !name.chars().all(plain) {
        return Err("it is no plain file name".to_owned());
    }
    Ok(folder.join(name))
}

impl File {
    /// Reads the file if it has changed.
    fn follow(&mut self, path: &Path) -> bool {
        let stamp = match fs::metadata(path) {
            Ok(metadata) => Stamp::of(&metadata),
            Err(error) => {
                self.stamp = None;
                return self.fail(&path.display().to_string(), format!("it cannot be read: {error}"));
            }
        };
        if self.stamp.as_ref() == Some(&stamp) {
            return false;
        }
        let text = match read(path) {
            Ok(text) => text,
            Err(error) => {
                // To be tried again, though the file may never change.
                self.stamp = None;
                return self.fail(&path.display().to_string(), format!("it cannot be read: {error}"));
            }
        };
        self.stamp = Some(stamp);
        match PublicKeySet::strict(&text) {
            Ok(keys) => {
                for key in keys.skipped() {
                    tracing::warn!(file = %path.display(), %key, "a key of a client's JWK set cannot be used, and is skipped");
                }
                tracing::info!(file = %path.display(), keys = keys.len(), "a client's JWK set was read");
                self.keys = Some(Arc::new(keys));
                self.problem = None;
                true
            }
            Err(problem) => self.fail(&path.display().to_string(), problem),
        }
    }

    /// Says once what is wrong.
    fn fail(&mut self, file: &str, problem: String) -> bool {
        if self.problem.as_ref() != Some(&problem) {
            let kept = self.keys.is_some();
            tracing::warn!(
                file,
                problem,
                kept,
                "a client's JWK set cannot be used; keys that were read before are kept"
            );
            self.problem = Some(problem);
        }
        false
    }
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            length: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    files::open(path)?.take(LONGEST_FILE + 1).read_to_string(&mut text)?;
    // One octet more than what import looks at: it says that the set is too large.
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
        let octets = KeyMaterial::generate(Algorithm::Es256).unwrap();
        let key =
            KeyMaterial::parse(Algorithm::Es256, &octets).unwrap().public_key(Algorithm::Es256).unwrap();
        let jwk = serde_json::to_string(&key.published(&KeyId::from_text(kid))).unwrap();
        format!(r#"{{"keys":[{jwk}]}}"#)
    }

    fn holds(folder: &JwksFolder, kid: &str) -> bool {
        let keys = folder.keys("a.json").unwrap();
        matches!(keys.find(Some(kid), Algorithm::Es256), crate::jose::SetLookup::Found(_))
    }

    #[test]
    fn a_changed_file_is_read_again_and_a_bad_one_keeps_the_keys() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.json");
        let mut folder = JwksFolder::new(Some(directory.path().to_owned()));
        let names = BTreeSet::from(["a.json".to_owned()]);
        assert!(!folder.read(&names), "there is none yet");
        assert!(folder.keys("a.json").is_none());
        fs::write(&path, set("one")).unwrap();
        assert!(folder.read(&names) && holds(&folder, "one"));
        assert!(!folder.read(&names), "nothing has changed");
        for bad in ["", "{", r#"{"keys":[]}"#, &" ".repeat(70_000)] {
            fs::write(&path, bad).unwrap();
            assert!(!folder.read(&names) && holds(&folder, "one"), "{bad:.9}");
        }
        fs::remove_file(&path).unwrap();
        assert!(!folder.read(&names) && holds(&folder, "one"));
        fs::write(directory.path().join("elsewhere"), set("two")).unwrap();
        symlink("elsewhere", &path).unwrap();
        assert!(folder.read(&names) && holds(&folder, "two"));
        assert!(folder.read(&BTreeSet::new()), "nobody names it any more");
        assert!(folder.keys("a.json").is_none());
    }

    #[test]
    fn a_file_that_could_not_be_read_is_tried_again_though_it_does_not_change() {
        let directory = tempfile::tempdir().unwrap();
        let mut folder = JwksFolder::new(Some(directory.path().to_owned()));
        let names = BTreeSet::from(["a.json".to_owned()]);
        // There to be looked at, and not to be read, as a file without leave to read it is.
        fs::create_dir(directory.path().join("a.json")).unwrap();
        assert!(!folder.read(&names));
        let file = folder.files.get("a.json").unwrap();
        assert!(file.problem.is_some() && file.stamp.is_none());
    }

    #[test]
    fn a_name_never_leads_out_of_the_folder() {
        let folder = std::path::Path::new("/keys");
        assert!(path_of(Some(folder), "orders-1.json").is_ok());
        for bad in ["", ".", "..", "../a", "a/b", "/etc/a", "a\\b", ".hidden", "a\0b", &"a".repeat(256)] {
            assert!(path_of(Some(folder), bad).is_err(), "{bad}");
        }
        assert!(path_of(None, "orders.json").is_err());
    }
}
