//! Whether a copy in this process may still be handed out, told by two witnesses: the signal of each change, which may
//! be lost, and the count of all changes, which is read every 200 ms and cannot be.
//!
//! Buckets are trusted one by one, since each lies on one primary, which may be out of reach while others are not.
//! Nothing here waits or asks the time: what comes in decides.

use std::time::Duration;

use dataflow_store::key::BUCKETS;
use dataflow_store::version_counters::{VersionCounter, VersionCounters};
use tokio::time::Instant;

/// How long copies are handed out after a bucket's count was last asked for with success.
pub(crate) const MAX_AGE: Duration = Duration::from_millis(600);

/// How long while changes are counted whose signals have not come. Together with [`MAX_AGE`], between two readings of
/// which the first missed a change and the second counts it, that is less than the second in which a change must be seen
/// everywhere, however slow readings are.
const MAX_AGE_BEHIND: Duration = Duration::from_millis(300);

/// When a reading is overdue: two periods of the store's.
const OVERDUE: Duration = Duration::from_millis(400);

/// What is known of all buckets.
#[derive(Debug)]
pub(super) struct Coherence {
    buckets: [Bucket; BUCKETS],
    /// Counts that were asked for before this moment say nothing: signals may have been missed since.
    gap: Option<Instant>,
}

/// A moment in the life of a bucket. A copy of what was read after it may be kept if it still is that moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Epoch {
    /// Another one makes every copy of the bucket void.
    pub(super) number: u64,
    /// Changes that were heard of, ever.
    changes: u64,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    epoch: Epoch,
    /// None until a count was read after the last gap.
    progress: Option<Progress>,
}

#[derive(Debug, Clone, Copy)]
struct Progress {
    /// The last change whose signal came, with all before it.
    received: u64,
    /// The count as last read. By the next reading the signals of all these must have come.
    polled: u64,
    /// When that reading was asked for.
    requested: Instant,
}

// === impl Coherence ===

impl Coherence {
    /// Trusts nothing yet.
    pub(super) fn new() -> Self {
        Self {
            buckets: [Bucket { epoch: Epoch { number: 0, changes: 0 }, progress: None }; BUCKETS],
            gap: None,
        }
    }

    /// The present moment of a bucket; none when its copies may not be handed out.
    pub(super) fn epoch(&self, bucket: usize, now: Instant) -> Option<Epoch> {
        let Bucket { epoch, progress } = self.buckets[bucket];
        let progress = progress?;
        let bound = if progress.polled > progress.received { MAX_AGE_BEHIND } else { MAX_AGE };
        (now.saturating_duration_since(progress.requested) <= bound).then_some(epoch)
    }

    /// Whether readings of a bucket are overdue: what is handed out may lack the latest change.
    pub(super) fn is_overdue(&self, bucket: usize, now: Instant) -> bool {
        let progress = self.buckets[bucket].progress;
        progress.is_none_or(|progress| now.saturating_duration_since(progress.requested) > OVERDUE)
    }

    /// A change came, of which the caller must drop its copy. If others are missing, all copies of the bucket are void.
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

    /// We changed something ourselves and its signal is on its way: what others read before must not be kept.
    pub(super) fn local_change(&mut self, bucket: usize) {
        self.buckets[bucket].epoch.changes += 1;
    }

    /// Signals may have been missed: nothing is trusted until counts were read anew.
    pub(super) fn gap(&mut self, now: Instant) {
        self.gap = Some(now);
        for bucket in &mut self.buckets {
            bucket.epoch.number += 1;
            bucket.progress = None;
        }
    }

    /// Counts were read.
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
            // Nobody knew for too long: copies were not handed out, and are void now.
            Some(progress) if requested - progress.requested > MAX_AGE => {
                self.epoch.number += 1;
                new
            }
            // Redis lost something: what changed is not to be told from what did not.
            Some(progress) if polled < progress.polled => {
                self.epoch.number += 1;
                new
            }
            // What was counted a reading ago has not been heard of by now.
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

