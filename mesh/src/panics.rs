//! Panics. The hook writes them to the log in its format, never as plain text to standard error, and counts them. Where
//! a panic is caught, the code that catches it writes the log record instead, because it knows the context.

use std::any::Any;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::cell::{Cell, RefCell};
use std::fmt;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::pin::pin;
use std::task::Poll;

use crate::metrics::Metrics;
use crate::propagation::CallHeaders;
use crate::status::{Describe, Kind};

/// The facts of a panic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Panic {
    /// The message of the panic.
    pub message: String,
    /// `FILE:LINE:COLUMN`; none without the hook.
    pub location: Option<String>,
    /// The backtrace, if `RUST_BACKTRACE` enables it.
    pub backtrace: Option<String>,
}

/// The error that the caller of code that panicked receives.
#[derive(Debug, Clone, Copy, thiserror::Error)]
pub enum Error {
    /// The code panicked; only the log has the cause.
    #[error("internal failure")]
    Panicked,
}

/// The panic of a blocking thread until its caller takes it; logged, in the caller's span, if none does.
struct Unhandled {
    panic: Option<Panic>,
    span: tracing::Span,
}

thread_local! {
    /// Number of frames of [`caught`] on this thread's stack.
    static CATCHING: Cell<usize> = const { Cell::new(0) };
    /// The latest panic that the hook recorded, for the code that catches it.
    static SEEN: RefCell<Option<Panic>> = const { RefCell::new(None) };
}

/// Installs the panic hook, which logs the panics of this process and counts them in `metrics`. The last call wins.
pub fn install(metrics: &Metrics) {
    let panics = metrics.panics();
    panic::set_hook(Box::new(move |info| {
        panics.inc();
        let seen = Panic::of(info);
        if CATCHING.get() > 0 {
            SEEN.set(Some(seen));
        } else {
            seen.log();
        }
    }));
}

/// Runs a future to its end, or to its panic.
///
/// # Errors
///
/// [`Panic`]; the hook has not logged it.
pub async fn catch<F: Future>(future: F) -> Result<F::Output, Panic> {
    let mut future = pin!(future);
    std::future::poll_fn(|cx| match caught(|| future.as_mut().poll(cx)) {
        Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
        Ok(Poll::Pending) => Poll::Pending,
        Err(panic) => Poll::Ready(Err(panic)),
    })
    .await
}

/// Runs `work` and catches a panic. State that `work` has modified must not be used after a panic.
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
        // A panic of another thread that was resumed here.
        Ok(panic) => *panic,
        Err(payload) => SEEN.take().unwrap_or_else(|| Panic {
            message: message(&*payload).to_owned(),
            location: None,
            backtrace: None,
        }),
    })
}

/// Resumes a panic that was caught elsewhere, without another record or count of the hook.
pub fn resume(panic: Panic) -> ! {
    panic::resume_unwind(Box::new(panic))
}

/// Runs `work` on a blocking thread, within the current call. A panic of `work` resumes in the caller, or is logged if the caller is gone. Must
/// be called within a runtime.
pub fn spawn_blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> impl Future<Output = T> + Send + 'static {
    let (span, call) = (tracing::Span::current(), CallHeaders::current());
    let done = tokio::task::spawn_blocking(|| {
        let result = span.in_scope(|| caught(|| call.run(work)));
        result.map_err(|panic| Unhandled { panic: Some(panic), span })
    });
    async move {
        match done.await {
            Ok(Ok(output)) => output,
            Ok(Err(mut unhandled)) => resume(unhandled.panic.take().expect("it is taken once")),
            // The runtime shuts down, and cancels its tasks.
            Err(_) => std::future::pending().await,
        }
    }
}

fn message(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

// === impl Error ===

impl Describe for Error {
    fn domain(&self) -> &'static str {
        "dataflow.mesh.v1"
    }

    fn kind(&self) -> Kind {
        match self {
            Error::Panicked => Kind::Internal,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Error::Panicked => "PANIC",
        }
    }
}

// === impl Unhandled ===

impl Drop for Unhandled {
    fn drop(&mut self) {
        if let Some(panic) = self.panic.take() {
            self.span.in_scope(|| panic.log());
        }
    }
}

// === impl Panic ===

impl Panic {
    /// Logs a panic that nothing else handles.
    fn log(&self) {
        let Panic { message, location, backtrace } = self;
        let thread = std::thread::current();
        let thread = thread.name().unwrap_or_default();
        tracing::error!(panic = message, location, backtrace, thread, "thread: panicked");
    }

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
