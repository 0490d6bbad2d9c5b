//! Where a port accepts its connections: TCP or a Unix socket.

use std::{
    io,
    net::{IpAddr, Ipv4Addr},
};

use tokio::net::{TcpListener, TcpStream, UnixStream};

use super::unix_socket::UnixSocket;

/// A bound port.
#[derive(Debug)]
pub enum Listener {
    /// A TCP port.
    Tcp(TcpListener),
    /// A Unix socket.
    Unix(UnixSocket),
}

/// An accepted connection.
pub(super) enum Connection {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl From<TcpListener> for Listener {
    fn from(listener: TcpListener) -> Self {
        Self::Tcp(listener)
    }
}

impl From<UnixSocket> for Listener {
    fn from(socket: UnixSocket) -> Self {
        Self::Unix(socket)
    }
}

impl Listener {
    /// Accepts a connection, and returns it with the address of its source: the peer of a Unix socket is on this machine.
    pub(super) async fn accept(&self) -> io::Result<(Connection, IpAddr)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                Ok((Connection::Tcp(stream), address.ip()))
            }
            Self::Unix(socket) => {
                Ok((Connection::Unix(socket.accept().await?), IpAddr::V4(Ipv4Addr::LOCALHOST)))
            }
        }
    }
}
