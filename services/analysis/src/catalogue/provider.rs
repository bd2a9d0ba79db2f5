//! Names the provider of a catalogue that the request does not name.

use std::cmp::Reverse;
use std::collections::HashMap;

/// The most agencies that are listed.
const LISTED: usize = 3;

/// The provider of dataflows with these agencies: their agency, or the nearest one that all are parts of, as `OECD` of
/// `OECD.ELS.SAE` and `OECD.CTP`. Agencies without a common one are listed, those with the most dataflows first. Empty
/// if no dataflow states an agency.
pub(super) fn of<'a>(agencies: impl Iterator<Item = &'a str>) -> String {
    let mut groups: HashMap<&str, (usize, &str)> = HashMap::new();
    for agency in agencies.filter(|agency| !agency.is_empty()) {
        let top = agency.split('.').next().unwrap_or(agency);
        let (count, common) = groups.entry(top).or_insert((0, agency));
        *count += 1;
        *common = common_ancestor(common, agency);
    }
    let mut groups: Vec<_> = groups.into_values().collect();
    groups.sort_unstable_by_key(|(count, agency)| (Reverse(*count), *agency));
    let listed: Vec<_> = groups.iter().take(LISTED).map(|(_, agency)| *agency).collect();
    match groups.len() - listed.len() {
        0 => listed.join(", "),
        more => format!("{} and {more} more", listed.join(", ")),
    }
}

/// The leading parts that two agencies have in common.
fn common_ancestor<'a>(one: &'a str, other: &str) -> &'a str {
    let common = one.split('.').zip(other.split('.')).take_while(|(one, other)| one == other);
    // Each part and the dot after it.
    let length: usize = common.map(|(part, _)| part.len() + 1).sum();
    &one[..length.saturating_sub(1)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agencies_have_a_common_ancestor_or_are_listed() {
        let check = |agencies: &[&str], expected: &str| {
            assert_eq!(of(agencies.iter().copied()), expected, "{agencies:?}");
        };
        check(&[], "");
        check(&["", ""], "");
        check(&["IT1", "", "IT1"], "IT1");
        check(&["OECD.CTP.TPS", "OECD.ELS.SAE", "OECD.CTP"], "OECD");
        check(&["OECD.CTP.TPS", "OECD.CTP.ABC"], "OECD.CTP");
        check(&["OECD.CTP.TPS", "OECD.CTP"], "OECD.CTP");
        check(&["OECD.CTP", "OECD.CTPX"], "OECD");
        check(&["B", "A", "B.C", "B.D"], "B, A");
        check(&["IMF", "ESTAT"], "ESTAT, IMF");
        check(&["D", "C", "C", "B", "A", "E"], "C, A, B and 2 more");
    }
}
