//! What is checked of the machine: TLS files, ports, disks.

use std::{
    io::ErrorKind,
    net::{SocketAddr, TcpListener},
    path::Path,
    sync::Arc,
    time::Duration,
};

use super::Findings;
use crate::{
    audit::SinkSettings,
    cli::server::healthcheck::check_any,
    clock::Clock,
    config::{Config, Metrics},
    listen::TlsReloader,
    store::Location,
};

const PATIENCE: Duration = Duration::from_secs(3);
/// A certificate that ends sooner should have been renewed: authorities that renew automatically do it a month before.
const RENEWAL: Duration = Duration::from_secs(14 * 86_400);
const LITTLE_SPACE: u64 = 1 << 30;
const NO_SPACE: u64 = 64 << 20;

/// Certificate and key, names and expiry.
pub(super) fn check_tls(config: &Config, clock: &Arc<dyn Clock>, findings: &mut Findings) {
    let Some(files) = config.settings.tls.clone() else {
        return findings.ok("TLS: off (allow_plaintext)");
    };
    let path = files.certificate.display().to_string();
    let cure = format!(
        "openssl x509 -noout -subject -ext subjectAltName -dates -in {path}; replace both files with the pair that was issued together"
    );
    let reloader = match TlsReloader::open(files, Arc::clone(clock)) {
        Ok(reloader) => reloader,
        Err(error) => return findings.problem("TLS: the files cannot be used", error.to_string(), cure),
    };
    let (names, expires) = reloader.certificate();
    let names = if names.is_empty() { "no host name".to_owned() } else { names.join(", ") };
    let (Some(expires), now) = (expires, clock.now()) else {
        return findings.warning(format!("TLS: {path} for {names}"), "its expiry cannot be read", cure);
    };
    let what = format!("TLS: {path} for {names}, until {expires}");
    let renew = "renew the certificate; tokend uses the new files within a second";
    if expires <= now {
        findings.problem(what, "it has expired", renew);
    } else if expires.since(now) < RENEWAL {
        findings.warning(what, "it expires soon", renew);
    } else {
        findings.ok(what);
    }
}

/// Whether each port is free, or held by a running tokend. Returns whether one runs.
pub(super) async fn check_ports(config: &Config, findings: &mut Findings) -> bool {
    let http_tls = config.settings.serving.http_tls;
    let answer = tokio::time::timeout(PATIENCE, check_any(config.http_addr, http_tls)).await;
    // The answers of `/readyz`.
    let answer = answer.ok().and_then(Result::ok).filter(|(status, _)| matches!(status.as_u16(), 200 | 503));
    if let Some((status, body)) = &answer {
        match status.as_u16() {
            200 => findings.ok(format!("a server is running and ready at {}", config.http_addr)),
            _ => findings.warning(
                format!("a server is running at {} and is not ready", config.http_addr),
                body.lines().collect::<Vec<_>>().join("; "),
                "read its log; docs/observability.md, Readiness, lists the causes",
            ),
        }
    }
    let metrics = match config.metrics {
        Metrics::At(address) => Some(("metrics_addr", address)),
        Metrics::Off | Metrics::WithHttp => None,
    };
    let ports = [("grpc_addr", config.grpc_addr), ("http_addr", config.http_addr)];
    for (name, address) in ports.into_iter().chain(metrics) {
        check_port(name, address, answer.is_some(), findings);
    }
    answer.is_some()
}

fn check_port(name: &str, address: SocketAddr, is_running: bool, findings: &mut Findings) {
    let what = |state: &str| format!("{name} {address}: {state}");
    match TcpListener::bind(address) {
        Ok(_) if is_running => findings.warning(
            what("free, although a server runs"),
            "the server has other settings, or stops",
            "give doctor the settings of the server",
        ),
        Ok(_) => findings.ok(what("free")),
        Err(error) if error.kind() == ErrorKind::AddrInUse && is_running => {
            findings.ok(what("held by the running server"));
        }
        Err(error) if error.kind() == ErrorKind::AddrInUse => findings.problem(
            what("another program listens there, or a server that does not answer"),
            error.to_string(),
            format!(
                "ss --listening --tcp --numeric --processes 'sport = :{}'; stop it, or change {name}",
                address.port()
            ),
        ),
        Err(error) => findings.problem(
            what("cannot be listened on"),
            error.to_string(),
            format!("set {name} to an address of this machine; a port below 1024 needs CAP_NET_BIND_SERVICE"),
        ),
    }
}

/// The space on the disks that are written.
pub(super) fn check_disks(config: &Config, findings: &mut Findings) {
    let store = match &config.settings.store {
        Location::Sqlite(path) => Some(("store", path.as_path())),
        Location::Memory | Location::Postgres(_) => None,
    };
    let audit = config.settings.audit.sinks.iter().filter_map(|sink| match sink {
        SinkSettings::File(path) => Some(("audit_file", path.as_path())),
        SinkSettings::Stdout | SinkSettings::Postgres(_) => None,
    });
    for (name, path) in store.into_iter().chain(audit) {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let place = format!("{name}: {}", folder.display());
        let free = match rustix::fs::statvfs(folder) {
            Ok(found) => found.f_bavail.saturating_mul(found.f_frsize),
            Err(error) => {
                findings.problem(place, error.to_string(), "create the folder, for the user of the server");
                continue;
            }
        };
        let what = format!("{place}: {} MiB free", free >> 20);
        let cure = format!("df --human-readable {}; free some space", folder.display());
        if free < NO_SPACE {
            findings.problem(what, "the disk is full", cure);
        } else if free < LITTLE_SPACE {
            findings.warning(what, "the disk is almost full", cure);
        } else {
            findings.ok(what);
        }
    }
}
