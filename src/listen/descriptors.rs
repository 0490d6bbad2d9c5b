//! The limit of open files: each connection is one, and the process needs some for itself.

use rustix::process::{Resource, getrlimit, setrlimit};

/// Files that are not connections: the store, TLS files, the audit log, the runtime's own.
const OWN: u64 = 96;

/// The share of the HTTP port, where documents are fetched and nobody stays.
const HTTP_SHARE: usize = 4;

/// Raises the limit of open files as far as the system lets this process, and answers how many connections the gRPC port
/// and the HTTP port may have, of `wanted` on each: no more than the limit holds, so that it is never reached.
pub fn share(wanted: usize) -> (usize, usize) {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    let limit = match setrlimit(Resource::Nofile, limit) {
        Ok(()) => limit.maximum,
        Err(_refused) => getrlimit(Resource::Nofile).current,
    };
    within(limit, wanted)
}

fn within(limit: Option<u64>, wanted: usize) -> (usize, usize) {
    let Some(limit) = limit else { return (wanted, wanted) };
    let room = usize::try_from(limit.saturating_sub(OWN)).unwrap_or(usize::MAX).max(2);
    let http = wanted.min((room / HTTP_SHARE).max(1));
    (wanted.min(room - http), http)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::within;

    #[test]
    fn connections_never_take_all_files() {
        assert_eq!(within(None, 4096), (4096, 4096));
        assert_eq!(within(Some(1_048_576), 4096), (4096, 4096));
        assert_eq!(within(Some(256), 4096), (120, 40));
        assert_eq!(within(Some(256), 10), (10, 10));
        for limit in [0, 1, 96, 97, 98, 100, 1024, 5000] {
            let (grpc, http) = within(Some(limit), 4096);
            let room = usize::try_from(limit.saturating_sub(96)).unwrap().max(2);
            assert!(grpc >= 1 && http >= 1 && grpc + http <= room, "{limit}: {grpc} {http}");
        }
    }
}
