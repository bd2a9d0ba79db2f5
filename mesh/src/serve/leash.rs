//! Lets go of answers that nobody takes, once the call's time is up.
//!
//! hyper does not poll an answer while the caller's flow-control window is closed, so that the answer cannot end itself
//! by its deadline. What polls the answer, a task per HTTP/2 stream or HTTP/1 connection, runs on a leash instead: the
//! call says until when, and a moment later the task is dropped, which resets the stream.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::rt::Executor;
use pin_project_lite::pin_project;
use tokio::task::futures::TaskLocalFuture;
use tokio::time::{Instant, Sleep};

/// What an answer whose caller reads gets to end itself properly.
const GRACE: Duration = Duration::from_secs(1);

tokio::task_local! {
    static LEASH: Leash;
}

/// Until when the current call may last; shared by a task and the call that it serves. One at a time, since requests of
/// an HTTP/1 connection are served in turn.
#[derive(Debug, Clone, Default)]
struct Leash(Arc<Mutex<Option<Instant>>>);

/// The current call lasts no longer than a moment after its deadline, until this is dropped.
#[derive(Debug)]
#[must_use = "dropped, it does not hold"]
pub(crate) struct Leashed(Leash);

// === impl Leash ===

impl Leash {
    fn get(&self) -> Option<Instant> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, end: Option<Instant>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = end;
    }
}

impl Drop for Leashed {
    fn drop(&mut self) {
        self.0.set(None);
    }
}

/// Bounds the task that serves the current call; `None` outside of one.
pub(crate) fn until(end: Instant) -> Option<Leashed> {
    let leash = LEASH.try_with(Leash::clone).ok()?;
    leash.set(Some(end));
    Some(Leashed(leash))
}

pin_project! {
    /// A future on a leash: `None` when a call that it served overran.
    pub(super) struct OnLeash<F> {
        #[pin]
        inner: TaskLocalFuture<Leash, F>,
        leash: Leash,
        #[pin]
        end: Sleep,
    }
}

// === impl OnLeash ===

impl<F: Future> OnLeash<F> {
    pub(super) fn new(inner: F) -> Self {
        let leash = Leash::default();
        Self { inner: LEASH.scope(leash.clone(), inner), leash, end: tokio::time::sleep(GRACE) }
    }
}

impl<F: Future> Future for OnLeash<F> {
    type Output = Option<F::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if let Poll::Ready(output) = this.inner.poll(cx) {
            return Poll::Ready(Some(output));
        }
        let Some(end) = this.leash.get().map(|end| end + GRACE) else { return Poll::Pending };
        if this.end.deadline() != end {
            this.end.as_mut().reset(end);
        }
        ready!(this.end.poll(cx));
        Poll::Ready(None)
    }
}

/// Runs the streams of HTTP/2 connections, each on a leash.
#[derive(Debug, Clone, Copy)]
pub(super) struct LeashExecutor;

impl<F> Executor<F> for LeashExecutor
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, stream: F) {
        tokio::spawn(OnLeash::new(stream));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_task_ends_a_moment_after_its_calls_deadline() {
        let second = Duration::from_secs(1);
        let check = async |work: Duration, holds: bool, expected: Option<()>, took: Duration| {
            let begun = Instant::now();
            let task = OnLeash::new(async {
                let leashed = until(Instant::now() + 5 * second);
                assert!(leashed.is_some());
                let _leashed = leashed.filter(|_| holds);
                tokio::time::sleep(work).await;
            });
            assert_eq!(task.await, expected);
            assert_eq!(begun.elapsed(), took);
        };
        check(4 * second, true, Some(()), 4 * second).await;
        check(9 * second, true, None, 6 * second).await;
        check(9 * second, false, Some(()), 9 * second).await;
    }

    #[tokio::test(start_paused = true)]
    async fn outside_of_a_task_there_is_no_leash() {
        assert!(until(Instant::now()).is_none());
    }
}
