//! Panics. The hook writes them into the log in use, never as plain text to standard error, and counts them. Where a panic
//! is caught, the one who catches it writes the record instead, since it knows what was being done.

use std::any::Any;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::cell::{Cell, RefCell};
use std::fmt;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::pin::pin;
use std::task::Poll;

use crate::metrics::Metrics;

/// What is known of a panic that was caught.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Panic {
    /// What the code said.
    pub message: String,
    /// `FILE:LINE:COLUMN`; none without the hook.
    pub location: Option<String>,
    /// Where `RUST_BACKTRACE` asks for one.
    pub backtrace: Option<String>,
}

thread_local! {
    /// How many times [`caught`] is on this thread's stack.
    static CATCHING: Cell<usize> = const { Cell::new(0) };
    /// What the hook saw last, for the one who catches it.
    static SEEN: RefCell<Option<Panic>> = const { RefCell::new(None) };
}

/// Sends the panics of this process to its log and counts them in `metrics`. The last call counts.
pub fn install(metrics: &Metrics) {
    let panics = metrics.panics();
    panic::set_hook(Box::new(move |info| {
        panics.inc();
        let seen = Panic::of(info);
        if CATCHING.get() > 0 {
            SEEN.set(Some(seen));
        } else {
            let Panic { message, location, backtrace } = seen;
            let thread = std::thread::current();
            let thread = thread.name().unwrap_or_default();
            tracing::error!(panic = message, location, backtrace, thread, "thread: panicked");
        }
    }));
}

/// Runs a future to its end, or to its panic.
///
/// # Errors
///
/// [`Panic`]; the hook has not logged it.
pub(crate) async fn catch<F: Future>(future: F) -> Result<F::Output, Panic> {
    let mut future = pin!(future);
    std::future::poll_fn(|cx| match caught(|| future.as_mut().poll(cx)) {
        Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
        Ok(Poll::Pending) => Poll::Pending,
        Err(panic) => Poll::Ready(Err(panic)),
    })
    .await
}

/// Runs `work`, or finds out why it panicked. What it leaves behind must not be used again.
///
/// # Errors
///
/// [`Panic`]; the hook has not logged it.
pub fn caught<T>(work: impl FnOnce() -> T) -> Result<T, Panic> {
    struct Depth;

    impl Drop for Depth {
        fn drop(&mut self) {
            CATCHING.set(CATCHING.get() - 1);
        }
    }

    CATCHING.set(CATCHING.get() + 1);
    let _depth = Depth;
    panic::catch_unwind(AssertUnwindSafe(work)).map_err(|payload| match payload.downcast::<Panic>() {
        // It was caught on another thread, and goes on here.
        Ok(panic) => *panic,
        Err(payload) => SEEN.take().unwrap_or_else(|| Panic {
            message: message(&*payload).to_owned(),
            location: None,
            backtrace: None,
        }),
    })
}

/// Runs `work` on a thread that may block. A panic in there goes on in the caller, as if the work had been done here.
/// Must be called within a runtime.
pub fn spawn_blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> impl Future<Output = T> + Send + 'static {
    let done = tokio::task::spawn_blocking(|| caught(work));
    async move {
        match done.await {
            Ok(Ok(output)) => output,
            Ok(Err(panic)) => panic::resume_unwind(Box::new(panic)),
            // The runtime is going down, and its tasks with it.
            Err(_) => std::future::pending().await,
        }
    }
}

fn message<'a>(payload: &'a (dyn Any + Send)) -> &'a str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

// === impl Panic ===

impl Panic {
    fn of(info: &PanicHookInfo<'_>) -> Self {
        let backtrace = Backtrace::capture();
        let is_there = backtrace.status() == BacktraceStatus::Captured;
        Self {
            message: info.payload_as_str().unwrap_or("no message").to_owned(),
            location: info.location().map(ToString::to_string),
            backtrace: is_there.then(|| backtrace.to_string()),
        }
    }
}

impl fmt::Display for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("panicked")?;
        if let Some(location) = &self.location {
            write!(f, " at {location}")?;
        }
        write!(f, ": {}", self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_of_a_panic_is_found() {
        assert_eq!(caught(|| 7), Ok(7));
        assert_eq!(caught(|| -> u8 { panic!("one {}", 2) }).unwrap_err().message, "one 2");
        assert_eq!(caught(|| -> u8 { panic::panic_any(3) }).unwrap_err().message, "no message");
        assert_eq!(CATCHING.get(), 0);
    }

    #[tokio::test]
    async fn a_panic_on_a_blocking_thread_goes_on_in_the_caller() {
        let work = catch(spawn_blocking(|| -> u8 { panic!("below") }));
        assert_eq!(work.await.unwrap_err().message, "below");
        assert_eq!(catch(spawn_blocking(|| 7)).await, Ok(7));
    }
}
