//! Resets response streams whose client stopped reading: after the deadline of the call, and earlier if it takes
//! nothing for a while.
//!
//! hyper does not poll a response body while the client's flow-control window is closed, so that the body cannot end
//! itself. The task that polls it, one per HTTP/2 stream or HTTP/1 connection, therefore runs under a watchdog: the
//! call arms it with its deadline, and the body with the time until which the next piece must be taken. Then the task
//! is dropped, which resets the stream.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::rt::Executor;
use pin_project_lite::pin_project;
use tokio::task::futures::TaskLocalFuture;
use tokio::time::{Instant, Sleep};

/// Time that a response whose client reads gets to end itself properly.
const GRACE: Duration = Duration::from_secs(1);

tokio::task_local! {
    static WATCHDOG: Watchdog;
}

/// When the current call must end; shared by a task and the call that it serves. One call at a time, because requests
/// of an HTTP/1 connection are served in sequence.
#[derive(Debug, Clone, Default)]
pub(crate) struct Watchdog(Arc<Mutex<Ends>>);

#[derive(Debug, Default)]
struct Ends {
    deadline: Option<Instant>,
    /// Until when the client must take the piece that it was handed.
    piece: Option<Instant>,
}

/// The watchdog is armed until this is dropped.
#[derive(Debug)]
#[must_use = "dropping it disarms the watchdog"]
pub(crate) struct Armed(Watchdog);

// === impl Watchdog ===

impl Watchdog {
    /// That of the task that serves the current call; `None` where there is none.
    pub(crate) fn current() -> Option<Self> {
        WATCHDOG.try_with(Watchdog::clone).ok()
    }

    /// The client must take the piece that it was handed within this time.
    pub(crate) fn handed(&self, idle: Duration) {
        self.ends().piece = Instant::now().checked_add(idle);
    }

    /// The client has taken all pieces, or the response has ended.
    pub(crate) fn taken(&self) {
        self.ends().piece = None;
    }

    fn ends(&self) -> MutexGuard<'_, Ends> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self) -> Option<Instant> {
        let Ends { deadline, piece } = *self.ends();
        deadline.map(|deadline| deadline + GRACE).into_iter().chain(piece).min()
    }
}

impl Drop for Armed {
    fn drop(&mut self) {
        self.0.ends().deadline = None;
    }
}

/// Arms the watchdog of the task that serves the current call; `None` where there is none.
pub(crate) fn arm(deadline: Instant) -> Option<Armed> {
    let watchdog = Watchdog::current()?;
    watchdog.ends().deadline = Some(deadline);
    Some(Armed(watchdog))
}

pin_project! {
    /// A future under a watchdog: `None` when a call that it served overran its deadline, or its client stopped
    /// reading.
    pub(crate) struct Watched<F> {
        #[pin]
        inner: TaskLocalFuture<Watchdog, F>,
        watchdog: Watchdog,
        #[pin]
        timer: Sleep,
    }
}

// === impl Watched ===

impl<F: Future> Watched<F> {
    pub(crate) fn new(inner: F) -> Self {
        Self::by(Watchdog::default(), inner)
    }

    /// The future under a watchdog that it had before.
    pub(crate) fn by(watchdog: Watchdog, inner: F) -> Self {
        Self { inner: WATCHDOG.scope(watchdog.clone(), inner), watchdog, timer: tokio::time::sleep(GRACE) }
    }
}

impl<F: Future> Future for Watched<F> {
    type Output = Option<F::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if let Poll::Ready(output) = this.inner.poll(cx) {
            return Poll::Ready(Some(output));
        }
        loop {
            let Some(end) = this.watchdog.end() else { return Poll::Pending };
            // A timer that is too early is set again when it fires, and not with each piece.
            if end < this.timer.deadline() {
                this.timer.as_mut().reset(end);
            }
            ready!(this.timer.as_mut().poll(cx));
            if end <= this.timer.deadline() {
                return Poll::Ready(None);
            }
            this.timer.as_mut().reset(end);
        }
    }
}

/// Runs the streams of HTTP/2 connections, each under a watchdog.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WatchdogExecutor;

impl<F> Executor<F> for WatchdogExecutor
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, stream: F) {
        tokio::spawn(Watched::new(stream));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_task_ends_a_moment_after_the_deadline_of_its_call() {
        let second = Duration::from_secs(1);
        let check = async |work: Duration, stays_armed: bool, expected: Option<()>, took: Duration| {
            let start = Instant::now();
            let task = Watched::new(async {
                let armed = arm(Instant::now() + 5 * second);
                assert!(armed.is_some());
                let _armed = armed.filter(|_| stays_armed);
                tokio::time::sleep(work).await;
            });
            assert_eq!(task.await, expected);
            assert_eq!(start.elapsed(), took);
        };
        check(4 * second, true, Some(()), 4 * second).await;
        check(9 * second, true, None, 6 * second).await;
        check(9 * second, false, Some(()), 9 * second).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_ends_when_the_client_does_not_take_a_piece() {
        let second = Duration::from_secs(1);
        let task = Watched::new(async {
            let watchdog = Watchdog::current().unwrap();
            for _ in 0..5 {
                watchdog.handed(3 * second);
                tokio::time::sleep(2 * second).await;
                watchdog.taken();
                tokio::time::sleep(9 * second).await;
            }
            watchdog.handed(3 * second);
            tokio::time::sleep(9 * second).await;
        });
        let start = Instant::now();
        assert_eq!(task.await, None);
        assert_eq!(start.elapsed(), 58 * second);
    }

    #[tokio::test(start_paused = true)]
    async fn outside_of_a_task_there_is_no_watchdog() {
        assert!(arm(Instant::now()).is_none());
    }
}
