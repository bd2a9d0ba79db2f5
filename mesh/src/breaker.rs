//! Circuit breakers for dependencies outside the mesh, where no proxy ejects a host that is down.
//!
//! A closed breaker passes calls. It opens after a number of consecutive failures, or after a time without any response
//! (silence), and then rejects calls at once. After a pause it is half-open: a few calls pass as probes, and their
//! outcomes close it or open it again.
//!
//! There is no background task: the clock is read when a call starts or ends and when a [`Report`] is made. An open
//! breaker whose pause is over therefore still reads as open, in reports and metrics, until the first probe starts.

mod circuit;
mod observer;
mod outcome;
mod registry;

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use circuit::{AdmittedCall, Circuit};
use outcome::Outcome;
pub use registry::Breakers;

/// The thresholds for opening and closing. The defaults are those of the predecessor: 5 failures, a pause of 60 s, 3
/// successes, a timeout of 30 s.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Number of consecutive failures that open it; one success resets the count.
    pub failures: NonZeroU32,
    /// Time without a success that also opens it, counted from the first call that started after the last success, if a
    /// call timed out in this time. No call's deadline is later than the end of this time, so that an unresponsive peer
    /// is detected then and not a whole [`deadline`](Self::deadline) later.
    pub silence: Option<Duration>,
    /// Time from opening to half-open.
    pub pause: Duration,
    /// Maximum number of concurrent calls while half-open; further ones are rejected.
    pub probes: NonZeroU32,
    /// Number of successes while half-open that close it.
    pub successes: NonZeroU32,
    /// Timeout of one call.
    pub deadline: Duration,
}

/// The state of a circuit breaker. The numbers are the values of the gauge `circuit_breaker_state`, which shows a
/// half-open one as open until a probe has succeeded: it does not alternate while the dependency is down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CircuitState {
    /// All calls pass.
    Closed = 0,
    /// All calls are rejected.
    Open = 1,
    /// A limited number of calls pass as probes.
    HalfOpen = 2,
}

/// A snapshot of a breaker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// `<role>/<breaker>`.
    pub name: Arc<str>,
    /// The state.
    pub state: CircuitState,
    /// Failures since the last success. Calls that started in an earlier state do not count.
    pub failures: u32,
    /// Successes towards closing; 0 unless half-open.
    pub successes: u32,
    /// Counts since the breaker was registered or reset.
    pub totals: Totals,
    /// Time since the last change of state.
    pub since: Duration,
    /// Time since it opened, also while it is half-open; `None` while it is closed.
    pub open_for: Option<Duration>,
    /// Time until a probe passes, from 0; `None` unless open.
    pub next_probe: Option<Duration>,
    /// Changes of state since the breaker was registered or reset.
    pub changes: u64,
    /// The thresholds for opening and closing.
    pub settings: Settings,
}

/// Counts of calls through one breaker.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Calls that passed and have ended: successes, failures, and calls abandoned by their callers.
    pub calls: u64,
    /// Calls that succeeded.
    pub successes: u64,
    /// Calls that failed or timed out.
    pub failures: u64,
    /// Calls that were rejected; not included in `calls`.
    pub rejected: u64,
}

/// The breaker rejected a call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("circuit breaker {breaker} is open, retry in {retry_after:?}")]
pub struct Open {
    /// The breaker's name.
    pub breaker: Arc<str>,
    /// Time until a call may pass: until the end of the pause or, while half-open, the deadline of the latest probe.
    pub retry_after: Duration,
}

/// Why [`Breaker::call`] returned no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error<E> {
    /// The call was rejected and not started.
    #[error(transparent)]
    Rejected(#[from] Open),
    /// The call was canceled at its deadline.
    #[error("timed out after {after:?}")]
    TimedOut {
        /// The time that the call had.
        after: Duration,
    },
    /// The call returned this error, whether or not the breaker counts it as a failure.
    #[error(transparent)]
    Failed(E),
}

