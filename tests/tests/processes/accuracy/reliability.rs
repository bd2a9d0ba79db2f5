//! How well confidences agree with the shares of right predictions, and the table that makes them agree.

/// The bins of a reliability table, of equal size.
const BINS: usize = 5;
/// The groups from which the table of confidences is fitted, of equal size.
const GROUPS: usize = 10;

/// Confidences compared with outcomes.
pub(crate) struct Reliability {
    /// By rising confidence.
    pub(crate) bins: Vec<Outcome>,
    /// The expected calibration error: the mean distance of confidence and outcome in a bin, by dataflows.
    pub(crate) error: f64,
}

/// The dataflows of one bin.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outcome {
    pub(crate) count: usize,
    /// The mean.
    pub(crate) confidence: f64,
    /// The share of right categories.
    pub(crate) right: f64,
}

/// Fits the table of confidences to raw ones with their outcomes: groups of equal size by raw confidence, and isotonic
/// regression over the share of right categories in each (neighbors that contradict the order are merged). A share is
/// `(right + 1) / (all + 2)`, since none is certain.
pub(crate) fn fit(known: Vec<(f64, bool)>) -> Vec<(f64, f64)> {
    let mut merged: Vec<Outcome> = Vec::new();
    for mut group in groups(known, GROUPS) {
        while let Some(last) = merged.pop_if(|last| last.right >= group.right) {
            group = last.with(group);
        }
        merged.push(group);
    }
    let rounded = |value: f64| (value * 100.0).round() / 100.0;
    let share = |group: &Outcome| (group.right * group.count as f64 + 1.0) / (group.count as f64 + 2.0);
    merged.iter().map(|group| (rounded(group.confidence), rounded(share(group)))).collect()
}

/// Groups of equal size, by rising confidence.
fn groups(mut known: Vec<(f64, bool)>, number: usize) -> Vec<Outcome> {
    known.sort_by(|one, other| one.0.total_cmp(&other.0).then(one.1.cmp(&other.1)));
    let total = known.len();
    let group = |index: usize| {
        let within = &known[index * total / number..(index + 1) * total / number];
        let count = within.len();
        let confidence = within.iter().map(|(confidence, _)| confidence).sum::<f64>() / count as f64;
        let right = within.iter().filter(|(_, right)| *right).count() as f64 / count as f64;
        Outcome { count, confidence, right }
    };
    (0..number).map(group).collect()
}

// === impl Reliability ===

impl Reliability {
    pub(crate) fn new(known: Vec<(f64, bool)>) -> Self {
        let total = known.len() as f64;
        let bins = groups(known, BINS);
        let distance = |bin: &Outcome| bin.count as f64 * (bin.confidence - bin.right).abs();
        let error = bins.iter().map(distance).sum::<f64>() / total;
        Self { bins, error }
    }
}

// === impl Outcome ===

impl Outcome {
    /// Both bins as one.
    fn with(self, other: Self) -> Self {
        let count = self.count + other.count;
        let mean = |one: f64, two: f64| (one * self.count as f64 + two * other.count as f64) / count as f64;
        Self {
            count,
            confidence: mean(self.confidence, other.confidence),
            right: mean(self.right, other.right),
        }
    }
}

#[test]
fn contradicting_groups_are_merged() {
    let known = (0..120).map(|number| (f64::from(number) / 120.0, number >= 60 && number % 20 != 0));
    let table = fit(known.collect());
    assert!(table.is_sorted_by(|one, next| one.0 < next.0 && one.1 < next.1), "{table:?}");
    // The lower half is never right: (0 + 1) / (60 + 2).
    assert_eq!(table[0].1, 0.02);
}

#[test]
fn the_error_is_the_mean_distance() {
    // In each bin of 20, the confidence is 0.1 above the share of right categories.
    let bin = |tenths: usize| (0..20).map(move |number| ((tenths as f64 + 1.0) / 10.0, number < 2 * tenths));
    let reliability = Reliability::new([0, 2, 4, 6, 8].into_iter().flat_map(bin).collect());
    assert!((reliability.error - 0.1).abs() < 1e-9, "{}", reliability.error);
    assert_eq!(reliability.bins.iter().map(|bin| bin.count).collect::<Vec<_>>(), [20; 5]);
}
