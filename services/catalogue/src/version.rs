//! Orders the versions of a dataflow: the latest stable one represents it.

use std::cmp::Ordering;

/// The position of the version that represents a dataflow: the latest stable one, else the latest.
pub(crate) fn representative<'a>(versions: impl Iterator<Item = &'a str>) -> Option<usize> {
    let latest = versions.enumerate().max_by(|(_, one), (_, other)| {
        is_stable(one).cmp(&is_stable(other)).then_with(|| compare(one, other))
    });
    latest.map(|(index, _)| index)
}

/// Whether a version has no extension, as `-draft` of SDMX 3.
fn is_stable(version: &str) -> bool {
    !version.contains('-')
}

/// By the numbers between the dots; an extension counts last.
fn compare(one: &str, other: &str) -> Ordering {
    let parts = |version: &str| {
        let (numbers, extension) = version.split_once('-').unwrap_or((version, ""));
        let numbers = numbers.split('.').map(|number| number.parse().unwrap_or(0)).collect::<Vec<u64>>();
        (numbers, extension.to_owned())
    };
    parts(one).cmp(&parts(other)).then_with(|| one.cmp(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_stable_version_represents_a_dataflow() {
        let check = |versions: &[&str], expected: &str| {
            let found = representative(versions.iter().copied()).map_or("none", |index| versions[index]);
            assert_eq!(found, expected, "{versions:?}");
        };
        check(&[], "none");
        check(&["1.0"], "1.0");
        check(&["1.0", "1.10", "1.9"], "1.10");
        check(&["2.0.0-draft", "1.0.0"], "1.0.0");
        check(&["2.0.0-draft", "2.1.0-draft"], "2.1.0-draft");
        check(&["", "1.0"], "1.0");
        check(&["1.0", "1.0.1"], "1.0.1");
        check(&["odd", "1.0"], "1.0");
    }
}