/// A circuit breaker, created by [`Breakers::register`]. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Breaker {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    name: Arc<str>,
    circuit: Mutex<Circuit>,
}

/// The guard of a call that passed. Dropped without an outcome, the call counts as neither success nor failure: its
/// caller abandoned it.
#[derive(Debug)]
#[must_use = "a permit that is dropped reports its call as abandoned"]
pub struct Permit {
    breaker: Breaker,
    call: AdmittedCall,
    outcome: Outcome,
}

// === impl Settings ===

impl Default for Settings {
    fn default() -> Self {
        const FAILURES: NonZeroU32 = NonZeroU32::new(5).expect("5 is not zero");
        const SUCCESSES: NonZeroU32 = NonZeroU32::new(3).expect("3 is not zero");
        Self {
            failures: FAILURES,
            silence: None,
            pause: Duration::from_secs(60),
            probes: NonZeroU32::MIN,
            successes: SUCCESSES,
            deadline: Duration::from_secs(30),
        }
    }
}

// === impl Breaker ===

impl Breaker {
    /// `<role>/<breaker>`.
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// Runs `work` if the breaker passes it, until the deadline at the latest. An error counts as a failure if
    /// `is_failure` returns true; any other error is a response of a healthy peer, such as "bad request", and counts as
    /// a success.
    pub async fn call<T, E>(
        &self,
        work: impl Future<Output = Result<T, E>>,
        is_failure: impl FnOnce(&E) -> bool,
    ) -> Result<T, Error<E>> {
        let start = Instant::now();
        let permit = self.enter()?;
        let Ok(result) = timeout_at(permit.deadline(), work).await else {
            permit.failed();
            return Err(Error::TimedOut { after: start.elapsed() });
        };
        match &result {
            Err(error) if is_failure(error) => permit.failed(),
            _ => permit.succeeded(),
        }
        result.map_err(Error::Failed)
    }

    /// Starts a call, whose outcome the caller reports through the permit, by [`Permit::deadline`] at the latest.
    pub fn enter(&self) -> Result<Permit, Open> {
        match self.circuit().enter(Instant::now()) {
            Ok(call) => Ok(Permit { breaker: self.clone(), call, outcome: Outcome::Ignored }),
            Err(retry_after) => Err(Open { breaker: Arc::clone(&self.shared.name), retry_after }),
        }
    }

    /// Opens the breaker manually, until the end of the pause or [`Breaker::reset`]. An open breaker restarts its
    /// pause.
    pub fn open(&self) {
        self.circuit().open_manually(Instant::now());
    }

    /// Restores the initial state: closed, with all counts at zero. Calls in flight no longer count towards opening.
    /// The metrics are not reset, because counters must not decrease.
    pub fn reset(&self) {
        self.circuit().reset(Instant::now());
    }

    /// A snapshot of its present state.
    pub fn report(&self) -> Report {
        self.circuit().report(Arc::clone(&self.shared.name), Instant::now())
    }

    /// The state and its changes from now on. A slow receiver may miss changes, but never the latest.
    pub fn changes(&self) -> watch::Receiver<CircuitState> {
        self.circuit().changes()
    }

    fn new(name: Arc<str>, circuit: Circuit) -> Self {
        Self { shared: Arc::new(Shared { name, circuit: Mutex::new(circuit) }) }
    }

    fn circuit(&self) -> MutexGuard<'_, Circuit> {
        self.shared.circuit.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Permit ===

impl Permit {
    /// The deadline of the call. A failure at or after it counts as a timeout.
    pub fn deadline(&self) -> Instant {
        self.call.deadline
    }

    /// Reports a success.
    pub fn succeeded(mut self) {
        self.outcome = Outcome::Success;
    }

    /// Reports a failure or a timeout.
    pub fn failed(mut self) {
        self.outcome = Outcome::Failure;
    }

    /// Reports that the call shows nothing about the peer; the same as dropping the permit.
    pub fn ignored(self) {}
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.breaker.circuit().end(self.call, self.outcome, Instant::now());
    }
}

#[cfg(test)]
mod tests;
