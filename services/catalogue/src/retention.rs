//! Which snapshots of a tenant are kept, and whether there is room for one more.

use std::time::{Duration, SystemTime};

use crate::Error;
use crate::args::CatalogueArgs;
use crate::stored::record::Record;

/// A snapshot of a tenant, and its provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The provider.
    pub provider: String,
    /// The snapshot.
    pub record: Record,
}

/// The limits of snapshots.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    count: usize,
    age: Duration,
    all: usize,
    bytes: u64,
}

// === impl Limits ===

impl From<&CatalogueArgs> for Limits {
    fn from(args: &CatalogueArgs) -> Self {
        let count = |count: u32| usize::try_from(count).unwrap_or(usize::MAX);
        Self {
            count: count(args.snapshot_count.get()),
            age: args.snapshot_age,
            all: count(args.max_snapshots),
            bytes: args.max_snapshot_bytes.as_u64(),
        }
    }
}

impl Limits {
    /// Splits the snapshots of a tenant into those to keep and those to remove: those beyond the number of their provider,
    /// and those that are too old, except the last of each provider.
    pub fn split(&self, mut snapshots: Vec<Kept>, now: SystemTime) -> (Vec<Kept>, Vec<Kept>) {
        snapshots.sort_by(|one, other| {
            one.provider.cmp(&other.provider).then(other.record.sequence.cmp(&one.record.sequence))
        });
        let (mut kept, mut removed) = (Vec::<Kept>::new(), Vec::new());
        let mut before = 0;
        for snapshot in snapshots {
            let is_first = kept.last().is_none_or(|last| last.provider != snapshot.provider);
            before = if is_first { 0 } else { before + 1 };
            let age = now.duration_since(snapshot.record.last().time).unwrap_or_default();
            let is_kept = is_first || (before < self.count && age < self.age);
            (if is_kept { &mut kept } else { &mut removed }).push(snapshot);
        }
        (kept, removed)
    }

    /// Checks that a tenant may have one more snapshot of so many bytes beside those that it has.
    ///
    /// # Errors
    ///
    /// [`Error::SnapshotsFull`].
    pub fn check(&self, kept: &[Kept], bytes: u64) -> Result<(), Error> {
        if kept.len() >= self.all {
            return Err(Error::SnapshotsFull { limit: self.all as u64, flag: "--max-snapshots" });
        }
        let own: u64 = kept.iter().map(|snapshot| snapshot.record.stored_bytes).sum();
        if own.saturating_add(bytes) > self.bytes {
            return Err(Error::SnapshotsFull { limit: self.bytes, flag: "--max-snapshot-bytes" });
        }
        Ok(())
    }
}

/// Whether a catalogue with so many dataflows is suspicious after one with so many: it is empty, or has less than half.
pub fn is_suspicious(dataflows: u32, before: u32) -> bool {
    u64::from(dataflows) * 2 < u64::from(before) || (dataflows == 0 && before > 0)
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::content::Counts;
    use crate::stored::record::{Receipt, Terms};

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    fn snapshot(provider: &str, sequence: u64, day: u32) -> Kept {
        let receipt = Receipt {
            time: UNIX_EPOCH + DAY * day,
            request_id: String::new(),
            documents: Vec::new(),
            warnings: 0,
            suspicious: false,
            terms: Terms::default(),
        };
        let record = Record {
            hash: [0; 32],
            counts: Counts::default(),
            content: "0123456789abcdef".parse().unwrap(),
            chunks: 1,
            stored_bytes: 100,
            content_bytes: 0,
            sequence,
            receipts: vec![receipt],
            receipts_omitted: 0,
        };
        Kept { provider: provider.to_owned(), record }
    }

    #[test]
    fn old_and_surplus_snapshots_are_removed_and_never_the_last_one() {
        let limits = Limits { count: 3, age: 10 * DAY, all: 10, bytes: 1_000 };
        let check = |snapshots: &[(&str, u64, u32)], day: u32, expected: &[u64]| {
            let snapshots = snapshots.iter().map(|(of, sequence, day)| snapshot(of, *sequence, *day));
            let (kept, removed) = limits.split(snapshots.collect(), UNIX_EPOCH + DAY * day);
            let sequences = |of: &[Kept]| of.iter().map(|kept| kept.record.sequence).collect::<Vec<_>>();
            assert_eq!(sequences(&removed), expected);
            assert!(sequences(&kept).iter().all(|kept| !expected.contains(kept)));
        };
        check(&[], 100, &[]);
        check(&[("A", 1, 1), ("A", 2, 2), ("A", 3, 3)], 3, &[]);
        check(&[("A", 1, 1), ("A", 4, 4), ("A", 2, 2), ("A", 3, 3)], 4, &[1]);
        // By the last receipt, not by the first one.
        check(&[("A", 9, 1), ("A", 4, 4), ("A", 2, 2), ("A", 3, 3)], 4, &[2]);
        check(&[("A", 1, 1), ("A", 2, 2)], 10, &[]);
        check(&[("A", 1, 1), ("A", 2, 2)], 11, &[1]);
        check(&[("A", 1, 1), ("A", 2, 2)], 1_000, &[1]);
        check(&[("A", 1, 1), ("B", 2, 2), ("B", 3, 3)], 1_000, &[2]);
    }

    #[test]
    fn a_tenant_has_so_many_snapshots_and_bytes() {
        let limits = Limits { count: 3, age: DAY, all: 3, bytes: 350 };
        let kept: Vec<_> = (1..=3).map(|sequence| snapshot("A", sequence, 1)).collect();
        let flag = |kept: &[Kept], bytes| match limits.check(kept, bytes) {
            Ok(()) => "",
            Err(Error::SnapshotsFull { flag, .. }) => flag,
            Err(other) => panic!("{other}"),
        };
        assert_eq!(flag(&kept[..2], 150), "");
        assert_eq!(flag(&kept[..2], 151), "--max-snapshot-bytes");
        assert_eq!(flag(&kept, 0), "--max-snapshots");
    }

    #[test]
    fn an_empty_catalogue_or_less_than_half_is_suspicious() {
        for (dataflows, before, expected) in [
            (0, 0, false),
            (0, 1, true),
            (1, 0, false),
            (1, 2, false),
            (1, 3, true),
            (50, 100, false),
            (49, 100, true),
            (200, 100, false),
            (u32::MAX, u32::MAX, false),
        ] {
            assert_eq!(is_suspicious(dataflows, before), expected, "{dataflows} after {before}");
        }
    }
}
