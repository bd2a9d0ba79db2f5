//! The state machine of one breaker. It is separate from the handles, so that its rules contain neither locks nor
//! clocks: every method takes the time as an argument.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::observer::Observer;
use super::outcome::Outcome;
use super::{CircuitState, Report, Settings, Totals};

/// A call that passed: the facts of its start that are needed at its end.
#[derive(Debug, Clone, Copy)]
pub(super) struct AdmittedCall {
    /// The circuit's epoch when the call started.
    epoch: u64,
    /// The circuit's count of successes when the call started.
    successes_in_epoch: u64,
    /// The deadline of the call.
    pub(super) deadline: Instant,
    /// When the silence that includes the call reaches its limit.
    silence_end: Option<Instant>,
}

/// The state machine.
#[derive(Debug)]
pub(super) struct Circuit {
    settings: Settings,
    phase: Phase,
    since: Instant,
    /// When it opened, until it closes.
    opened: Option<Instant>,
    /// Counts changes of state and resets: a call of an earlier epoch shows nothing about the present one.
    epoch: u64,
    /// Counts successes: a call that started at another count started before the last success.
    successes_in_epoch: u64,
    failures: u32,
    silence: Option<Silence>,
    totals: Totals,
    changes: u64,
    observer: Observer,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    Closed,
    Open {
        until: Instant,
    },
    HalfOpen {
        in_flight: u32,
        successes: u32,
        /// The deadline of the latest probe.
        last_deadline: Instant,
    },
}

/// A time without a success.
#[derive(Debug, Clone, Copy)]
struct Silence {
    /// The start of the first call after the last success.
    since: Instant,
    /// Whether a call timed out in this time.
    timed_out: bool,
}

// === impl Circuit ===

impl Circuit {
    pub(super) fn new(settings: Settings, observer: Observer, now: Instant) -> Self {
        Self {
            settings,
            phase: Phase::Closed,
            since: now,
            opened: None,
            epoch: 0,
            successes_in_epoch: 0,
            failures: 0,
            silence: None,
            totals: Totals::default(),
            changes: 0,
            observer,
        }
    }

    /// Passes a call, or returns the time after which to retry.
    pub(super) fn enter(&mut self, now: Instant) -> Result<AdmittedCall, Duration> {
        self.open_if_silent(now);
        if let Phase::Open { until } = self.phase {
            if now < until {
                return Err(self.reject(until - now));
            }
            let half_open = Phase::HalfOpen { in_flight: 0, successes: 0, last_deadline: now };
            self.transition(half_open, now, format_args!("pause ended"));
        }
        if let Phase::HalfOpen { in_flight, last_deadline, .. } = self.phase
            && in_flight >= self.settings.probes.get()
        {
            return Err(self.reject(last_deadline.saturating_duration_since(now)));
        }
        let silence_end = self.silence_deadline(now);
        let deadline = saturating_add(now, self.settings.deadline);
        let deadline = silence_end.map_or(deadline, |silence_end| deadline.min(silence_end));
        if let Phase::HalfOpen { in_flight, last_deadline, .. } = &mut self.phase {
            *in_flight += 1;
            *last_deadline = deadline;
        }
        Ok(AdmittedCall {
            epoch: self.epoch,
            successes_in_epoch: self.successes_in_epoch,
            deadline,
            silence_end,
        })
    }

    /// Records the outcome of a call.
    pub(super) fn end(&mut self, call: AdmittedCall, outcome: Outcome, now: Instant) {
        self.totals.calls += 1;
        match outcome {
            Outcome::Success => self.totals.successes += 1,
            Outcome::Failure => self.totals.failures += 1,
            Outcome::Ignored => {}
        }
        self.observer.ended(outcome);
        if call.epoch != self.epoch {
            return;
        }
        if let Phase::HalfOpen { in_flight, .. } = &mut self.phase {
            *in_flight -= 1;
        }
        match outcome {
            Outcome::Success => self.succeeded(now),
            Outcome::Failure => self.failed(call, now),
            Outcome::Ignored => {}
        }
    }

    pub(super) fn open_manually(&mut self, now: Instant) {
        match &mut self.phase {
            Phase::Open { until } => *until = saturating_add(now, self.settings.pause),
            _ => self.open(now, format_args!("manually")),
        }
    }

    pub(super) fn reset(&mut self, now: Instant) {
        if !matches!(self.phase, Phase::Closed) {
            self.transition(Phase::Closed, now, format_args!("manually"));
        }
        self.start_epoch(now);
        self.failures = 0;
        self.totals = Totals::default();
        self.changes = 0;
    }

