//! Rates of calls, and the generic cell rate algorithm (GCRA) that limits them. Its whole state is one time, until which
//! a caller has used up its rate; while that has passed, the state is the same as none.

mod states;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use tokio::time::Instant;

pub use states::{States, Unused};

/// The most permits of a rate, and of a burst.
pub const MAX_PERMITS: u32 = 1_000_000;

/// The longest time between two permits: one in an hour.
pub const MAX_INTERVAL: Duration = Duration::from_secs(3600);

/// Calls in a period, as `100/s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rate {
    permits: u32,
    period: Period,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Period {
    Second,
    Minute,
    Hour,
}

/// A text is no rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a number from 1 to {MAX_PERMITS} and a period, s, m or h: for instance 100/s")]
pub struct NotARate;

/// What GCRA allows: one permit in each interval, and a burst of several after a pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// The time between two permits.
    pub interval: Duration,
    /// The most permits at once, at least 1.
    pub burst: u32,
}

/// The state of one caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Gcra {
    /// The theoretical arrival time: when all permits that were taken have been earned. None if that was never.
    arrival: Option<Instant>,
}

// === impl Rate ===

impl Rate {
    /// The permits of a period.
    pub fn permits(self) -> u32 {
        self.permits
    }

    /// The period.
    pub fn period(self) -> Duration {
        Duration::from_secs(match self.period {
            Period::Second => 1,
            Period::Minute => 60,
            Period::Hour => 3600,
        })
    }

    /// The limit with this burst; by default the permits of a second, at least one.
    pub fn with_burst(self, burst: Option<u32>) -> RateLimit {
        let of_a_second = u64::from(self.permits) / self.period().as_secs();
        let default = u32::try_from(of_a_second).unwrap_or(u32::MAX).max(1);
        // Rounded up, so that never more than the rate is allowed.
        let interval = Duration::from_nanos(nanoseconds(self.period()).div_ceil(u64::from(self.permits)));
        RateLimit { interval, burst: burst.unwrap_or(default).max(1) }
    }
}

impl FromStr for Rate {
    type Err = NotARate;

    fn from_str(text: &str) -> Result<Self, NotARate> {
        let (permits, period) = text.split_once('/').ok_or(NotARate)?;
        let period = match period {
            "s" => Period::Second,
            "m" => Period::Minute,
            "h" => Period::Hour,
            _ => return Err(NotARate),
        };
        // A sign or a leading zero is a number to `parse`, but not to every reader.
        let is_plain = permits.bytes().all(|byte| byte.is_ascii_digit()) && !permits.starts_with('0');
        let permits = permits.parse().ok().filter(|permits| is_plain && (1..=MAX_PERMITS).contains(permits));
        Ok(Self { permits: permits.ok_or(NotARate)?, period })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let period = match self.period {
            Period::Second => 's',
            Period::Minute => 'm',
            Period::Hour => 'h',
        };
        write!(f, "{}/{period}", self.permits)
    }
}

/// A time in nanoseconds. Longer ones than five centuries are as long as that: division by 64 bits is the faster one.
fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

// === impl RateLimit ===

impl RateLimit {
    /// This share of the limit, at least a hundredth of it and a burst of one.
    #[must_use]
    pub fn share(self, share: f64) -> Self {
        let share = share.clamp(0.01, 1.0);
        let burst = (f64::from(self.burst) * share).floor() as u32;
        Self { interval: self.interval.div_f64(share), burst: burst.max(1) }
    }

    /// The permits that are earned in a time.
    pub fn earned_in(self, time: Duration) -> u32 {
        let earned = nanoseconds(time) / nanoseconds(self.interval).max(1);
        u32::try_from(earned).unwrap_or(u32::MAX)
    }
}

// === impl Gcra ===

impl Gcra {
    /// Takes up to `most` permits; returns how many.
    pub fn take(&mut self, limit: RateLimit, most: u32, now: Instant) -> u32 {
        let taken = self.remaining(limit, now).min(most);
        let used = self.used(limit, now);
        if taken > 0 || used < self.until_unused(now) {
            self.arrival = (now + used).checked_add(limit.interval.saturating_mul(taken));
        }
        taken
    }

    /// Returns permits that were taken and not used.
    pub fn give_back(&mut self, limit: RateLimit, permits: u32) {
        let unused = limit.interval.saturating_mul(permits);
        self.arrival = self.arrival.and_then(|arrival| arrival.checked_sub(unused));
    }

    /// The permits that can be taken.
    pub fn remaining(&self, limit: RateLimit, now: Instant) -> u32 {
        let used = nanoseconds(self.used(limit, now)).div_ceil(nanoseconds(limit.interval).max(1));
        limit.burst.saturating_sub(u32::try_from(used).unwrap_or(u32::MAX))
    }

    /// The time until a permit can be taken.
    pub fn wait(&self, limit: RateLimit, now: Instant) -> Duration {
        let others = limit.interval.saturating_mul(limit.burst.saturating_sub(1));
        self.used(limit, now).saturating_sub(others)
    }

    /// The time that is used up. At most that of the burst: the limit may have been a lower one before.
    fn used(&self, limit: RateLimit, now: Instant) -> Duration {
        self.until_unused(now).min(limit.interval.saturating_mul(limit.burst))
    }

    /// The time until the whole burst can be taken. Zero if the state is the same as none.
    pub fn until_unused(&self, now: Instant) -> Duration {
        self.arrival.map_or(Duration::ZERO, |arrival| arrival.saturating_duration_since(now))
    }
}

#[cfg(test)]
mod tests;
