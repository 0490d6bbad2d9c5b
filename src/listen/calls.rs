//! The calls of one connection, and where they run.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use hyper::rt::Executor;

type Call = Pin<Box<dyn Future<Output = ()> + Send>>;

/// For so long calls are begun on the connection's own task, one after the other, before other tasks have their turn. It is some ten
/// ES256 signatures.
const TURN: Duration = Duration::from_micros(200);

/// Runs the calls of one connection.
///
/// A call begins on the task of its connection, when all that the connection has read is taken apart. Most calls that find what they
/// need in memory end there: they cost no task, and their answers leave with one write. A call that waits goes on in a task of its own,
/// and so does each call that has not begun when the turn is over.
#[derive(Clone, Default)]
pub(super) struct Calls(Arc<Mutex<Vec<Call>>>);

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Calls {
    fn execute(&self, call: F) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Box::pin(call));
    }
}

impl Calls {
    /// Drives the connection, and the calls that it begins.
    pub(super) fn serve<C: Future>(
        &self,
        mut connection: Pin<&mut C>,
        context: &mut Context<'_>,
    ) -> Poll<C::Output> {
        loop {
            let polled = connection.as_mut().poll(context);
            let begun = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
            let is_idle = begun.is_empty();
            let turn = Instant::now();
            for mut call in begun {
                if turn.elapsed() >= TURN || !ends_at_once(&mut call) {
                    tokio::spawn(call);
                }
            }
            if polled.is_ready() || is_idle {
                return polled;
            }
        }
    }
}

/// Polls a call once. Nothing has to wake this task for it: a call that goes on is polled by its own task anew. A panic ends the call
/// alone, as it would in a task of its own.
fn ends_at_once(call: &mut Call) -> bool {
    let poll = || call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready();
    catch_unwind(AssertUnwindSafe(poll)).unwrap_or(true)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    use super::*;

    /// What a connection is that begins `left` calls, each of which takes so long, and then waits.
    fn connection(
        calls: &Calls,
        mut left: usize,
        each: Duration,
        done: &Arc<AtomicUsize>,
    ) -> impl Future<Output = ()> {
        let (calls, done) = (calls.clone(), Arc::clone(done));
        std::future::poll_fn(move |_| {
            for _ in 0..std::mem::take(&mut left) {
                let done = Arc::clone(&done);
                calls.execute(async move {
                    let begun = Instant::now();
                    while begun.elapsed() < each {}
                    done.fetch_add(1, SeqCst);
                });
            }
            Poll::Pending
        })
    }

    #[tokio::test]
    async fn calls_that_end_at_once_end_on_the_connection_s_task() {
        let (calls, done) = (Calls::default(), Arc::default());
        let mut connection = Box::pin(connection(&calls, 3, TURN, &done));
        let mut context = Context::from_waker(Waker::noop());
        assert!(calls.serve(connection.as_mut(), &mut context).is_pending());
        assert_eq!(done.load(SeqCst), 1, "more would keep other connections waiting");
        tokio::task::yield_now().await;
        assert_eq!(done.load(SeqCst), 3, "the rest has tasks of its own");
    }

    #[tokio::test]
    #[expect(clippy::panic, reason = "this is what is tried")]
    async fn a_call_that_panics_ends_no_other() {
        let (calls, done) = (Calls::default(), Arc::default());
        calls.execute(async { panic!("a bug") });
        let mut connection = Box::pin(connection(&calls, 1, Duration::ZERO, &done));
        assert!(calls.serve(connection.as_mut(), &mut Context::from_waker(Waker::noop())).is_pending());
        // A panic takes time, which may have been the turn's.
        tokio::task::yield_now().await;
        assert_eq!(done.load(SeqCst), 1);
    }

    #[tokio::test]
    async fn a_call_that_waits_goes_on_without_its_connection() {
        let calls = Calls::default();
        let (answer, answered) = tokio::sync::oneshot::channel();
        calls.execute(async move {
            tokio::task::yield_now().await;
            let _ = answer.send(());
        });
        let mut ended = Box::pin(std::future::ready(()));
        let mut context = Context::from_waker(Waker::noop());
        assert!(calls.serve(ended.as_mut(), &mut context).is_ready());
        assert!(answered.await.is_ok());
    }
}
