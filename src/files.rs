//! The files that operators put beside the server.

use std::{fs::File, io, os::unix::fs::OpenOptionsExt as _, path::Path};

use rustix::fs::OFlags;

/// Opens a file to read it. What is no regular file is refused: whoever reads a pipe waits until somebody writes to it.
///
/// # Errors
/// When there is none, it may not be read, or it is of another kind.
pub fn open(path: &Path) -> io::Result<File> {
    let without_waiting = i32::try_from(OFlags::NONBLOCK.bits()).map_err(io::Error::other)?;
    let file = File::options().read(true).custom_flags(without_waiting).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it is no regular file")) }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn only_a_regular_file_is_opened_and_a_link_to_one() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("file"), "text").unwrap();
        std::os::unix::fs::symlink(at("file"), at("link")).unwrap();
        assert_eq!(io::read_to_string(open(&at("link")).unwrap()).unwrap(), "text");
        // Nobody will ever write to it.
        rustix::fs::mkfifoat(rustix::fs::CWD, at("pipe"), rustix::fs::Mode::RUSR).unwrap();
        for other in [at("pipe"), folder.path().to_owned()] {
            assert_eq!(open(&other).unwrap_err().to_string(), "it is no regular file");
        }
        assert_eq!(open(&at("none")).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
