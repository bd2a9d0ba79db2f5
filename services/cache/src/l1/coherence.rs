//! Coherence of the L1 cache: whether a copy may still be returned. Two sources decide: the invalidation message of
//! each change, which may be lost, and the version counter of each bucket, polled every 200 ms, by which a lost message
//! is detected.
//!
//! Each bucket is tracked separately, because it is on one primary, which may be unreachable while others are not.
//! Nothing here waits or reads the clock: callers pass events and times.

use std::time::Duration;

use dataflow_store::key::BUCKETS;
use dataflow_store::version_counters::{VersionCounter, VersionCounters};
use tokio::time::Instant;

/// How long copies of a bucket are returned after its version counter was last requested with success.
pub(crate) const MAX_AGE: Duration = Duration::from_millis(600);

/// The same while messages of counted changes are missing. [`MAX_AGE`] is the longest time between two polls, of which
/// the first missed a change and the second counts it; together they are less than the second within which a change
/// must be visible everywhere, however slow polls are.
const MAX_AGE_BEHIND: Duration = Duration::from_millis(300);

/// When a poll is overdue: two poll periods of the store.
const OVERDUE: Duration = Duration::from_millis(400);

/// The coherence state of all buckets.
#[derive(Debug)]
pub(super) struct Coherence {
    buckets: [Bucket; BUCKETS],
    /// Counters requested before this moment are ignored: messages may have been lost since.
    gap: Option<Instant>,
}

/// The epoch of a bucket. A copy of a value read in an epoch may be inserted only if the epoch is still the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Epoch {
    /// Changes when all copies of the bucket are invalidated.
    pub(super) number: u64,
    /// The number of changes received so far, including local ones.
    changes: u64,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    epoch: Epoch,
    /// None until a counter was read after the last gap.
    progress: Option<Progress>,
}

#[derive(Debug, Clone, Copy)]
struct Progress {
    /// The latest change whose message arrived, as did all before it.
    received: u64,
    /// The counter as last polled. By the next poll, the messages of all these changes must have arrived.
    polled: u64,
    /// When that poll was sent.
    requested: Instant,
}

// === impl Coherence ===

impl Coherence {
    /// No bucket is coherent yet.
    pub(super) fn new() -> Self {
        Self {
            buckets: [Bucket { epoch: Epoch { number: 0, changes: 0 }, progress: None }; BUCKETS],
            gap: None,
        }
    }

    /// The current epoch of a bucket; none if its copies must not be returned.
    pub(super) fn epoch(&self, bucket: usize, now: Instant) -> Option<Epoch> {
        let Bucket { epoch, progress } = self.buckets[bucket];
        let progress = progress?;
        let bound = if progress.polled > progress.received { MAX_AGE_BEHIND } else { MAX_AGE };
        (now.saturating_duration_since(progress.requested) <= bound).then_some(epoch)
    }

    /// Whether polls of a bucket are overdue, so that a returned copy may lack the latest change.
    pub(super) fn is_overdue(&self, bucket: usize, now: Instant) -> bool {
        let progress = self.buckets[bucket].progress;
        progress.is_none_or(|progress| now.saturating_duration_since(progress.requested) > OVERDUE)
    }

    /// An invalidation message arrived; the caller must remove the copy of its key. If earlier messages are missing,
    /// all copies of the bucket are invalidated.
    pub(super) fn invalidation(&mut self, bucket: usize, count: u64) {
        let bucket = &mut self.buckets[bucket];
        bucket.epoch.changes += 1;
        if let Some(progress) = &mut bucket.progress {
            if count > progress.received + 1 {
                bucket.epoch.number += 1;
            }
            progress.received = progress.received.max(count);
        }
    }

    /// This process changed a key, and the message is in flight: values read before must not be inserted.
    pub(super) fn local_change(&mut self, bucket: usize) {
        self.buckets[bucket].epoch.changes += 1;
    }

    /// Messages may have been lost: no bucket is coherent until its counter is read again.
    pub(super) fn gap(&mut self, now: Instant) {
        self.gap = Some(now);
        for bucket in &mut self.buckets {
            bucket.epoch.number += 1;
            bucket.progress = None;
        }
    }

    /// Version counters were polled.
    pub(super) fn poll(&mut self, counters: &VersionCounters) {
        for (bucket, counter) in self.buckets.iter_mut().zip(&counters.counters) {
            match counter {
                Some(counter) if self.gap.is_none_or(|gap| counter.requested > gap) => bucket.poll(*counter),
                _ => {}
            }
        }
    }
}

// === impl Bucket ===

