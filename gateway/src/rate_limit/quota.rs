//! The quota of one tenant, or of one subject, at this gateway: what decides about a call without waiting for others.
//!
//! A call takes a permit of this gateway's own state, which allows the limit in any case. Where several gateways share
//! the limit, it also takes a permit that was leased from the state in the store, so that together they allow no more.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dataflow_mesh::rate::{Gcra, RateLimit, Unused};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::caller::Identity;

/// A lease is for the calls of so much time.
const BLOCK: Duration = Duration::from_millis(50);

/// A lease takes at most this part of the burst, so that what gateways hold unused is a small part of it.
const BURST_PART: u32 = 20;

/// Leased permits lapse if no call takes them: others may need them.
const LAPSE: Duration = Duration::from_secs(1);

/// The time until the next lease when the store had fewer permits than requested: the least, so that callers beyond
/// their limit cause few calls, and the most, because the limit may become a higher one.
const LEAST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The share of this gateway is measured over so much time.
const MEASURED: Duration = Duration::from_secs(1);

/// The quota of one identity.
#[derive(Debug)]
pub(super) struct Quota {
    pub(super) identity: Identity,
    state: Mutex<State>,
    /// Notified when a lease has ended.
    pub(super) lease_ended: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// Of this gateway alone.
    own: Gcra,
    /// The permits that were leased and not taken, until they lapse.
    leased: Option<(u32, Instant)>,
    /// Until when the store has no more.
    exhausted: Option<Exhausted>,
    /// Whether a lease is in progress: never more than one.
    is_leasing: bool,
    /// The calls that wait for it.
    waiting: u32,
    share: Share,
}

/// Which part of all permits of the store this gateway has leased.
#[derive(Debug)]
struct Share {
    part: f64,
    /// Since when it is measured, the permits of all gateways at that time, and our own since then.
    measured: Option<(Instant, u64, u64)>,
}

/// What the store has told when it had no more permits.
#[derive(Debug, Clone, Copy)]
struct Exhausted {
    /// When it is asked again.
    next_lease: Instant,
    /// When it will have a permit.
    next_permit: Instant,
}

/// Where the limit is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// In the store, for all gateways.
    Shared,
    /// At this gateway, which is the only one.
    Alone,
    /// At this gateway, because the store is out of reach: by its last known share.
    ByShare,
}

/// About one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    /// It has a permit.
    Admitted(Permit),
    /// There is none for so long.
    Refused(Duration),
    /// There may be one in the store.
    Undecided,
}

/// A permit that a call has taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Permit {
    is_leased: bool,
    /// The limit by which it was taken.
    own: RateLimit,
}

/// A lease in progress. If it is dropped, nothing was leased.
#[derive(Debug)]
pub(super) struct Lease {
    pub(super) quota: Arc<Quota>,
    pub(super) limit: RateLimit,
    /// The most permits to lease.
    pub(super) most: u32,
}

/// What the store has granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Granted {
    pub(super) permits: u32,
    /// To all gateways so far.
    pub(super) total: u64,
    /// The time until the next permit.
    pub(super) wait: Duration,
}

/// A call that waits for a lease, until it is dropped.
#[derive(Debug)]
pub(super) struct Waiting<'a>(&'a Quota);

// === impl Quota ===

impl Quota {
    pub(super) fn new(identity: Identity) -> Self {
        Self { identity, state: Mutex::default(), lease_ended: Notify::new() }
    }

    /// Decides about a call, which takes a permit if it is admitted.
    pub(super) fn decide(&self, limit: RateLimit, source: Source, now: Instant) -> Decision {
        let mut state = self.state();
        let own = match source {
            Source::ByShare => limit.share(state.share.part),
            Source::Shared | Source::Alone => limit,
        };
        if state.own.take(own, 1, now) == 0 {
            return Decision::Refused(state.own.wait(own, now));
        }
        let is_leased = source == Source::Shared;
        if is_leased && !state.take_leased(now) {
            state.own.give_back(own, 1);
            return match state.exhausted.filter(|told| told.next_lease > now) {
                Some(told) => Decision::Refused(told.next_permit.max(told.next_lease) - now),
                None => Decision::Undecided,
            };
        }
        Decision::Admitted(Permit { is_leased, own })
    }

