//! Which values say that there is none.

/// Whether a value is stated to be missing: nothing, not a number, or the mark of SDMX 3 for values that are no numbers.
#[inline]
pub(super) fn is_missing(value: &str) -> bool {
    // Numbers start with neither.
    match value.trim_ascii().as_bytes() {
        [] => true,
        [b'N' | b'n' | b'#', ..] => {
            let value = value.trim_ascii();
            value.eq_ignore_ascii_case("NaN") || matches!(value, "#N/A" | "#NA")
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_say_that_there_is_none() {
        for value in ["", " ", "NaN", "nan", " NAN\n", "#N/A", "#NA"] {
            assert!(is_missing(value), "{value:?}");
        }
        for value in ["0", "-1", "1e5", "INF", "-", "n", "N/A", "a text", "#", "é"] {
            assert!(!is_missing(value), "{value:?}");
        }
    }
}
