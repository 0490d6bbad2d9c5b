//! The limit of open files: each connection uses one file descriptor, and the process needs some for itself.

use rustix::process::{Resource, getrlimit, setrlimit};

/// File descriptors for the store, TLS files, the audit log and the runtime.
const RESERVED: u64 = 96;

/// One in this many descriptors is for the HTTP port, whose connections are short.
const HTTP_SHARE: usize = 4;

/// One in this many descriptors is for the Unix socket, whose clients are on this machine.
const SOCKET_SHARE: usize = 8;

/// Numbers of connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connections {
    /// Of the gRPC port.
    pub grpc: usize,
    /// Of the HTTP port.
    pub http: usize,
    /// Of the Unix socket.
    pub grpc_socket: usize,
}

/// Raises the limit of open files as far as the system allows, and returns the numbers of connections for the gRPC port, the HTTP port,
/// and the Unix socket if there is one, up to `wanted` each, so that the limit is never reached.
pub fn divide_descriptors(wanted: usize, has_socket: bool) -> Connections {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    let limit = match setrlimit(Resource::Nofile, limit) {
        Ok(()) => limit.maximum,
        Err(_refused) => getrlimit(Resource::Nofile).current,
    };
    divide(limit, wanted, has_socket)
}

fn divide(limit: Option<u64>, wanted: usize, has_socket: bool) -> Connections {
    let available = limit.map_or(u64::MAX, |limit| limit.saturating_sub(RESERVED));
    let available = usize::try_from(available).unwrap_or(usize::MAX).max(3);
    let http = wanted.min((available / HTTP_SHARE).max(1));
    let grpc_socket = if has_socket { wanted.min((available / SOCKET_SHARE).max(1)) } else { 0 };
    Connections { grpc: wanted.min(available - http - grpc_socket), http, grpc_socket }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::{Connections, divide};

    fn divided(limit: Option<u64>, wanted: usize, has_socket: bool) -> [usize; 3] {
        let Connections { grpc, http, grpc_socket } = divide(limit, wanted, has_socket);
        [grpc, http, grpc_socket]
    }

    #[test]
    fn connections_never_use_all_descriptors() {
        assert_eq!(divided(None, 4096, true), [4096, 4096, 4096]);
        assert_eq!(divided(None, 4096, false), [4096, 4096, 0]);
        assert_eq!(divided(Some(1_048_576), 4096, true), [4096, 4096, 4096]);
        assert_eq!(divided(Some(256), 4096, false), [120, 40, 0]);
        assert_eq!(divided(Some(256), 4096, true), [100, 40, 20]);
        assert_eq!(divided(Some(256), 10, true), [10, 10, 10]);
        for limit in [0, 1, 96, 97, 98, 100, 1024, 5000] {
            let [grpc, http, socket] = divided(Some(limit), 4096, true);
            let available = usize::try_from(limit.saturating_sub(96)).unwrap().max(3);
            assert!(grpc >= 1 && http >= 1 && socket >= 1, "{limit}: {grpc} {http} {socket}");
            assert!(grpc + http + socket <= available, "{limit}: {grpc} {http} {socket}");
        }
    }
}
