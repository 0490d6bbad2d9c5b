//! The program as a process of its own: started in a folder, watched by what it prints, and stopped.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::Duration,
};

use serde_json::Value;

pub const FREE_PORTS: [&str; 4] = ["--grpc-addr", "127.0.0.1:0", "--http-addr", "127.0.0.1:0"];

/// Far longer than anything takes: only a program that hangs meets it.
const PATIENCE: Duration = Duration::from_secs(60);

/// The program with this folder as home and as working folder, and nothing else from the environment.
pub fn tokend(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tokend"));
    command
        .args(arguments)
        .env_clear()
        .env("HOME", folder)
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .current_dir(folder)
        .stdin(Stdio::null());
    command
}

pub fn run(folder: &Path, arguments: &[&str]) -> Output {
    tokend(folder, arguments).output().unwrap()
}

pub fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap().trim_end()
}

pub fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

/// The words of a line, as a shell splits them.
pub fn words(line: &str) -> Vec<String> {
    let output = Command::new("sh").arg("-c").arg(format!("printf '%s\\0' {line}")).output().unwrap();
    String::from_utf8(output.stdout).unwrap().split_terminator('\0').map(str::to_owned).collect()
}

/// `tokend init` in `folder`: answers the secret of its client `admin`.
pub fn init(folder: &Path) -> String {
    let made = run(folder, &["init", "--issuer", "https://id.example.com"]);
    assert!(made.status.success(), "{}", stderr(&made));
    stdout(&made).to_owned()
}

/// Starts `tokend dev` on free ports, and waits for its last line.
pub fn dev(folder: &Path, arguments: &[&str]) -> (Running, Vec<String>) {
    dev_by(tokend(folder, &[&["dev"], &FREE_PORTS[..], arguments].concat()))
}

/// The same by this command.
pub fn dev_by(mut command: Command) -> (Running, Vec<String>) {
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = Vec::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        lines.push(line.unwrap());
        if lines.last().unwrap().starts_with("ready in ") {
            return (Running(child), lines);
        }
    }
    panic!("tokend dev ended early: {lines:#?}, {:?}", child.wait());
}

/// The profiles that `tokend dev` left in this home.
pub fn profiles(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder.join(".config/tokend/dev")).into_iter().flatten();
    entries.map(|entry| entry.unwrap().path()).collect()
}

/// The address of the `tokend dev` that runs with this home.
pub fn dev_address(folder: &Path) -> String {
    let profile = fs::read_to_string(&profiles(folder)[0]).unwrap();
    let addr = profile.lines().find_map(|line| line.strip_prefix("addr = ")).unwrap();
    addr.trim_matches('"').to_owned()
}

/// A running program; killed when the test ends early.
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    pub fn signal(&self, name: &str) {
        let told = Command::new("kill").args([name, &self.0.id().to_string()]).status().unwrap();
        assert!(told.success());
    }

    /// Asks it to stop, and answers its exit code.
    pub fn stop(mut self) -> Option<i32> {
        self.signal("-TERM");
        self.0.wait().unwrap().code()
    }
}

/// What a program prints, line by line. A thread reads it, so that a program is never held up by a full pipe.
pub struct Lines {
    coming: Receiver<String>,
    pub seen: Vec<String>,
}

impl Lines {
    pub fn of(stream: impl Read + Send + 'static) -> Self {
        let (lines, coming) = channel();
        thread::spawn(move || {
            // The test may be over.
            BufReader::new(stream).lines().for_each(|line| drop(lines.send(line.unwrap())));
        });
        Self { coming, seen: Vec::new() }
    }

    /// Waits for the first line of which this is true.
    pub fn until(&mut self, wanted: impl Fn(&str) -> bool) -> String {
        loop {
            let line = self.coming.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|end| panic!("{end} after {:#?}", self.seen));
            self.seen.push(line.clone());
            if wanted(&line) {
                return line;
            }
        }
    }

    /// All lines to the end of the program.
    pub fn all(mut self) -> Vec<String> {
        loop {
            match self.coming.recv_timeout(PATIENCE) {
                Ok(line) => self.seen.push(line),
                Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => return self.seen,
                Err(_) => panic!("it does not end: {:#?}", self.seen),
            }
        }
    }
}

/// How a program ended.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: Vec<String>,
    pub stderr: Vec<String>,
}

/// A program whose output is read.
pub struct Watched {
    pub running: Running,
    pub stdout: Lines,
    pub stderr: Lines,
}

impl Watched {
    pub fn start(folder: &Path, arguments: &[&str]) -> Self {
        Self::of(tokend(folder, arguments))
    }

    /// Starts it with leave to open so many files and no more.
    fn limited(folder: &Path, files: u32, arguments: &[&str]) -> Self {
        let program = tokend(folder, arguments);
        let mut command = Command::new("sh");
        command
            .args(["-c", "ulimit -n \"$0\" && exec \"$@\"", &files.to_string()])
            .arg(program.get_program())
            .args(program.get_args())
            .env_clear()
            .envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))))
            .current_dir(folder)
            .stdin(Stdio::null());
        Self::of(command)
    }

    pub fn of(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (stdout, stderr) =
            (Lines::of(child.stdout.take().unwrap()), Lines::of(child.stderr.take().unwrap()));
        Self { running: Running(child), stdout, stderr }
    }

    /// Waits until it has ended, by itself or because it was told to.
    pub fn ended(self) -> Ended {
        let Self { mut running, stdout, stderr } = self;
        let (stdout, stderr) = (stdout.all(), stderr.all());
        Ended { code: running.0.wait().unwrap().code(), stdout, stderr }
    }

    /// The next log line with this message.
    pub fn logged(&mut self, message: &str) -> Value {
        let wanted = |line: &str| entry(line)["message"] == message;
        entry(&self.stderr.until(wanted))
    }
}

/// A log line in JSON; null for one that is none.
pub fn entry(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_default()
}

/// `tokend serve` on what `init` made, on free ports.
pub struct Serve {
    pub process: Watched,
    pub grpc: SocketAddr,
    pub http: SocketAddr,
    /// Where the metrics are, if they are served.
    pub metrics: Option<SocketAddr>,
}

impl Serve {
    pub fn start(folder: &Path, arguments: &[&str]) -> Self {
        Self::of(Watched::start(folder, &Self::arguments(arguments)))
    }

    /// The same on these ports.
    pub fn start_at(folder: &Path, ports: &[&str], arguments: &[&str]) -> Self {
        let all = [&["serve", "--config", "tokend.toml"], ports, arguments].concat();
        Self::of(Watched::start(folder, &all))
    }

    /// The same with leave to open so many files and no more.
    pub fn limited(folder: &Path, files: u32, arguments: &[&str]) -> Self {
        Self::of(Watched::limited(folder, files, &Self::arguments(arguments)))
    }

    fn arguments<'a>(more: &[&'a str]) -> Vec<&'a str> {
        [&["serve", "--config", "tokend.toml"], &FREE_PORTS[..], more].concat()
    }

    fn of(mut process: Watched) -> Self {
        let serving = process.logged("serving");
        let address = |name: &str| serving[name].as_str().unwrap().parse().unwrap();
        let metrics = serving["metrics"].as_str().unwrap().parse().ok();
        Self { grpc: address("grpc"), http: address("http"), metrics, process }
    }

    pub fn stop(self) -> Ended {
        self.process.running.signal("-TERM");
        self.process.ended()
    }
}
