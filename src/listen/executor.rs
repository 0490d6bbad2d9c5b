//! Runs the calls of one connection.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use hyper::rt::Executor;

type CallFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Calls start on the connection's own task for this long, one after the other, before other tasks get their turn: the time of
/// some ten ES256 signatures.
const TIME_BUDGET: Duration = Duration::from_micros(200);

/// Starts calls on the task of their connection.
///
/// A call is polled once when hyper has parsed all that the connection has read. Most calls find what they need in memory and end
/// there: they cost no task, and their responses leave with one write. A call that has to wait continues in a task of its own, as
/// does each call that has not started when the time budget is used up.
#[derive(Clone, Default)]
pub(super) struct CallExecutor(Arc<Mutex<Vec<CallFuture>>>);

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for CallExecutor {
    fn execute(&self, call: F) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Box::pin(call));
    }
}

impl CallExecutor {
    /// Polls the connection, and the calls that it starts.
    pub(super) fn poll<C: Future>(
        &self,
        mut connection: Pin<&mut C>,
        context: &mut Context<'_>,
    ) -> Poll<C::Output> {
        loop {
            let polled = connection.as_mut().poll(context);
            let started = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
            let is_idle = started.is_empty();
            let start = Instant::now();
            for mut call in started {
                if start.elapsed() >= TIME_BUDGET || !completes_at_once(&mut call) {
                    tokio::spawn(call);
                }
            }
            if polled.is_ready() || is_idle {
                return polled;
            }
        }
    }
}

/// Polls a call once, without a waker: a call that is pending is polled again by its own task. A panic ends this call alone, as in a
/// task of its own.
fn completes_at_once(call: &mut CallFuture) -> bool {
    let poll = || call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready();
    catch_unwind(AssertUnwindSafe(poll)).unwrap_or(true)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    use super::*;

    /// A connection that starts `left` calls, each of which takes `each`, and is then pending.
    fn connection(
        executor: &CallExecutor,
        mut left: usize,
        each: Duration,
        done: &Arc<AtomicUsize>,
    ) -> impl Future<Output = ()> {
        let (executor, done) = (executor.clone(), Arc::clone(done));
        std::future::poll_fn(move |_| {
            for _ in 0..std::mem::take(&mut left) {
                let done = Arc::clone(&done);
                executor.execute(async move {
                    let start = Instant::now();
                    while start.elapsed() < each {}
                    done.fetch_add(1, SeqCst);
                });
            }
            Poll::Pending
        })
    }

    #[tokio::test]
    async fn calls_run_on_the_connection_task_within_the_time_budget() {
        let (executor, done) = (CallExecutor::default(), Arc::default());
        let mut connection = Box::pin(connection(&executor, 3, TIME_BUDGET, &done));
        let mut context = Context::from_waker(Waker::noop());
        assert!(executor.poll(connection.as_mut(), &mut context).is_pending());
        assert_eq!(done.load(SeqCst), 1, "more would keep other connections waiting");
        tokio::task::yield_now().await;
        assert_eq!(done.load(SeqCst), 3, "the others run in tasks of their own");
    }

    #[tokio::test]
    #[expect(clippy::panic, reason = "the panic under test")]
    async fn a_call_that_panics_ends_no_other() {
        let (executor, done) = (CallExecutor::default(), Arc::default());
        executor.execute(async { panic!("a bug") });
        let mut connection = Box::pin(connection(&executor, 1, Duration::ZERO, &done));
        assert!(executor.poll(connection.as_mut(), &mut Context::from_waker(Waker::noop())).is_pending());
        // The panic may have used up the time budget.
        tokio::task::yield_now().await;
        assert_eq!(done.load(SeqCst), 1);
    }

    #[tokio::test]
    async fn a_pending_call_outlives_its_connection() {
        let executor = CallExecutor::default();
        let (answer, answered) = tokio::sync::oneshot::channel();
        executor.execute(async move {
            tokio::task::yield_now().await;
            let _ = answer.send(());
        });
        let mut ended = Box::pin(std::future::ready(()));
        let mut context = Context::from_waker(Waker::noop());
        assert!(executor.poll(ended.as_mut(), &mut context).is_ready());
        assert!(answered.await.is_ok());
    }
}
