//! How the process is asked to stop.

use std::{future::Future, io, process, time::Duration};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::oneshot,
};

use super::output::last_words;

/// How long the process waits at its end for threads that are not done.
pub(super) const LAST_MOMENT: Duration = Duration::from_secs(1);

/// Resolves at the first SIGTERM or SIGINT; a second one ends the process at once. Handlers are in place when this
/// returns, so that no signal is lost, and a second one is heeded whatever the process waits for.
///
/// # Errors
/// When the handlers cannot be set.
pub(super) fn shutdown() -> io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (first, asked) = oneshot::channel();
    tokio::spawn(async move {
        either(&mut terminate, &mut interrupt).await;
        let _ = first.send(());
        either(&mut terminate, &mut interrupt).await;
        last_words("stopped at once by a second signal");
        process::exit(1);
    });
    Ok(async move {
        // It is gone only when the process ends.
        let _ = asked.await;
    })
}

/// Has a file that is as long as this process may make one (`ulimit -f`) fail, as on a full disk, where the process would be
/// ended: the audit file, or the store's.
///
/// # Errors
/// When the handler cannot be set.
pub(super) fn outlive_the_longest_file() -> io::Result<()> {
    // Who listens to a signal once is never ended by it any more.
    signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw())).map(drop)
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
