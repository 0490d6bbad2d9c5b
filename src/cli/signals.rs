//! How the process is asked to stop.

use std::{future::Future, io, process};

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::output::talk;

/// Resolves at the first SIGTERM or SIGINT; a second one ends the process at once. Handlers are in place when this
/// returns, so that no signal is lost.
///
/// # Errors
/// When the handlers cannot be set.
pub(super) fn shutdown() -> io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        either(&mut terminate, &mut interrupt).await;
        tokio::spawn(async move {
            either(&mut terminate, &mut interrupt).await;
            talk("stopped at once by a second signal");
            process::exit(1);
        });
    })
}

/// Resolves at each SIGHUP, by which operators say that files have changed. Once it was called, the signal no longer ends the
/// process.
///
/// # Errors
/// When the handler cannot be set.
pub(super) fn hangups() -> io::Result<Signal> {
    signal(SignalKind::hangup())
}

async fn either(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
