//! Confidence as the probability of being right: one monotone table over the raw confidence of [`Mode::Words`].
//!
//! The table was fitted on labelled catalogues by isotonic regression; docs/rules.md has the method and the reliability
//! that a test measures on dataflows that were not used for it.
//!
//! [`Mode::Words`]: super::Mode::Words

/// The confidence of a dataflow for which neither its texts nor its family give any point: the share of OTHER among such
/// dataflows in labelled catalogues.
pub const NO_EVIDENCE: f64 = 0.14;

/// Raw confidence, and the share of right categories there; linear in between, and constant above the last row. The first
/// row continues what is known without evidence.
pub const TABLE: [(f64, f64); 8] = [
    (0.0, NO_EVIDENCE),
    (0.47, 0.60),
    (0.59, 0.82),
    (0.68, 0.86),
    (0.73, 0.90),
    (0.82, 0.94),
    (0.89, 0.98),
    (0.94, 0.99),
];

/// The probability that a category with this raw confidence is right.
pub(crate) fn confidence(raw: f64) -> f64 {
    let above = TABLE.partition_point(|(known, _)| *known <= raw);
    let (Some(&(low, from)), Some(&(high, to))) =
        (above.checked_sub(1).and_then(|at| TABLE.get(at)), TABLE.get(above))
    else {
        return TABLE[above.saturating_sub(1)].1;
    };
    from + (to - from) * (raw - low) / (high - low)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_monotone_and_covers_every_raw_confidence() {
        assert!(TABLE.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1));
        let confidences: Vec<_> = (0..=1000).map(|step| confidence(f64::from(step) / 1000.0)).collect();
        assert!(confidences.is_sorted());
        assert_eq!((confidences[0], confidences[1000]), (NO_EVIDENCE, TABLE[TABLE.len() - 1].1));
        assert!(confidences.iter().all(|confidence| (NO_EVIDENCE..1.0).contains(confidence)));
    }

    #[test]
    fn confidences_between_two_rows_are_interpolated() {
        for pair in TABLE.windows(2) {
            let [(low, from), (high, to)] = [pair[0], pair[1]];
            assert!((confidence(low) - from).abs() < 1e-9);
            assert!((confidence(f64::midpoint(low, high)) - f64::midpoint(from, to)).abs() < 1e-9);
        }
    }
}
