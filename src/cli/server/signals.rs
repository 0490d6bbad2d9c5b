//! The signals of a server.

use std::{future::Future, io, process, time::Duration};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::oneshot,
};

use crate::cli::output::final_message;

/// How long the process waits at its end for running threads.
pub(super) const THREAD_TIMEOUT: Duration = Duration::from_secs(1);

/// Resolves at the first SIGTERM or SIGINT; a second signal ends the process immediately. The handlers are installed when this
/// function returns, so that no signal is lost.
pub(super) fn shutdown() -> io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (first, asked) = oneshot::channel();
    tokio::spawn(async move {
        either(&mut terminate, &mut interrupt).await;
        let _ = first.send(());
        either(&mut terminate, &mut interrupt).await;
        final_message("stopped immediately by a second signal");
        process::exit(1);
    });
    Ok(async move {
        // The sender is dropped only when the process ends.
        let _ = asked.await;
    })
}

/// Makes a write beyond the file size limit (`ulimit -f`) fail as on a full disk, instead of ending the process.
pub(super) fn ignore_file_size_signal() -> io::Result<()> {
    // Once a handler is installed, the signal never ends the process.
    signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw())).map(drop)
}

/// Receives each SIGHUP, with which operators announce changed files. The signal then no longer ends the process.
pub(super) fn hangups() -> io::Result<Signal> {
    signal(SignalKind::hangup())
}

async fn either(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
