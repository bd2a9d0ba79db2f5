//! The parent of a dataflow: the dataflow whose id is the longest proper prefix of its id that ends before a separator.

/// Longer ids have no parent: each of their prefixes would be looked up.
const ID_BYTES: usize = 1024;

/// The most prefixes that are looked up.
const PREFIXES: usize = 64;

/// The ids that a parent may have, the nearest first. A separator is any character that is no letter and no digit.
pub(super) fn candidates(id: &str) -> impl Iterator<Item = &str> {
    let id = if id.len() > ID_BYTES { "" } else { id };
    let separators = id.rmatch_indices(|character: char| !character.is_alphanumeric());
    separators.map(|(at, _)| &id[..at]).filter(|prefix| !prefix.is_empty()).take(PREFIXES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_end_before_a_separator() {
        let check = |id: &str, expected: &[&str]| {
            assert_eq!(candidates(id).collect::<Vec<_>>(), expected, "{id}");
        };
        check("22_289_DF_X", &["22_289_DF", "22_289", "22"]);
        check("DSD_A@DF_B", &["DSD_A@DF", "DSD_A", "DSD"]);
        check("età-1", &["età"]);
        check("A__B", &["A_", "A"]);
        check("_A", &[]);
        check("A", &[]);
        check("", &[]);
        check("A_", &["A"]);
    }

    #[test]
    fn look_ups_are_bounded() {
        assert_eq!(candidates(&"_".repeat(ID_BYTES)).count(), PREFIXES);
        assert_eq!(candidates(&format!("a_{}", "b".repeat(ID_BYTES - 2))).count(), 1);
        assert_eq!(candidates(&format!("a_{}", "b".repeat(ID_BYTES - 1))).count(), 0);
    }
}
