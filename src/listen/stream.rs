//! The byte stream of a connection: plaintext or TLS over TCP, or a Unix socket.

use std::{
    io,
    os::fd::AsFd as _,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpStream, UnixStream},
};
use tokio_rustls::server::TlsStream;

use super::resets::ResetScanner;

/// Bytes that are read of one connection before other tasks get their turn: frames cost their sender nothing, and a client that
/// sends without pause must not delay other connections.
const READ_BUDGET: usize = 64 * 1024;

/// The byte stream of a connection.
///
/// `is_write_vectored` stays false: h2 then copies responses of up to 1,024 bytes behind their headers and sends many of them with
/// one `write`. With vectored writes, each response of 256 bytes or more costs a `writev` of its own, which halves the throughput
/// of responses that hold a token.
pub(super) struct Stream {
    transport: Transport,
    byte_counts: ByteCounts,
    /// Bytes read since this task last gave way.
    read: usize,
    /// Reads the frames that are sent, if this is HTTP/2.
    resets: Option<ResetScanner>,
}

enum Transport {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    Unix(UnixStream),
}

/// The number of bytes that a connection has carried.
#[derive(Debug, Clone, Default)]
pub(super) struct ByteCounts(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    read: AtomicUsize,
    written: AtomicUsize,
}

impl ByteCounts {
    pub(super) fn read(&self) -> usize {
        self.0.read.load(Relaxed)
    }

    /// Bytes read and written.
    pub(super) fn total(&self) -> usize {
        self.read().wrapping_add(self.0.written.load(Relaxed))
    }
}

impl Stream {
    pub(super) fn plain(stream: TcpStream) -> Self {
        Self::over(Transport::Plain(stream))
    }

    pub(super) fn tls(stream: TlsStream<TcpStream>) -> Self {
        Self::over(Transport::Tls(Box::new(stream)))
    }

    pub(super) fn unix(stream: UnixStream) -> Self {
        Self::over(Transport::Unix(stream))
    }

    fn over(transport: Transport) -> Self {
        Self { transport, byte_counts: ByteCounts::default(), read: 0, resets: None }
    }

    /// Finds the streams that are reset, from now on.
    pub(super) fn scan_resets(&mut self, scanner: ResetScanner) {
        self.resets = Some(scanner);
    }

    /// Returns the counters, which follow the stream.
    pub(super) fn byte_counts(&self) -> ByteCounts {
        self.byte_counts.clone()
    }
}

impl Drop for Stream {
    /// Reads the bytes that have arrived. A socket that is closed with unread bytes is reset (RFC 1122 section 4.2.2.13; a
    /// Unix socket too), and its client loses the last response.
    fn drop(&mut self) {
        let stream = match &self.transport {
            Transport::Plain(stream) => stream.as_fd(),
            Transport::Tls(stream) => stream.get_ref().0.as_fd(),
            Transport::Unix(stream) => stream.as_fd(),
        };
        let mut bytes = [0; 4096];
        let mut left = READ_BUDGET;
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
        let Self { transport, byte_counts, read, .. } = self.get_mut();
        if *read >= READ_BUDGET {
            *read = 0;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        let polled = match transport {
            Transport::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Transport::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
            Transport::Unix(stream) => Pin::new(stream).poll_read(context, buffer),
        };
        let count = buffer.filled().len() - before;
        byte_counts.0.read.fetch_add(count, Relaxed);
        *read = if polled.is_pending() { 0 } else { *read + count };
        polled
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let Self { transport, byte_counts, resets, .. } = self.get_mut();
        let polled = match transport {
            Transport::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Transport::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
            Transport::Unix(stream) => Pin::new(stream).poll_write(context, bytes),
        };
        if let Poll::Ready(Ok(written)) = &polled {
            byte_counts.0.written.fetch_add(*written, Relaxed);
            if let Some(resets) = resets {
                resets.sent(bytes.get(..*written).unwrap_or_default());
            }
        }
        polled
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().transport {
            Transport::Plain(stream) => Pin::new(stream).poll_flush(context),
            Transport::Tls(stream) => Pin::new(stream).poll_flush(context),
            Transport::Unix(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().transport {
            Transport::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Transport::Tls(stream) => Pin::new(stream).poll_shutdown(context),
            Transport::Unix(stream) => Pin::new(stream).poll_shutdown(context),
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
    async fn a_client_that_sends_without_pause_yields_to_other_tasks() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut sender = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let mut stream = Stream::plain(listener.accept().await.unwrap().0);
        let sent = tokio::spawn(async move {
            sender.write_all(&vec![7; 8 * READ_BUDGET]).await.unwrap();
            sender
        });
        let mut read = 0;
        while read < 8 * READ_BUDGET {
            // Else `poll_read` may be pending for want of data.
            stream.readable().await;
            let mut budget = 0;
            let mut bytes = [0; 8192];
            let mut context = Context::from_waker(Waker::noop());
            loop {
                let mut buffer = ReadBuf::new(&mut bytes);
                if Pin::new(&mut stream).poll_read(&mut context, &mut buffer).is_pending() {
                    break;
                }
                budget += buffer.filled().len();
            }
            assert!(budget < READ_BUDGET + 8192, "{budget} bytes in one turn");
            read += budget;
        }
        // The rest of a budget does not stall the next read.
        sent.await.unwrap().write_all(b"last").await.unwrap();
        let mut last = [0; 4];
        stream.read_exact(&mut last).await.unwrap();
        assert_eq!(&last, b"last");
    }

    impl Stream {
        async fn readable(&self) {
            let Transport::Plain(stream) = &self.transport else { return };
            stream.readable().await.unwrap();
        }
    }
}
