//! The state of one breaker and the rules by which it changes. It stands apart from the handles so that the rules read
//! without locks and clocks: every method is told the time.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::signals::Signals;
use super::{Report, Settings, State, Totals};

/// How a call that was let through ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Success,
    Failure,
    Ignored,
}

/// What a call that was let through has to show when it ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ticket {
    /// The circuit's epoch when the call began.
    epoch: u64,
    /// The circuit's count of answers when the call began.
    answers: u64,
    /// When the call must be over.
    pub(super) deadline: Instant,
    /// When the silence of which the call is a part lasts too long.
    silent_at: Option<Instant>,
}

/// What a breaker knows.
#[derive(Debug)]
pub(super) struct Circuit {
    settings: Settings,
    phase: Phase,
    since: Instant,
    /// Counts changes of state and resets: a call of an earlier epoch says nothing about the present one.
    epoch: u64,
    /// Counts successes of the present epoch: a call that saw another count began before the last of them.
    answers: u64,
    failures: u32,
    silence: Option<Silence>,
    totals: Totals,
    changes: u64,
    signals: Signals,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    Closed,
    Open {
        until: Instant,
    },
    HalfOpen {
        probing: u32,
        successes: u32,
        /// The deadline of the probe that began last.
        answer_by: Instant,
    },
}

/// The time without a success.
#[derive(Debug, Clone, Copy)]
struct Silence {
    /// When the first call began that no success followed.
    since: Instant,
    /// Whether a call of this time ran into its deadline.
    cut: bool,
}

// === impl Circuit ===

impl Circuit {
    pub(super) fn new(settings: Settings, signals: Signals, now: Instant) -> Self {
        Self {
            settings,
            phase: Phase::Closed,
            since: now,
            epoch: 0,
            answers: 0,
            failures: 0,
            silence: None,
            totals: Totals::default(),
            changes: 0,
            signals,
        }
    }

    /// Lets a call through, or says after which time to ask again.
    pub(super) fn enter(&mut self, now: Instant) -> Result<Ticket, Duration> {
        self.settle(now);
        if let Phase::Open { until } = self.phase {
            if now < until {
                return Err(self.reject(until - now));
            }
            let half_open = Phase::HalfOpen { probing: 0, successes: 0, answer_by: now };
            self.turn(half_open, now, format_args!("the pause is over"));
        }
        if let Phase::HalfOpen { probing, answer_by, .. } = self.phase
            && probing >= self.settings.probes.get()
        {
            return Err(self.reject(answer_by.saturating_duration_since(now)));
        }
        let silent_at = self.silence_end(now);
        let deadline = later(now, self.settings.deadline);
        let deadline = silent_at.map_or(deadline, |silent_at| deadline.min(silent_at));
        if let Phase::HalfOpen { probing, answer_by, .. } = &mut self.phase {
            *probing += 1;
            *answer_by = deadline;
        }
        Ok(Ticket { epoch: self.epoch, answers: self.answers, deadline, silent_at })
    }

    /// Takes note of how a call ended.
    pub(super) fn end(&mut self, ticket: Ticket, outcome: Outcome, now: Instant) {
        self.totals.calls += 1;
        match outcome {
            Outcome::Success => self.totals.successes += 1,
            Outcome::Failure => self.totals.failures += 1,
            Outcome::Ignored => {}
        }
        self.signals.ended(outcome);
        if ticket.epoch != self.epoch {
            return;
        }
        if let Phase::HalfOpen { probing, .. } = &mut self.phase {
            *probing -= 1;
        }
        match outcome {
            Outcome::Success => self.succeeded(now),
            Outcome::Failure => self.failed(ticket, now),
            Outcome::Ignored => {}
        }
    }

    pub(super) fn open_by_hand(&mut self, now: Instant) {
        match &mut self.phase {
            Phase::Open { until } => *until = later(now, self.settings.pause),
            _ => self.open(now, format_args!("by hand")),
        }
    }

