//! Whether a copy in this process may still be handed out, told by two witnesses: the signal of each change, which may
//! be lost, and the count of all changes, which is read every 200 ms and cannot be.
//!
//! Buckets are trusted one by one, since each lies on one primary, which may be out of reach while others are not.
//! Nothing here waits or asks the time: what comes in decides.

use std::time::Duration;

use dataflow_store::key::BUCKETS;
use dataflow_store::pulse::{Count, Pulse};
use tokio::time::Instant;

/// How long copies are handed out after a bucket's count was last asked for with success.
pub(crate) const TRUSTED: Duration = Duration::from_millis(600);

/// How long while changes are counted whose signals have not come. Together with [`TRUSTED`], between two readings of
/// which the first missed a change and the second counts it, that is less than the second in which a change must be seen
/// everywhere, however slow readings are.
const DOUBTED: Duration = Duration::from_millis(300);

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
    pub(super) era: u64,
    /// Changes that were heard of, ever.
    changes: u64,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    epoch: Epoch,
    /// None until a count was read after the last gap.
    known: Option<Known>,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    /// The last change whose signal came, with all before it.
    heard: u64,
    /// The count as last read. By the next reading the signals of all these must have come.
    read: u64,
    /// When that reading was asked for.
    asked: Instant,
}

// === impl Coherence ===

impl Coherence {
    /// Trusts nothing yet.
    pub(super) fn new() -> Self {
        Self { buckets: [Bucket { epoch: Epoch { era: 0, changes: 0 }, known: None }; BUCKETS], gap: None }
    }

    /// The present moment of a bucket; none when its copies may not be handed out.
    pub(super) fn epoch(&self, bucket: usize, now: Instant) -> Option<Epoch> {
        let Bucket { epoch, known } = self.buckets[bucket];
        let known = known?;
        let bound = if known.read > known.heard { DOUBTED } else { TRUSTED };
        (now.saturating_duration_since(known.asked) <= bound).then_some(epoch)
    }

    /// Whether readings of a bucket are overdue: what is handed out may lack the latest change.
    pub(super) fn in_doubt(&self, bucket: usize, now: Instant) -> bool {
        let known = self.buckets[bucket].known;
        known.is_none_or(|known| now.saturating_duration_since(known.asked) > OVERDUE)
    }

    /// A change came, of which the caller must drop its copy. If others are missing, all copies of the bucket are void.
    pub(super) fn heard(&mut self, bucket: usize, count: u64) {
        let bucket = &mut self.buckets[bucket];
        bucket.epoch.changes += 1;
        if let Some(known) = &mut bucket.known {
            if count > known.heard + 1 {
                bucket.epoch.era += 1;
            }
            known.heard = known.heard.max(count);
        }
    }

    /// We changed something ourselves and its signal is on its way: what others read before must not be kept.
    pub(super) fn changed(&mut self, bucket: usize) {
        self.buckets[bucket].epoch.changes += 1;
    }

    /// Signals may have been missed: nothing is trusted until counts were read anew.
    pub(super) fn gap(&mut self, now: Instant) {
        self.gap = Some(now);
        for bucket in &mut self.buckets {
            bucket.epoch.era += 1;
            bucket.known = None;
        }
    }

    /// Counts were read.
    pub(super) fn read(&mut self, pulse: &Pulse) {
        for (bucket, count) in self.buckets.iter_mut().zip(&pulse.counts) {
            match count {
                Some(count) if self.gap.is_none_or(|gap| count.asked > gap) => bucket.read(*count),
                _ => {}
            }
        }
    }
}

// === impl Bucket ===

