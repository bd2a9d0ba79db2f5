//! Circuit breakers: what stands between us and things outside the mesh, where no proxy ejects a dead peer for us.
//!
//! A breaker is closed while calls are answered. It opens when enough of them failed in a row, or when nothing has been
//! answered for too long, and then refuses calls at once. After a pause it is half-open: a few calls go through as
//! probes, and their answers close it or open it again.
//!
//! There is no background task: time is looked at when a call enters or ends and when a [`Report`] is made. An open
//! breaker whose pause is over therefore still reads as open, in reports and metrics, until the first probe enters.

pub mod service;

mod circuit;
mod observer;
mod registry;

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use circuit::{AdmittedCall, Circuit, Outcome};
pub use registry::Breakers;

/// When a breaker opens and closes. The default is the founding one: 5 failures, 60 s, 3 successes, 30 s a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Failures in a row that open; one success sets the count to zero.
    pub failures: NonZeroU32,
    /// Opens, too, once this long has passed without a success since the first call that began after the last one, if
    /// a call ran into its deadline in that time. No call's deadline is later than that moment, so that a peer that
    /// went silent is noticed then and not a whole [`deadline`](Self::deadline) later.
    pub silence: Option<Duration>,
    /// From opening to half-open.
    pub pause: Duration,
    /// Calls at a time while half-open; further ones are refused.
    pub probes: NonZeroU32,
    /// Successes while half-open that close.
    pub successes: NonZeroU32,
    /// The longest that a call may take.
    pub deadline: Duration,
}

/// What a breaker does with calls. The numbers are those of the gauge `circuit_breaker_state`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CircuitState {
    /// Lets all calls through.
    Closed = 0,
    /// Refuses all calls.
    Open = 1,
    /// Lets a few calls through, to see how they fare.
    HalfOpen = 2,
}

/// A breaker at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// `<role>/<breaker>`.
    pub name: Arc<str>,
    /// What it does with calls.
    pub state: CircuitState,
    /// Failures since the last success. Those of calls that began in an earlier state do not count.
    pub failures: u32,
    /// Successes towards closing; 0 unless half-open.
    pub successes: u32,
    /// What was counted since it was registered or reset.
    pub totals: Totals,
    /// How long it has been in this state.
    pub since: Duration,
    /// How long until it lets a probe through, from 0; `None` unless open.
    pub next_probe: Option<Duration>,
    /// Changes of state since it was registered or reset.
    pub changes: u64,
    /// By what it opens and closes.
    pub settings: Settings,
}

/// Calls to one breaker.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Calls that were let through and have ended: successes, failures, and those given up by their callers.
    pub calls: u64,
    /// Calls that were answered.
    pub successes: u64,
    /// Calls that failed or ran into their deadline.
    pub failures: u64,
    /// Calls that were refused; not among `calls`.
    pub rejected: u64,
}

/// A call was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("circuit breaker {breaker} is open, to be tried again in {retry_after:?}")]
pub struct Open {
    /// The breaker's name.
    pub breaker: Arc<str>,
    /// When a call may be let through: at the end of the pause; while half-open, when the latest probe must have ended.
    pub retry_after: Duration,
}

/// Why [`Breaker::call`] has no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error<E> {
    /// The call was refused; nothing was begun.
    #[error(transparent)]
    Rejected(#[from] Open),
    /// The call was cut off at its deadline.
    #[error("no answer after {after:?}")]
    TimedOut {
        /// How long it had.
        after: Duration,
    },
    /// The call ended with this, whether or not the breaker counts it as a failure.
    #[error(transparent)]
    Failed(E),
}

/// A circuit breaker, made by [`Breakers::register`]. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Breaker {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    name: Arc<str>,
    circuit: Mutex<Circuit>,
}

/// A call that was let through. Dropped without a word it counts as neither success nor failure: its caller went away.
#[derive(Debug)]
#[must_use = "a permit that is dropped says that its call was given up"]
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

    /// Does `work` if the breaker lets it, until the deadline at the latest. An error counts as a failure if
    /// `is_failure` says so; any other is an answer, such as "your request is wrong", and so a success.
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

    /// Asks to make a call whose end the caller reports through the permit, by [`Permit::deadline`] at the latest.
    pub fn enter(&self) -> Result<Permit, Open> {
        match self.circuit().enter(Instant::now()) {
            Ok(call) => Ok(Permit { breaker: self.clone(), call, outcome: Outcome::Ignored }),
            Err(retry_after) => Err(Open { breaker: Arc::clone(&self.shared.name), retry_after }),
        }
    }

    /// Opens by hand, until the pause has passed or [`Breaker::reset`]. An open breaker's pause begins anew.
    pub fn open(&self) {
        self.circuit().open_manually(Instant::now());
    }

    /// Makes it what it was when it was registered: closed, with all counts at zero. What is in flight counts no more
    /// towards opening. The metrics keep counting, as counters must.
    pub fn reset(&self) {
        self.circuit().reset(Instant::now());
    }

    /// What it is now.
    pub fn report(&self) -> Report {
        self.circuit().report(Arc::clone(&self.shared.name), Instant::now())
    }

    /// The state, and each change of it from now on. Who is slow may miss changes, never the latest.
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
    /// When the call must be over. A failure at or after it is taken as silence of the peer.
    pub fn deadline(&self) -> Instant {
        self.call.deadline
    }

    /// The call was answered.
    pub fn succeeded(mut self) {
        self.outcome = Outcome::Success;
    }

    /// The call was not answered, or by a failure.
    pub fn failed(mut self) {
        self.outcome = Outcome::Failure;
    }

    /// The call says nothing about the peer; the same as dropping the permit.
    pub fn ignored(self) {}
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.breaker.circuit().end(self.call, self.outcome, Instant::now());
    }
}

#[cfg(test)]
mod tests;