    /// What happens to bucket 0.
    #[derive(Debug, Clone, Copy)]
    enum Event {
        Message(u64),
        /// The count, and when it was asked for, in milliseconds.
        Poll(u64, u64),
        Gap(u64),
    }
    use Event::{Gap, Message, Poll};

    /// Plays events; whether copies of bucket 0 may be handed out at `at`, and whether those of the beginning are void.
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
    fn copies_are_handed_out_while_both_witnesses_agree() {
        let check = |events: &[Event], at: u64, usable: bool, invalidated: bool| {
            assert_eq!(play(events, at), (usable, invalidated), "{events:?} at {at}");
        };
        check(&[], 0, false, false);
        check(&[Message(1)], 0, false, false);
        check(&[Poll(7, 0)], 100, true, false);
        // A signal before or after the reading that counts it.
        check(&[Poll(7, 0), Message(8), Poll(8, 200), Poll(8, 400)], 500, true, false);
        check(&[Poll(7, 0), Poll(8, 200), Message(8), Poll(8, 400)], 500, true, false);
        // The reading was on its way while the signal came.
        check(&[Poll(7, 0), Message(8), Poll(7, 200), Poll(8, 400)], 500, true, false);
        // A late signal of what was counted at the beginning.
        check(&[Poll(7, 0), Message(7), Message(6), Poll(7, 200)], 300, true, false);
    }

    #[test]
    fn a_lost_signal_voids_copies() {
        let check =
            |events: &[Event], invalidated: bool| assert_eq!(play(events, 500).1, invalidated, "{events:?}");
        // Stats by the next signal, or else by the second reading.
        check(&[Poll(7, 0), Message(9)], true);
        check(&[Poll(7, 0), Poll(8, 200)], false);
        check(&[Poll(7, 0), Poll(8, 200), Poll(8, 400)], true);
        check(&[Poll(7, 0), Poll(8, 200), Poll(9, 400), Message(9)], true);
    }

    #[test]
    fn a_store_that_lost_something_voids_copies() {
        let check =
            |events: &[Event], invalidated: bool| assert_eq!(play(events, 500).1, invalidated, "{events:?}");
        check(&[Poll(7, 0), Poll(0, 200)], true);
        check(&[Poll(7, 0), Poll(6, 200)], true);
        check(&[Poll(7, 0), Message(8), Poll(7, 200)], false);
    }

    #[test]
    fn without_a_reading_copies_are_handed_out_for_600_ms_and_never_again() {
        assert_eq!(play(&[Poll(7, 0)], 600), (true, false));
        assert_eq!(play(&[Poll(7, 0)], 601), (false, false));
        assert_eq!(play(&[Poll(7, 0), Poll(7, 600)], 700), (true, false));
        assert_eq!(play(&[Poll(7, 0), Poll(7, 601)], 700), (true, true));
    }

    #[test]
    fn while_a_signal_is_missing_copies_are_handed_out_for_300_ms() {
        let check = |events: &[Event], at: u64, usable: bool| {
            assert_eq!(play(events, at).0, usable, "{events:?} at {at}");
        };
        check(&[Poll(7, 0), Poll(8, 200)], 500, true);
        check(&[Poll(7, 0), Poll(8, 200)], 501, false);
        check(&[Poll(7, 0), Poll(8, 200), Message(8)], 800, true);
        check(&[Poll(7, 0), Message(8), Poll(8, 200)], 800, true);
    }

    #[test]
    fn after_a_gap_only_a_reading_that_began_later_counts() {
        assert_eq!(play(&[Poll(7, 0), Gap(100)], 100), (false, true));
        assert_eq!(play(&[Poll(7, 0), Gap(100), Poll(7, 90)], 200), (false, true));
        assert_eq!(play(&[Poll(7, 0), Gap(100), Poll(7, 110)], 200), (true, true));
        assert_eq!(play(&[Gap(100), Message(8), Poll(8, 110)], 200), (true, true));
    }

    #[test]
    fn what_was_read_before_a_change_is_not_kept() {
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
