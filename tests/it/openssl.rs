//! The real `openssl` program.

use std::{
    fs,
    io::Write as _,
    path::PathBuf,
    process::{Command, Stdio},
};

use tempfile::TempDir;

/// Makes the tests that need OpenSSL fail without it.
const REQUIRE: &str = "TOKEND_REQUIRE_OPENSSL";

/// The program, with a folder for what it reads.
pub struct OpenSsl(TempDir);

impl OpenSsl {
    /// None if there is no such program; that was then said.
    pub fn find() -> Option<Self> {
        let works =
            Command::new("openssl").arg("version").output().is_ok_and(|output| output.status.success());
        if works {
            return Some(Self(tempfile::tempdir().unwrap()));
        }
        let what = "NOT RUN: this test needs the `openssl` program (Debian: `apt install openssl`)";
        assert!(std::env::var_os(REQUIRE).is_none_or(|value| value != "1"), "{what}");
        say(what);
        None
    }

    /// What `openssl` writes, given `input`; none if it refuses.
    pub fn attempt(&self, arguments: &str, input: &[u8]) -> Option<Vec<u8>> {
        let mut command = Command::new("openssl");
        command.args(arguments.split(' ')).current_dir(self.0.path());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        // One that needs no input may have gone before it is given some; all of it fits into the pipe.
        let _ = child.stdin.take().unwrap().write_all(input);
        let output = child.wait_with_output().unwrap();
        output.status.success().then_some(output.stdout)
    }

    /// What `openssl` writes.
    pub fn run(&self, arguments: &str, input: &[u8]) -> Vec<u8> {
        self.attempt(arguments, input).unwrap_or_else(|| panic!("openssl {arguments}"))
    }

    /// The same, as text.
    pub fn text(&self, arguments: &str, input: &str) -> String {
        String::from_utf8(self.run(arguments, input.as_bytes())).unwrap()
    }

    /// Writes a file that the arguments may name.
    pub fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    }
}

/// Past the capture of test output: written to the file, not through `eprintln!`.
pub fn say(what: &str) {
    let _ = writeln!(std::io::stderr(), "{}: {what}", std::thread::current().name().unwrap_or("?"));
}
