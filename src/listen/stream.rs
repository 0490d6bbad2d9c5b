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

/// A connection's octets.
///
/// It says that it cannot write vectored, though it could: h2 then copies replies of up to 1,024 bytes behind their
/// headers and sends many of them with one `write`. With vectored writing, each reply of 256 bytes or more costs a `writev`
/// of its own, which halves the throughput of replies that hold a token.
pub(super) struct Stream {
    octets: Octets,
    traffic: Traffic,
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
        Self { octets: Octets::Plain(stream), traffic: Traffic::default() }
    }

    pub(super) fn tls(stream: TlsStream<TcpStream>) -> Self {
        Self { octets: Octets::Tls(Box::new(stream)), traffic: Traffic::default() }
    }

    /// Counts on while the stream is read and written.
    pub(super) fn traffic(&self) -> Traffic {
        self.traffic.clone()
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { octets, traffic } = self.get_mut();
        let before = buffer.filled().len();
        let polled = match octets {
            Octets::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Octets::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        };
        traffic.0.read.fetch_add(buffer.filled().len() - before, Relaxed);
        polled
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        let Self { octets: stream, traffic } = self.get_mut();
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