impl Bucket {
    fn poll(&mut self, counter: VersionCounter) {
        let VersionCounter { value: polled, requested } = counter;
        let new = Progress { received: polled, polled, requested };
        self.progress = Some(match self.progress {
            Some(progress) if requested <= progress.requested => return,
            // The last poll was too long ago: copies were no longer returned, and are invalidated now.
            Some(progress) if requested - progress.requested > MAX_AGE => {
                self.epoch.number += 1;
                new
            }
            // Redis lost changes: it is unknown which copies are affected.
            Some(progress) if polled < progress.polled => {
                self.epoch.number += 1;
                new
            }
            // The message of a change that the previous poll counted has not arrived.
            Some(progress) if progress.polled > progress.received => {
                self.epoch.number += 1;
                Progress { received: progress.polled, polled, requested }
            }
            Some(progress) => Progress { polled, requested, ..progress },
            None => new,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An event of bucket 0.
    #[derive(Debug, Clone, Copy)]
    enum Event {
        Message(u64),
        /// The counter, and when it was requested, in milliseconds.
        Poll(u64, u64),
        Gap(u64),
    }
    use Event::{Gap, Message, Poll};

    /// Applies events; returns whether copies of bucket 0 may be returned at `at`, and whether those of the beginning
    /// were invalidated.
    fn play(events: &[Event], at: u64) -> (bool, bool) {
        let start = Instant::now();
        let after = |millis| start + Duration::from_millis(millis);
        let mut coherence = Coherence::new();
        for event in events {
            match *event {
                Message(count) => coherence.invalidation(0, count),
                Poll(value, requested) => {
                    let mut counters = VersionCounters::default();
                    counters.counters[0] = Some(VersionCounter { value, requested: after(requested) });
                    coherence.poll(&counters);
                }
                Gap(millis) => coherence.gap(after(millis)),
            }
        }
        (coherence.epoch(0, after(at)).is_some(), coherence.buckets[0].epoch.number > 0)
    }

    #[test]
    fn copies_are_returned_while_messages_and_counters_agree() {
        let check = |events: &[Event], at: u64, usable: bool, invalidated: bool| {
            assert_eq!(play(events, at), (usable, invalidated), "{events:?} at {at}");
        };
        check(&[], 0, false, false);
        check(&[Message(1)], 0, false, false);
        check(&[Poll(7, 0)], 100, true, false);
        // A message before or after the poll that counts its change.
        check(&[Poll(7, 0), Message(8), Poll(8, 200), Poll(8, 400)], 500, true, false);
        check(&[Poll(7, 0), Poll(8, 200), Message(8), Poll(8, 400)], 500, true, false);
        // The message arrives while the poll is in flight.
        check(&[Poll(7, 0), Message(8), Poll(7, 200), Poll(8, 400)], 500, true, false);
        // A late message of a change that the first poll counted.
        check(&[Poll(7, 0), Message(7), Message(6), Poll(7, 200)], 300, true, false);
    }

    #[test]
    fn a_lost_message_invalidates_copies() {
        let check =
            |events: &[Event], invalidated: bool| assert_eq!(play(events, 500).1, invalidated, "{events:?}");
        // Detected by the next message, or else by the second poll.
        check(&[Poll(7, 0), Message(9)], true);
        check(&[Poll(7, 0), Poll(8, 200)], false);
        check(&[Poll(7, 0), Poll(8, 200), Poll(8, 400)], true);
        check(&[Poll(7, 0), Poll(8, 200), Poll(9, 400), Message(9)], true);
    }

    #[test]
    fn a_counter_that_decreased_invalidates_copies() {
        let check =
            |events: &[Event], invalidated: bool| assert_eq!(play(events, 500).1, invalidated, "{events:?}");
        check(&[Poll(7, 0), Poll(0, 200)], true);
        check(&[Poll(7, 0), Poll(6, 200)], true);
        check(&[Poll(7, 0), Message(8), Poll(7, 200)], false);
    }

    #[test]
    fn without_a_poll_copies_are_returned_for_600_ms_and_then_invalidated() {
        assert_eq!(play(&[Poll(7, 0)], 600), (true, false));
        assert_eq!(play(&[Poll(7, 0)], 601), (false, false));
        assert_eq!(play(&[Poll(7, 0), Poll(7, 600)], 700), (true, false));
        assert_eq!(play(&[Poll(7, 0), Poll(7, 601)], 700), (true, true));
    }

    #[test]
    fn while_a_message_is_missing_copies_are_returned_for_300_ms() {
        let check = |events: &[Event], at: u64, usable: bool| {
            assert_eq!(play(events, at).0, usable, "{events:?} at {at}");
        };
        check(&[Poll(7, 0), Poll(8, 200)], 500, true);
        check(&[Poll(7, 0), Poll(8, 200)], 501, false);
        check(&[Poll(7, 0), Poll(8, 200), Message(8)], 800, true);
        check(&[Poll(7, 0), Message(8), Poll(8, 200)], 800, true);
    }

    #[test]
    fn after_a_gap_only_a_poll_that_was_sent_later_counts() {
        assert_eq!(play(&[Poll(7, 0), Gap(100)], 100), (false, true));
        assert_eq!(play(&[Poll(7, 0), Gap(100), Poll(7, 90)], 200), (false, true));
        assert_eq!(play(&[Poll(7, 0), Gap(100), Poll(7, 110)], 200), (true, true));
        assert_eq!(play(&[Gap(100), Message(8), Poll(8, 110)], 200), (true, true));
    }

    #[test]
    fn a_change_ends_the_epoch() {
        let mut coherence = Coherence::new();
        let now = Instant::now();
        let mut counters = VersionCounters::default();
        counters.counters[0] = Some(VersionCounter { value: 0, requested: now });
        coherence.poll(&counters);
        let before = coherence.epoch(0, now);
        coherence.invalidation(0, 1);
        let after = coherence.epoch(0, now);
        assert_ne!(before, after);
        coherence.local_change(0);
        assert_ne!(after, coherence.epoch(0, now));
        assert_eq!(after.unwrap().number, before.unwrap().number, "other copies of the bucket stay");
    }
}
