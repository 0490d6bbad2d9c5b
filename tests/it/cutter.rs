//! A way to PostgreSQL that can be cut in the middle of a commit: between the server and the client that loses it.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{UnixListener, UnixStream},
};
use url::Url;

/// Where a connection is cut, at the next statement that does something for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Before the server gets it.
    Before,
    /// After the server has committed, before the response arrives.
    After,
}

/// A socket before the server's.
pub struct Cutter {
    folder: TempDir,
    wanted: Arc<Mutex<Option<Wanted>>>,
}

/// A cut that is to come.
#[derive(Debug, Clone)]
struct Wanted {
    cut: Cut,
    /// A statement that begins with this, in whatever protocol it is sent.
    statement: &'static str,
}

impl Cutter {
    /// A way to the server of `url`, whose socket is in a folder.
    pub fn before(url: &Url) -> Self {
        let (_, server) = url.query_pairs().find(|(name, _)| name == "host").unwrap();
        let server = socket(Path::new(&*server));
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(socket(folder.path())).unwrap();
        let wanted = Arc::new(Mutex::new(None));
        let shared = Arc::clone(&wanted);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (server, wanted) = (server.clone(), Arc::clone(&shared));
                // It ends with either side, or with a cut: both sides are then closed.
                tokio::spawn(async move { pass(client, UnixStream::connect(server).await?, &wanted).await });
            }
        });
        Self { folder, wanted }
    }

    /// The same database by this way.
    pub fn url(&self, url: &Url) -> Url {
        let mut url = url.clone();
        url.query_pairs_mut().clear().append_pair("host", self.folder.path().to_str().unwrap());
        url
    }

    /// Cuts the connection that next carries such a statement.
    pub fn cut(&self, cut: Cut, statement: &'static str) {
        *self.wanted.lock().unwrap() = Some(Wanted { cut, statement });
    }

    /// Whether the cut was made.
    pub fn has_cut(&self) -> bool {
        self.wanted.lock().unwrap().is_none()
    }
}

fn socket(folder: &Path) -> PathBuf {
    folder.join(".s.PGSQL.5432")
}

/// Carries bytes both ways, and looks at each message that is sent to the server.
async fn pass(
    mut client: UnixStream,
    mut server: UnixStream,
    wanted: &Mutex<Option<Wanted>>,
) -> io::Result<()> {
    let (mut sent, mut answered) = (Messages::default(), vec![0; 64 * 1024]);
    let mut chunk = vec![0; 64 * 1024];
    loop {
        tokio::select! {
            count = client.read(&mut chunk) => {
                let bytes = match count? { 0 => return Ok(()), count => &chunk[..count] };
                let cut = sent.see(bytes, wanted);
                if cut == Some(Cut::Before) {
                    return Ok(());
                }
                server.write_all(bytes).await?;
                if cut == Some(Cut::After) {
                    // Whatever it says now, it says after it has done it.
                    return server.read(&mut answered).await.map(drop);
                }
            }
            count = server.read(&mut answered) => {
                let bytes = match count? { 0 => return Ok(()), count => &answered[..count] };
                client.write_all(bytes).await?;
            }
        }
    }
}

/// The messages of one connection to the server (PostgreSQL's protocol, version 3: a letter, then four bytes of length), of which
/// the first has no letter.
#[derive(Default)]
struct Messages {
    unread: Vec<u8>,
    started: bool,
    /// Names of prepared statements, with their texts.
    prepared: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Messages {
    /// Takes what is sent. Answers where to cut, if a message in it is the wanted one, which is then wanted no longer.
    fn see(&mut self, bytes: &[u8], wanted: &Mutex<Option<Wanted>>) -> Option<Cut> {
        self.unread.extend_from_slice(bytes);
        let mut found = None;
        while let Some((letter, body)) = self.next() {
            let Some(statement) = self.statement(letter, &body) else { continue };
            let mut wanted = wanted.lock().unwrap();
            if wanted.as_ref().is_some_and(|wanted| statement.starts_with(wanted.statement.as_bytes())) {
                found = wanted.take().map(|wanted| wanted.cut);
            }
        }
        found
    }

    fn next(&mut self) -> Option<(u8, Vec<u8>)> {
        let head = usize::from(self.started);
        let length = self.unread.get(head..head + 4)?;
        let end = head + u32::from_be_bytes(length.try_into().unwrap()) as usize;
        let letter = if self.started { self.unread[0] } else { 0 };
        let body = self.unread.get(head + 4..end)?.to_vec();
        self.unread.drain(..end);
        // The question whether the server speaks TLS has no letter either, and the start comes after it.
        self.started |= !body.starts_with(&80_877_103_u32.to_be_bytes());
        Some((letter, body))
    }

    /// The text of the statement that a message has the server do: of a query, or of one that was parsed and is bound now.
    fn statement(&mut self, letter: u8, body: &[u8]) -> Option<Vec<u8>> {
        let mut texts = body.split(|byte| *byte == 0);
        match letter {
            b'Q' => texts.next().map(<[u8]>::to_vec),
            b'P' => {
                let (name, text) = (texts.next()?.to_vec(), texts.next()?.to_vec());
                self.prepared.retain(|(other, _)| *other != name);
                self.prepared.push((name, text));
                None
            }
            b'B' => {
                let (_portal, name) = (texts.next()?, texts.next()?);
                self.prepared.iter().find(|(other, _)| other == name).map(|(_, text)| text.clone())
            }
            _ => None,
        }
    }
}
