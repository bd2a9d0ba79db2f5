//! Points of the seven categories, and which of them wins.

use super::{Category, calibration};

/// Tenths of a point, so that sums with the weights of texts are exact.
pub(crate) type Tenths = u64;

/// Added to the denominator of the raw confidence, for what the texts do not state. Slightly less than one match of the
/// default priority, so that a single match gives slightly more than one half.
const SMOOTHING: f64 = 4.0;

/// The points that the texts of one dataflow give to each category.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Points {
    tenths: [Tenths; Category::ALL.len()],
    /// Decides ties: the category with the highest number wins.
    rank: [u8; Category::ALL.len()],
}

/// The category with the most points.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Winner {
    /// The category.
    pub category: Category,
    /// Its points, rounded.
    pub score: i32,
    /// From 0 to below 1, growing with the evidence and with the margin: `s / (s + r + 4)` of its points and those of the
    /// runner-up.
    pub raw: f64,
    /// The probability that the category is right, by the table of [`calibration`].
    pub confidence: f64,
}

// === impl Points ===

impl Points {
    /// Points in tenths, and what decides ties: the greatest value wins.
    pub(crate) fn new(tallies: [(Tenths, impl Ord); Category::ALL.len()]) -> Self {
        // Most texts give points to few categories, and only those can tie.
        let rank = std::array::from_fn(|index| {
            let (tenths, own) = &tallies[index];
            let lower = |(others, other): &&(Tenths, _)| *others > 0 && *other < *own;
            let lower = if *tenths > 0 { tallies.iter().filter(lower).count() } else { 0 };
            u8::try_from(lower).expect("there are seven categories")
        });
        Self { tenths: tallies.map(|(tenths, _)| tenths), rank }
    }

    /// The points of a category.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "exact below 2^53, which no readable text reaches")]
    pub fn of(&self, category: Category) -> f64 {
        self.tenths(category) as f64 / 10.0
    }

    /// The points of a category, in tenths.
    pub(crate) fn tenths(&self, category: Category) -> Tenths {
        self.tenths[category.index()]
    }

    /// The winner when these points are added to those of the texts; `None` if no category has any.
    #[must_use]
    pub fn winner(&self, added: &[f64; Category::ALL.len()]) -> Option<Winner> {
        // In one pass: every dataflow is asked twice.
        let (mut best, mut runner_up) = (None, 0.0_f64);
        for category in Category::ALL {
            let (index, added) = (category.index(), added[category.index()]);
            if self.tenths[index] == 0 && added == 0.0 {
                continue;
            }
            let (sum, rank) = (self.of(category) + added, self.rank[index]);
            match best {
                Some((most, highest, _)) if (most, highest) >= (sum, rank) => runner_up = runner_up.max(sum),
                former => {
                    runner_up = former.map_or(runner_up, |(most, ..)| runner_up.max(most));
                    best = Some((sum, rank, category));
                }
            }
        }
        let (sum, _, category) = best?;
        let raw = sum / (sum + runner_up + SMOOTHING);
        #[expect(clippy::cast_possible_truncation, reason = "the cast saturates")]
        let score = (sum + 0.5) as i32;
        Some(Winner { category, score, raw, confidence: calibration::confidence(raw) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: [f64; 7] = [0.0; 7];

    fn points(tallies: [(Tenths, u8); 7]) -> Points {
        Points::new(tallies)
    }

    #[test]
    fn sums_are_exact_and_the_score_is_rounded() {
        let check = |tallies, added, expected: Option<(Category, i32)>| {
            let winner = points(tallies).winner(&added);
            assert_eq!(winner.map(|winner| (winner.category, winner.score)), expected, "{tallies:?}");
        };
        let of = |first, second| [(first, 0), (second, 0), (0, 0), (0, 0), (0, 0), (0, 0), (0, 0)];
        check(of(0, 0), NONE, None);
        check(of(15, 14), NONE, Some((Category::Population, 2)));
        check(of(14, 15), NONE, Some((Category::Economy, 2)));
        check(of(3, 0), NONE, Some((Category::Population, 0)));
        let mut added = NONE;
        added[1] = 1.0;
        check(of(15, 6), added, Some((Category::Economy, 2)));
        check(of(0, 0), added, Some((Category::Economy, 1)));
        check(of(Tenths::MAX, 0), NONE, Some((Category::Population, i32::MAX)));
    }

    #[test]
    fn ties_go_to_the_greater_rank() {
        let tied = |first, second| {
            let tallies = [(50, first), (50, second), (0, 9), (0, 0), (0, 0), (0, 0), (0, 0)];
            points(tallies).winner(&NONE).map(|winner| winner.category)
        };
        assert_eq!(tied(2, 1), Some(Category::Population));
        assert_eq!(tied(1, 2), Some(Category::Economy));
    }
}
