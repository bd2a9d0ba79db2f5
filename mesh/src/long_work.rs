//! Work that keeps a processor busy for milliseconds, in the middle of a call: reading or writing a large message. On a
//! thread of the runtime it would delay all other calls of that thread, so the thread passes them on first, and only as
//! many of such works run at once as there are processors. Those that wait are calls with a permit, which bounds them.

use std::sync::LazyLock;

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::Semaphore;

/// Work on fewer bytes than this takes about a millisecond at most.
const SHORT: usize = 128 << 10;

static SEATS: LazyLock<Semaphore> =
    LazyLock::new(|| Semaphore::new(std::thread::available_parallelism().map_or(1, std::num::NonZero::get)));

/// Runs work on so many bytes.
///
/// # Panics
///
/// Outside of a runtime, and where `work` panics.
pub async fn run<T>(bytes: usize, work: impl FnOnce() -> T) -> T {
    if bytes < SHORT {
        return work();
    }
    let _seat = SEATS.acquire().await.expect("the semaphore is never closed");
    in_place(bytes, work)
}

/// The same where there is no waiting for others.
pub(crate) fn in_place<T>(bytes: usize, work: impl FnOnce() -> T) -> T {
    // A runtime of one thread, as in tests, has no other thread for the other calls.
    if bytes < SHORT || Handle::current().runtime_flavor() != RuntimeFlavor::MultiThread {
        return work();
    }
    tokio::task::block_in_place(work)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    /// Work that ends when another task of the same thread has run, and how it ends.
    async fn waits_for_another_task(bytes: usize) -> Result<(), mpsc::RecvTimeoutError> {
        let (sender, receiver) = mpsc::channel();
        tokio::spawn(async move { sender.send(()) });
        // Short work is not waited for: the other task cannot run before it has ended.
        let limit = Duration::from_secs(if bytes < SHORT { 0 } else { 60 });
        run(bytes, move || receiver.recv_timeout(limit)).await
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn other_tasks_of_the_thread_run_meanwhile() {
        // In a task: the future of the test itself is on no thread of the runtime.
        tokio::spawn(waits_for_another_task(SHORT)).await.unwrap().unwrap();
        assert!(tokio::spawn(waits_for_another_task(SHORT - 1)).await.unwrap().is_err());
    }

    #[tokio::test]
    async fn it_runs_on_a_runtime_of_one_thread() {
        assert_eq!(run(SHORT, || 7).await, 7);
    }
}
