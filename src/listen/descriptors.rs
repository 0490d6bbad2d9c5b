//! The limit of open files: each connection uses one file descriptor, and the process needs some for itself.

use rustix::process::{Resource, getrlimit, setrlimit};

/// File descriptors for the store, TLS files, the audit log and the runtime.
const RESERVED: u64 = 96;

/// One in this many descriptors is for the HTTP port, whose connections are short.
const HTTP_SHARE: usize = 4;

/// Raises the limit of open files as far as the system allows, and returns the numbers of connections for the gRPC port and the
/// HTTP port, up to `wanted` each, so that the limit is never reached.
pub fn divide_descriptors(wanted: usize) -> (usize, usize) {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    let limit = match setrlimit(Resource::Nofile, limit) {
        Ok(()) => limit.maximum,
        Err(_refused) => getrlimit(Resource::Nofile).current,
    };
    divide(limit, wanted)
}

fn divide(limit: Option<u64>, wanted: usize) -> (usize, usize) {
    let Some(limit) = limit else { return (wanted, wanted) };
    let available = usize::try_from(limit.saturating_sub(RESERVED)).unwrap_or(usize::MAX).max(2);
    let http = wanted.min((available / HTTP_SHARE).max(1));
    (wanted.min(available - http), http)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::divide;

    #[test]
    fn connections_never_use_all_descriptors() {
        assert_eq!(divide(None, 4096), (4096, 4096));
        assert_eq!(divide(Some(1_048_576), 4096), (4096, 4096));
        assert_eq!(divide(Some(256), 4096), (120, 40));
        assert_eq!(divide(Some(256), 10), (10, 10));
        for limit in [0, 1, 96, 97, 98, 100, 1024, 5000] {
            let (grpc, http) = divide(Some(limit), 4096);
            let available = usize::try_from(limit.saturating_sub(96)).unwrap().max(2);
            assert!(grpc >= 1 && http >= 1 && grpc + http <= available, "{limit}: {grpc} {http}");
        }
    }
}