impl Bucket {
    fn read(&mut self, count: Count) {
        let Count { changes: read, asked } = count;
        let new = Known { heard: read, read, asked };
        self.known = Some(match self.known {
            Some(known) if asked <= known.asked => return,
            // Nobody knew for too long: copies were not handed out, and are void now.
            Some(known) if asked - known.asked > TRUSTED => {
                self.epoch.era += 1;
                new
            }
            // Redis lost something: what changed is not to be told from what did not.
            Some(known) if read < known.read => {
                self.epoch.era += 1;
                new
            }
            // What was counted a reading ago has not been heard of by now.
            Some(known) if known.read > known.heard => {
                self.epoch.era += 1;
                Known { heard: known.read, read, asked }
            }
            Some(known) => Known { read, asked, ..known },
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
        Heard(u64),
        /// The count, and when it was asked for, in milliseconds.
        Read(u64, u64),
        Gap(u64),
    }
    use Event::{Gap, Heard, Read};

    /// Plays events; whether copies of bucket 0 may be handed out at `at`, and whether those of the beginning are void.
    fn play(events: &[Event], at: u64) -> (bool, bool) {
        let start = Instant::now();
        let after = |millis| start + Duration::from_millis(millis);
        let mut coherence = Coherence::new();
        for event in events {
            match *event {
                Heard(count) => coherence.heard(0, count),
                Read(count, asked) => {
                    let mut pulse = Pulse::default();
                    pulse.counts[0] = Some(Count { changes: count, asked: after(asked) });
                    coherence.read(&pulse);
                }
                Gap(millis) => coherence.gap(after(millis)),
            }
        }
        (coherence.epoch(0, after(at)).is_some(), coherence.buckets[0].epoch.era > 0)
    }

    #[test]
    fn copies_are_handed_out_while_both_witnesses_agree() {
        let check = |events: &[Event], at: u64, handed_out: bool, void: bool| {
            assert_eq!(play(events, at), (handed_out, void), "{events:?} at {at}");
        };
        check(&[], 0, false, false);
        check(&[Heard(1)], 0, false, false);
        check(&[Read(7, 0)], 100, true, false);
        // A signal before or after the reading that counts it.
        check(&[Read(7, 0), Heard(8), Read(8, 200), Read(8, 400)], 500, true, false);
        check(&[Read(7, 0), Read(8, 200), Heard(8), Read(8, 400)], 500, true, false);
        // The reading was on its way while the signal came.
        check(&[Read(7, 0), Heard(8), Read(7, 200), Read(8, 400)], 500, true, false);
        // A late signal of what was counted at the beginning.
        check(&[Read(7, 0), Heard(7), Heard(6), Read(7, 200)], 300, true, false);
    }

    #[test]
    fn a_lost_signal_voids_copies() {
        let check = |events: &[Event], void: bool| assert_eq!(play(events, 500).1, void, "{events:?}");
        // Stats by the next signal, or else by the second reading.
        check(&[Read(7, 0), Heard(9)], true);
        check(&[Read(7, 0), Read(8, 200)], false);
        check(&[Read(7, 0), Read(8, 200), Read(8, 400)], true);
        check(&[Read(7, 0), Read(8, 200), Read(9, 400), Heard(9)], true);
    }

    #[test]
    fn a_store_that_lost_something_voids_copies() {
        let check = |events: &[Event], void: bool| assert_eq!(play(events, 500).1, void, "{events:?}");
        check(&[Read(7, 0), Read(0, 200)], true);
        check(&[Read(7, 0), Read(6, 200)], true);
        check(&[Read(7, 0), Heard(8), Read(7, 200)], false);
    }

    #[test]
    fn without_a_reading_copies_are_handed_out_for_600_ms_and_never_again() {
        assert_eq!(play(&[Read(7, 0)], 600), (true, false));
        assert_eq!(play(&[Read(7, 0)], 601), (false, false));
        assert_eq!(play(&[Read(7, 0), Read(7, 600)], 700), (true, false));
        assert_eq!(play(&[Read(7, 0), Read(7, 601)], 700), (true, true));
    }

    #[test]
    fn while_a_signal_is_missing_copies_are_handed_out_for_300_ms() {
        let check = |events: &[Event], at: u64, handed_out: bool| {
            assert_eq!(play(events, at).0, handed_out, "{events:?} at {at}");
        };
        check(&[Read(7, 0), Read(8, 200)], 500, true);
        check(&[Read(7, 0), Read(8, 200)], 501, false);
        check(&[Read(7, 0), Read(8, 200), Heard(8)], 800, true);
        check(&[Read(7, 0), Heard(8), Read(8, 200)], 800, true);
    }

    #[test]
    fn after_a_gap_only_a_reading_that_began_later_counts() {
        assert_eq!(play(&[Read(7, 0), Gap(100)], 100), (false, true));
        assert_eq!(play(&[Read(7, 0), Gap(100), Read(7, 90)], 200), (false, true));
        assert_eq!(play(&[Read(7, 0), Gap(100), Read(7, 110)], 200), (true, true));
        assert_eq!(play(&[Gap(100), Heard(8), Read(8, 110)], 200), (true, true));
    }

    #[test]
    fn what_was_read_before_a_change_is_not_kept() {
        let mut coherence = Coherence::new();
        let now = Instant::now();
        let mut pulse = Pulse::default();
        pulse.counts[0] = Some(Count { changes: 0, asked: now });
        coherence.read(&pulse);
        let before = coherence.epoch(0, now);
        coherence.heard(0, 1);
        let heard = coherence.epoch(0, now);
        assert_ne!(before, heard);
        coherence.changed(0);
        assert_ne!(heard, coherence.epoch(0, now));
        assert_eq!(heard.unwrap().era, before.unwrap().era, "other copies of the bucket stay");
    }
}
