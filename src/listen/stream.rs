//! A connection's octets, plain or through TLS.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::server::TlsStream;

/// So much is read of a connection before the others have their turn. A frame takes its sender nothing: who sends without end
/// is to hold nobody up for longer than these take to be answered.
const TURN: usize = 64 * 1024;

/// A connection's octets.
///
/// It says that it cannot write vectored, though it could: h2 then copies replies of up to 1,024 bytes behind their
/// headers and sends many of them with one `write`. With vectored writing, each reply of 256 bytes or more costs a `writev`
/// of its own, which halves the throughput of replies that hold a token.
pub(super) struct Stream {
    octets: Octets,
    traffic: Traffic,
    /// What was read in this turn.
    turn: usize,
}

enum Octets {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// How much a connection has carried so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Traffic(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    read: AtomicUsize,
    written: AtomicUsize,
}

impl Traffic {
    /// The octets that were read.
    pub(super) fn read(&self) -> usize {
        self.0.read.load(Relaxed)
    }

    /// A number that grows whenever any octet is read or written.
    pub(super) fn progress(&self) -> usize {
        self.read().wrapping_add(self.0.written.load(Relaxed))
    }
}

impl Stream {
    pub(super) fn plain(stream: TcpStream) -> Self {
        Self { octets: Octets::Plain(stream), traffic: Traffic::default(), turn: 0 }
    }

    pub(super) fn tls(stream: TlsStream<TcpStream>) -> Self {
        Self { octets: Octets::Tls(Box::new(stream)), traffic: Traffic::default(), turn: 0 }
    }

    /// Counts on while the stream is read and written.
    pub(super) fn traffic(&self) -> Traffic {
        self.traffic.clone()
    }
}

impl Drop for Stream {
    /// Reads what has arrived and was not read. A socket that is closed with unread bytes is reset (RFC 1122 section
    /// 4.2.2.13), and its client loses the last answer.
    fn drop(&mut self) {
        let stream = match &self.octets {
            Octets::Plain(stream) => stream,
            Octets::Tls(stream) => stream.get_ref().0,
        };
        let mut bytes = [0; 4096];
        let mut left = TURN;
        while let Ok(read @ 1..) = rustix::io::read(stream, &mut bytes) {
            left = left.saturating_sub(read);
            if left == 0 {
                return;
            }
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { octets, traffic, turn } = self.get_mut();
        if *turn >= TURN {
            *turn = 0;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        let polled = match octets {
            Octets::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Octets::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        };
        let read = buffer.filled().len() - before;
        traffic.0.read.fetch_add(read, Relaxed);
        *turn = if polled.is_pending() { 0 } else { *turn + read };
        polled
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        let Self { octets: stream, traffic, .. } = self.get_mut();
        let polled = match stream {
            Octets::Plain(stream) => Pin::new(stream).poll_write(context, octets),
            Octets::Tls(stream) => Pin::new(stream).poll_write(context, octets),
        };
        if let Poll::Ready(Ok(written)) = &polled {
            traffic.0.written.fetch_add(*written, Relaxed);
        }
        polled
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().octets {
            Octets::Plain(stream) => Pin::new(stream).poll_flush(context),
            Octets::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().octets {
            Octets::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Octets::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use std::task::Waker;

    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;

    #[tokio::test]
    async fn who_sends_without_end_lets_others_have_their_turn() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut sender = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let mut stream = Stream::plain(listener.accept().await.unwrap().0);
        let sent = tokio::spawn(async move {
            sender.write_all(&vec![7; 8 * TURN]).await.unwrap();
            sender
        });
        let mut read = 0;
        while read < 8 * TURN {
            // The system has more, as it may not always.
            stream.readable().await;
            let mut turn = 0;
            let mut octets = [0; 8192];
            let mut context = Context::from_waker(Waker::noop());
            loop {
                let mut buffer = ReadBuf::new(&mut octets);
                if Pin::new(&mut stream).poll_read(&mut context, &mut buffer).is_pending() {
                    break;
                }
                turn += buffer.filled().len();
            }
            assert!(turn < TURN + 8192, "{turn} octets in one turn");
            read += turn;
        }
        // What is left of a turn does not lame the next one.
        sent.await.unwrap().write_all(b"last").await.unwrap();
        let mut last = [0; 4];
        stream.read_exact(&mut last).await.unwrap();
        assert_eq!(&last, b"last");
    }

    impl Stream {
        async fn readable(&self) {
            let Octets::Plain(stream) = &self.octets else { return };
            stream.readable().await.unwrap();
        }
    }
}