    /// Returns a permit that the call does not use.
    pub(super) fn give_back(&self, permit: Permit, now: Instant) {
        let mut state = self.state();
        state.own.give_back(permit.own, 1);
        if permit.is_leased {
            let (permits, lapse) = state.leased.unwrap_or((0, now + LAPSE));
            state.leased = Some((permits + 1, lapse));
        }
    }

    /// Begins a lease, if there is none in progress and `is_needed` or less than half of a block is left.
    pub(super) fn begin_lease(
        self: &Arc<Self>,
        limit: RateLimit,
        is_needed: bool,
        now: Instant,
    ) -> Option<Lease> {
        let mut state = self.state();
        let block = limit.earned_in(BLOCK).min(limit.burst / BURST_PART).max(1);
        let left = state.leased.filter(|(_, lapse)| *lapse > now).map_or(0, |(permits, _)| permits);
        let is_exhausted = state.exhausted.is_some_and(|told| told.next_lease > now);
        if state.is_leasing || is_exhausted || !is_needed && left >= block / 2 {
            return None;
        }
        state.is_leasing = true;
        let most = block.max(state.waiting).min(limit.burst);
        Some(Lease { quota: Arc::clone(self), limit, most })
    }

    /// Counts a call that waits for a lease.
    pub(super) fn wait(&self) -> Waiting<'_> {
        self.state().waiting += 1;
        Waiting(self)
    }

    /// The permits that a caller may expect, and the time until it has all of the burst again.
    pub(super) fn standing(&self, limit: RateLimit, now: Instant) -> (u32, Duration) {
        let state = self.state();
        (state.own.remaining(limit, now), state.own.until_unused(now))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Unused for Quota {
    fn until_unused(&self, now: Instant) -> Duration {
        let state = self.state();
        let lapse = state.leased.map_or(Duration::ZERO, |(_, lapse)| lapse.saturating_duration_since(now));
        // A lease in progress would be lost.
        let least = if state.is_leasing { BLOCK } else { Duration::ZERO };
        state.own.until_unused(now).max(lapse).max(least)
    }
}

// === impl State ===

impl State {
    fn take_leased(&mut self, now: Instant) -> bool {
        match &mut self.leased {
            Some((permits, lapse)) if *lapse > now && *permits > 0 => {
                *permits -= 1;
                true
            }
            _ => false,
        }
    }
}

// === impl Share ===

impl Default for Share {
    /// The whole limit, until another gateway is known.
    fn default() -> Self {
        Self { part: 1.0, measured: None }
    }
}

impl Share {
    fn measure(&mut self, Granted { permits, total, .. }: Granted, now: Instant) {
        let (since, before, own) = match self.measured {
            // A state that was forgotten begins again.
            Some((_, before, _)) if total < before => (now, total, 0),
            Some((since, before, own)) => (since, before, own + u64::from(permits)),
            None => (now, total, 0),
        };
        self.measured = Some((since, before, own));
        if now - since >= MEASURED && total > before {
            self.part = own as f64 / (total - before) as f64;
            self.measured = Some((now, total, 0));
        }
    }
}

// === impl Lease ===

impl Lease {
    /// Ends the lease with what the store has granted.
    pub(super) fn granted(self, granted: Granted, now: Instant) {
        {
            let mut state = self.quota.state();
            let left = state.leased.filter(|(_, lapse)| *lapse > now).map_or(0, |(permits, _)| permits);
            state.leased = Some((left + granted.permits, now + LAPSE));
            state.exhausted = (granted.permits < self.most).then(|| Exhausted {
                next_lease: now + granted.wait.clamp(LEAST_PAUSE, LONGEST_PAUSE),
                next_permit: now + granted.wait,
            });
            state.share.measure(granted, now);
        }
        // The lease ends with the state unlocked: its end locks it too.
        drop(self);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.quota.state().is_leasing = false;
        self.quota.lease_ended.notify_waiters();
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.state().waiting -= 1;
    }
}

#[cfg(test)]
mod tests;
