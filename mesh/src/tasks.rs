//! Supervised background tasks. Each has a name, under which it logs, and declares what its end means for the process.
//!
//! A bare `tokio::spawn` would lose a panic: the rest of the process would go on, ready, without the task.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::Instrument;

use crate::backoff::Backoff;
use crate::metrics::{Metrics, TaskMetrics};
use crate::panics::{self, Panic};
use crate::readiness::Readiness;

/// A task that ran this long before it panicked starts again after the shortest backoff.
const STABLE: Duration = Duration::from_secs(60);

/// What the end of a task means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnExit {
    /// The process cannot work without it: it becomes unready, drains, and ends with an error. The task may end only
    /// after the shutdown has started.
    Fail,
    /// After a panic the task restarts, with backoff. It may end by itself.
    Restart,
    /// A panic is logged. It may end by itself.
    Log,
}

/// A background task that has not started.
#[must_use = "a task runs once it is spawned"]
pub struct Task {
    name: &'static str,
    on_exit: OnExit,
    start: Start,
}

enum Start {
    Once(BoxFuture<'static, ()>),
    Again(Box<dyn FnMut() -> BoxFuture<'static, ()> + Send>),
}

/// The supervisor of a process's tasks. Cheap to clone; the tasks are canceled with the last clone.
#[derive(Debug, Clone)]
pub struct Tasks(Arc<Supervisor>);

#[derive(Debug)]
struct Supervisor {
    reporter: Reporter,
    /// Cancels every task when it is dropped.
    _end: DropGuard,
    end: CancellationToken,
}

/// Reports the end of a task.
#[derive(Debug, Clone)]
struct Reporter {
    /// Canceled when the shutdown starts.
    stop: CancellationToken,
    readiness: Readiness,
    metrics: TaskMetrics,
    failure: watch::Sender<Option<Failure>>,
}

/// An essential task has ended.
#[derive(Debug, Clone, thiserror::Error)]
#[error("essential task {task:?} {how}")]
pub struct Failure {
    /// Its name.
    pub task: &'static str,
    /// `ended`, or `panicked at LOCATION: MESSAGE`.
    pub how: String,
}

// === impl Task ===

impl Task {
    /// A task of [`OnExit::Fail`].
    pub fn essential(name: &'static str, future: impl Future<Output = ()> + Send + 'static) -> Self {
        Self { name, on_exit: OnExit::Fail, start: Start::Once(Box::pin(future)) }
    }

    /// A task of [`OnExit::Restart`]; `make` creates its future at each start.
    pub fn restarting<F>(name: &'static str, mut make: impl FnMut() -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let start = Start::Again(Box::new(move || Box::pin(make())));
        Self { name, on_exit: OnExit::Restart, start }
    }

    /// A task of [`OnExit::Log`].
    pub fn logged(name: &'static str, future: impl Future<Output = ()> + Send + 'static) -> Self {
        Self { name, on_exit: OnExit::Log, start: Start::Once(Box::pin(future)) }
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// What its end means.
    pub fn on_exit(&self) -> OnExit {
        self.on_exit
    }

    /// Runs it without a supervisor, to its end: for work that must finish although its owner is gone, and for clients.
    /// Must be called within a runtime.
    pub fn detach(self) {
        tokio::spawn(supervise(self, None));
    }
}

// === impl Tasks ===

impl Tasks {
    /// A supervisor that makes the process unready when an essential task ends before `stop` is canceled.
    pub fn new(stop: CancellationToken, readiness: Readiness, metrics: &Metrics) -> Self {
        let end = CancellationToken::new();
        let (failure, metrics) = (watch::Sender::new(None), metrics.tasks());
        let reporter = Reporter { stop, readiness, metrics, failure };
        Self(Arc::new(Supervisor { reporter, _end: end.clone().drop_guard(), end }))
    }

    /// Runs a task in the background. Must be called within a runtime.
    pub fn spawn(&self, task: Task) {
        let reporter = self.0.reporter.clone();
        reporter.metrics.started(task.name);
        let end = self.0.end.clone();
        tokio::spawn(async move { end.run_until_cancelled(supervise(task, Some(reporter))).await });
    }

    /// Resolves when an essential task has ended before the shutdown started.
    pub async fn failed(&self) -> Failure {
        let mut failure = self.0.reporter.failure.subscribe();
        let found = failure.wait_for(Option::is_some).await;
        let found = found.expect("`self` owns the sender");
        found.clone().expect("`wait_for` checked it")
    }
}

/// Runs a task to its end.
async fn supervise(task: Task, reporter: Option<Reporter>) {
    let Task { name, on_exit, start } = task;
    // For the log only: a target of its own keeps it out of traces, in which a task without end has no place.
    let span = tracing::info_span!(target: "task", "task", task = name);
    let panicked = match start {
        Start::Once(future) => panics::catch(future).instrument(span.clone()).await.err(),
        Start::Again(mut make) => {
            let mut backoff = Backoff::default();
            loop {
                let start = Instant::now();
                // Within the future, so that a panic of `make` is one of the task too.
                let run = panics::catch(async { make().await }).instrument(span.clone());
                let Err(panic) = run.await else { break None };
                report(&span, name, &panic, "restarting");
                if let Some(reporter) = &reporter {
                    reporter.metrics.restarted(name);
                }
                if start.elapsed() >= STABLE {
                    backoff.reset();
                }
                backoff.wait().await;
            }
        }
    };
    if let Some(panic) = &panicked {
        report(&span, name, panic, "ended");
    }
    if let Some(reporter) =
        reporter.filter(|reporter| on_exit == OnExit::Fail && !reporter.stop.is_cancelled())
    {
        let how = panicked.map_or_else(|| "ended".to_owned(), |panic| panic.to_string());
        reporter.fail(Failure { task: name, how });
    }
}

fn report(span: &tracing::Span, task: &'static str, panic: &Panic, outcome: &'static str) {
    let _entered = span.enter();
    let Panic { message, location, backtrace } = panic;
    tracing::error!(task, panic = message, location, backtrace, outcome, "task: panicked");
}

// === impl Reporter ===

impl Reporter {
    fn fail(&self, failure: Failure) {
        tracing::error!(task = failure.task, how = failure.how, "task: essential task ended, shutting down");
        self.readiness.drain();
        self.failure.send_if_modified(|first| {
            let is_first = first.is_none();
            first.get_or_insert(failure);
            is_first
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    struct Fixture {
        tasks: Tasks,
        readiness: Readiness,
        stop: CancellationToken,
        metrics: Metrics,
    }

    fn fixture() -> Fixture {
        let (stop, readiness, metrics) = (CancellationToken::new(), Readiness::default(), Metrics::default());
        let tasks = Tasks::new(stop.clone(), readiness.clone(), &metrics);
        drop(readiness.latch());
        assert!(readiness.ready());
        Fixture { tasks, readiness, stop, metrics }
    }

    #[tokio::test]
    async fn the_end_of_an_essential_task_makes_the_process_unready_and_fails_it() {
        let essential: [(BoxFuture<'static, ()>, &str); 2] = [
            (Box::pin(async {}), "essential task \"one\" ended"),
            (Box::pin(async { panic!("out of luck") }), "out of luck"),
        ];
        for (future, expected) in essential {
            let Fixture { tasks, readiness, .. } = fixture();
            tasks.spawn(Task::essential("one", future));
            let failure = tasks.failed().await.to_string();
            assert!(failure.contains(expected), "{failure}");
            assert!(!readiness.ready());
        }
    }

    #[tokio::test]
    async fn an_essential_task_may_end_once_the_process_stops() {
        let Fixture { tasks, readiness, stop, .. } = fixture();
        let (ended, end) = tokio::sync::oneshot::channel::<()>();
        let stopping = stop.clone();
        tasks.spawn(Task::essential("one", async move {
            stopping.cancelled().await;
            drop(ended);
        }));
        stop.cancel();
        assert!(end.await.is_err());
        // No failure was reported.
        assert!(readiness.ready());
        assert!(tasks.0.reporter.failure.borrow().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_panics_restarts_with_backoff_until_it_ends_by_itself() {
        let Fixture { tasks, readiness, metrics, .. } = fixture();
        let (start, tries) = (Instant::now(), Arc::new(AtomicU32::new(0)));
        let (done, finished) = tokio::sync::oneshot::channel();
        let (counted, mut done) = (Arc::clone(&tries), Some(done));
        tasks.spawn(Task::restarting("flaky", move || {
            let tries = counted.fetch_add(1, Ordering::Relaxed);
            assert_ne!(tries, 0, "the first start panics before there is a future");
            let done = (tries == 3).then(|| done.take()).flatten();
            async move {
                let done = done.expect("not this time");
                done.send(()).expect("the test waits");
            }
        }));
        finished.await.unwrap();
        assert_eq!(tries.load(Ordering::Relaxed), 4);
        // 100, 200 and 400 ms, +/- 50 %.
        let waited = start.elapsed();
        assert!((Duration::from_millis(350)..Duration::from_millis(1100)).contains(&waited), "{waited:?}");
        assert!(readiness.ready());
        assert!(metrics.encode().contains("task_restarts_total{task=\"flaky\"} 3\n"), "{}", metrics.encode());
    }

    #[tokio::test]
    async fn tasks_end_with_their_supervisor() {
        let Fixture { tasks, .. } = fixture();
        let (guard, end) = tokio::sync::oneshot::channel::<()>();
        tasks.spawn(Task::logged("endless", async move {
            let _guard = guard;
            std::future::pending::<()>().await;
        }));
        drop(tasks);
        assert!(end.await.is_err());
    }
}
