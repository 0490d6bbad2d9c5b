//! HTTP/2 frame by frame (RFC 9113 section 6), for clients that no library would be.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
};

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const CONTINUATION: u8 = 9;

pub const ACK: u8 = 1;
pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;

/// One frame.
#[derive(Debug)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

/// A connection that sends arbitrary bytes.
pub struct Frames {
    pub stream: TcpStream,
}

impl Frames {
    /// Connects, and sends the preface with these settings (6 bytes each).
    pub async fn connect(address: SocketAddr, settings: &[u8]) -> Self {
        Self::greet(TcpStream::connect(address).await.unwrap(), settings).await
    }

    /// The same from another address of this machine.
    pub async fn connect_from(own: &str, address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(own.parse().unwrap(), 0)).unwrap();
        Self::greet(socket.connect(address).await.unwrap(), &[]).await
    }

    async fn greet(mut stream: TcpStream, settings: &[u8]) -> Self {
        stream.set_nodelay(true).unwrap();
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        stream.write_all(&frame(SETTINGS, 0, 0, settings)).await.unwrap();
        Self { stream }
    }

    /// Says other settings.
    pub async fn settings(&mut self, settings: &[u8]) {
        self.send(&frame(SETTINGS, 0, 0, settings)).await;
    }

    /// Sends bytes; false if the connection has ended.
    pub async fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).await.is_ok()
    }

    /// The next frame; none at the connection's end.
    pub async fn next(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head).await.ok()?;
        let [a, b, c, kind, flags, stream @ ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        self.stream.read_exact(&mut payload).await.ok()?;
        Some(Frame { kind, flags, stream: u32::from_be_bytes(stream), payload })
    }

    /// Waits until the server has seen all that was sent, and says so; false if the connection has ended.
    pub async fn round_trip(&mut self) -> bool {
        if !self.send(&frame(PING, 0, 0, &[7; 8])).await {
            return false;
        }
        while let Some(frame) = self.next().await {
            if (frame.kind, frame.flags) == (PING, ACK) {
                return true;
            }
        }
        false
    }

    /// Reads to the connection's end, and answers the codes of the GOAWAYs that came (RFC 9113 section 7).
    pub async fn end(&mut self) -> Vec<u32> {
        let mut codes = Vec::new();
        while let Some(frame) = self.next().await {
            // Between its two GOAWAYs the server waits for this, so that calls on their way are still served.
            if (frame.kind, frame.flags) == (PING, 0) {
                self.send(&self::frame(PING, ACK, 0, &frame.payload)).await;
            }
            if frame.kind == GOAWAY {
                codes.push(u32::from_be_bytes(frame.payload[4..8].try_into().unwrap()));
            }
        }
        codes
    }
}

/// The bytes of a frame.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// The header block of a gRPC call (RFC 7541 section 6.2.2: literals without indexing).
pub fn call(path: &str, authorization: &str) -> Vec<u8> {
    let headers = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "test"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        ("authorization", authorization),
    ];
    let mut block = Vec::new();
    for (name, value) in headers {
        block.push(0);
        for text in [name, value] {
            assert!(text.len() < 127, "one byte of length");
            block.push(u8::try_from(text.len()).unwrap());
            block.extend(text.as_bytes());
        }
    }
    block
}