    pub(super) fn reset(&mut self, now: Instant) {
        if !matches!(self.phase, Phase::Closed) {
            self.turn(Phase::Closed, now, format_args!("by hand"));
        }
        self.begin_epoch(now);
        self.failures = 0;
        self.totals = Totals::default();
        self.changes = 0;
    }

    /// What is in flight keeps its deadline, and an open breaker the end of its pause.
    pub(super) fn set(&mut self, settings: Settings) {
        self.settings = settings;
        self.silence = None;
    }

    pub(super) fn report(&mut self, name: Arc<str>, now: Instant) -> Report {
        self.settle(now);
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
            next_probe: match self.phase {
                Phase::Open { until } => Some(until.saturating_duration_since(now)),
                _ => None,
            },
            changes: self.changes,
            settings: self.settings,
        }
    }

    pub(super) fn changes(&self) -> watch::Receiver<State> {
        self.signals.changes()
    }

    /// Opens where a silence came to its end while no call was in flight that would have noticed, as of that end.
    fn settle(&mut self, now: Instant) {
        if let (Some(limit), Some(Silence { since, cut: true })) = (self.settings.silence, self.silence) {
            let end = later(since, limit);
            if end <= now {
                self.open(end, format_args!("no answer for {limit:?}"));
            }
        }
    }

    /// When the silence of which a call that begins now is a part lasts too long.
    fn silence_end(&mut self, now: Instant) -> Option<Instant> {
        let limit = self.settings.silence?;
        // One that is over and did not open was idle time: nobody waited for an answer.
        let going_on = self.silence.filter(|silence| now < later(silence.since, limit));
        let silence = going_on.unwrap_or(Silence { since: now, cut: false });
        self.silence = Some(silence);
        Some(later(silence.since, limit))
    }

    fn reject(&mut self, retry_after: Duration) -> Duration {
        self.totals.rejected += 1;
        self.signals.rejected();
        retry_after
    }

    fn succeeded(&mut self, now: Instant) {
        self.failures = 0;
        self.answers += 1;
        self.silence = None;
        if let Phase::HalfOpen { successes, .. } = &mut self.phase {
            *successes += 1;
            if *successes >= self.settings.successes.get() {
                self.turn(Phase::Closed, now, format_args!("probes were answered"));
            }
        }
    }

    fn failed(&mut self, ticket: Ticket, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        let failures = self.failures;
        // A call that began before the last success is no part of the silence after it.
        let cut = now >= ticket.deadline && ticket.answers == self.answers;
        if matches!(self.phase, Phase::HalfOpen { .. }) {
            self.open(now, format_args!("a probe failed"));
        } else if failures >= self.settings.failures.get() {
            self.open(now, format_args!("failures in a row: {failures}"));
        } else if let (true, Some(limit), Some(silence)) = (cut, self.settings.silence, &mut self.silence) {
            silence.cut = true;
            // The ticket knows the end of its own silence: the next call may have begun another one already, in the
            // moment between that end and the news of it.
            if ticket.silent_at.is_some_and(|silent_at| silent_at <= now) {
                self.open(now, format_args!("no answer for {limit:?}"));
            }
        }
    }

    fn open(&mut self, at: Instant, why: fmt::Arguments<'_>) {
        self.turn(Phase::Open { until: later(at, self.settings.pause) }, at, why);
    }

    fn turn(&mut self, phase: Phase, at: Instant, why: fmt::Arguments<'_>) {
        self.phase = phase;
        self.changes += 1;
        self.begin_epoch(at);
        self.signals.turned(phase.state(), why);
    }

    fn begin_epoch(&mut self, at: Instant) {
        self.epoch += 1;
        self.since = at;
        self.silence = None;
    }
}

// === impl Phase ===

impl Phase {
    fn state(self) -> State {
        match self {
            Phase::Closed => State::Closed,
            Phase::Open { .. } => State::Open,
            Phase::HalfOpen { .. } => State::HalfOpen,
        }
    }
}

/// `from + by`, for any `by`: "never" is said by a duration that would leave the clock's range.
fn later(from: Instant, by: Duration) -> Instant {
    const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
    from + by.min(CENTURY)
}