    /// Replaces the settings. Calls in flight keep their deadlines, and an open breaker the end of its pause.
    pub(super) fn set(&mut self, settings: Settings) {
        self.settings = settings;
        self.silence = None;
    }

    pub(super) fn report(&mut self, name: Arc<str>, now: Instant) -> Report {
        self.open_if_silent(now);
        Report {
            name,
            state: self.phase.state(),
            failures: self.failures,
            successes: match self.phase {
                Phase::HalfOpen { successes, .. } => successes,
                _ => 0,
            },
            totals: self.totals,
            since: now.saturating_duration_since(self.since),
            open_for: self.opened.map(|opened| now.saturating_duration_since(opened)),
            next_probe: match self.phase {
                Phase::Open { until } => Some(until.saturating_duration_since(now)),
                _ => None,
            },
            changes: self.changes,
            settings: self.settings,
        }
    }

    pub(super) fn changes(&self) -> watch::Receiver<CircuitState> {
        self.observer.changes()
    }

    /// Opens, as of the end of a silence, when that end has passed while no call was in flight to report it.
    fn open_if_silent(&mut self, now: Instant) {
        if let (Some(limit), Some(Silence { since, timed_out: true })) = (self.settings.silence, self.silence)
        {
            let end = saturating_add(since, limit);
            if end <= now {
                self.open(end, format_args!("no response for {limit:?}"));
            }
        }
    }

    /// The end of the silence that includes a call that starts now; starts a silence where there is none.
    fn silence_deadline(&mut self, now: Instant) -> Option<Instant> {
        let limit = self.settings.silence?;
        // A silence that has ended without opening was idle time: no call timed out in it.
        let current = self.silence.filter(|silence| now < saturating_add(silence.since, limit));
        let silence = current.unwrap_or(Silence { since: now, timed_out: false });
        self.silence = Some(silence);
        Some(saturating_add(silence.since, limit))
    }

    fn reject(&mut self, retry_after: Duration) -> Duration {
        self.totals.rejected += 1;
        self.observer.rejected();
        retry_after
    }

    fn succeeded(&mut self, now: Instant) {
        self.failures = 0;
        self.successes_in_epoch += 1;
        self.silence = None;
        if let Phase::HalfOpen { successes, .. } = &mut self.phase {
            *successes += 1;
            if *successes >= self.settings.successes.get() {
                self.transition(Phase::Closed, now, format_args!("probes succeeded"));
            } else {
                self.observer.probed();
            }
        }
    }

    fn failed(&mut self, call: AdmittedCall, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        let failures = self.failures;
        // A call that started before the last success does not belong to the silence after it.
        let timed_out = now >= call.deadline && call.successes_in_epoch == self.successes_in_epoch;
        if matches!(self.phase, Phase::HalfOpen { .. }) {
            self.open(now, format_args!("probe failed"));
        } else if failures >= self.settings.failures.get() {
            self.open(now, format_args!("consecutive failures: {failures}"));
        } else if let (true, Some(limit), Some(silence)) =
            (timed_out, self.settings.silence, &mut self.silence)
        {
            silence.timed_out = true;
            // The end of the call's own silence, not of the present one: between that end and this report the next call
            // may have started another silence.
            if call.silence_end.is_some_and(|silence_end| silence_end <= now) {
                self.open(now, format_args!("no response for {limit:?}"));
            }
        }
    }

    fn open(&mut self, at: Instant, cause: fmt::Arguments<'_>) {
        self.transition(Phase::Open { until: saturating_add(at, self.settings.pause) }, at, cause);
    }

    fn transition(&mut self, phase: Phase, at: Instant, cause: fmt::Arguments<'_>) {
        match phase {
            Phase::Closed => self.opened = None,
            Phase::Open { .. } | Phase::HalfOpen { .. } => {
                self.opened.get_or_insert(at);
            }
        }
        self.phase = phase;
        self.changes += 1;
        self.start_epoch(at);
        self.observer.transitioned(phase.state(), cause);
    }

    fn start_epoch(&mut self, at: Instant) {
        self.epoch += 1;
        self.since = at;
        self.silence = None;
    }
}

// === impl Phase ===

impl Phase {
    fn state(self) -> CircuitState {
        match self {
            Phase::Closed => CircuitState::Closed,
            Phase::Open { .. } => CircuitState::Open,
            Phase::HalfOpen { .. } => CircuitState::HalfOpen,
        }
    }
}

/// `from + by`, capped at a century: a duration beyond the range of the clock means "never".
fn saturating_add(from: Instant, by: Duration) -> Instant {
    const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
    from + by.min(CENTURY)
}
