//! Size and freshness of a dataflow as cells; in CSV unknown values are empty.

use dataflow_proto::analysis::v1 as pb;

/// The method, the number of observations (low, likely, high), and the bytes of CSV (likely, else high).
pub(super) fn size(size: Option<&pb::Size>) -> [String; 5] {
    let Some(size) = size else { return Default::default() };
    let number = |of: fn(&pb::Estimate) -> Option<i64>| {
        size.observations.as_ref().and_then(of).map_or_else(String::new, |number| number.to_string())
    };
    let bytes = size.csv_bytes.as_ref().map(|bytes| bytes.likely.unwrap_or(bytes.high));
    [
        match size.method() {
            pb::size::Method::Unspecified => String::new(),
            method => method.as_str_name().to_owned(),
        },
        number(|estimate| Some(estimate.low)),
        number(|estimate| estimate.likely),
        number(|estimate| Some(estimate.high)),
        bytes.map_or_else(String::new, |bytes| bytes.to_string()),
    ]
}

/// When the next update is overdue, and whether it was.
pub(super) fn freshness(freshness: Option<&pb::Freshness>) -> [String; 2] {
    let due = freshness.and_then(|freshness| freshness.due_time).map(|time| time.to_string());
    let overdue = freshness.and_then(|freshness| freshness.overdue).map(|overdue| overdue.to_string());
    [due, overdue].map(Option::unwrap_or_default)
}

/// The number of observations in few characters: the most plausible one, else the greatest after `≤`.
pub(super) fn observations(flow: &pb::Dataflow) -> Option<String> {
    let estimate = flow.size.as_ref().and_then(|size| size.observations.as_ref());
    match estimate.map(|estimate| (estimate.likely, estimate.high)) {
        Some((Some(likely), _)) => Some(short(likely)),
        Some((None, high)) => Some(format!("≤{}", short(high))),
        None => flow.observation_count.map(short),
    }
}

/// The day of the last update, in UTC.
pub(super) fn updated(flow: &pb::Dataflow) -> Option<String> {
    let time = flow.last_update?.to_string();
    Some(time.split('T').next().unwrap_or_default().to_owned())
}

/// A number that is not negative, exact up to seven digits, then as thousands of millions and so on: `27.3M`.
fn short(number: i64) -> String {
    const UNITS: [&str; 5] = ["M", "G", "T", "P", "E"];
    if number < 10_000_000 {
        return number.to_string();
    }
    // In tenths of a unit, cut, so that the number is never said to be greater than it is.
    let (mut tenths, mut unit) = (number / 100_000, 0);
    while tenths >= 10_000 && unit + 1 < UNITS.len() {
        (tenths, unit) = (tenths / 1_000, unit + 1);
    }
    format!("{}.{}{}", tenths / 10, tenths % 10, UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let check = |number, expected: &str| assert_eq!(short(number), expected);
        check(0, "0");
        check(9_999_999, "9999999");
        check(10_000_000, "10.0M");
        check(27_390_000, "27.3M");
        check(999_999_999, "999.9M");
        check(1_000_000_000, "1.0G");
        check(i64::MAX, "9.2E");
    }

    #[test]
    fn what_is_unknown_is_empty() {
        assert_eq!(size(None), [""; 5]);
        assert_eq!(size(Some(&pb::Size::default())), [""; 5]);
        let estimate = |likely| Some(pb::Estimate { low: 1, likely, high: 9 });
        let method = pb::size::Method::Cube.into();
        let bounded = pb::Size {
            method,
            observations: estimate(None),
            csv_bytes: estimate(None),
            ..Default::default()
        };
        assert_eq!(size(Some(&bounded)), ["CUBE", "1", "", "9", "9"]);
        let likely = pb::Size { observations: estimate(Some(3)), csv_bytes: estimate(Some(5)), ..bounded };
        assert_eq!(size(Some(&likely)), ["CUBE", "1", "3", "9", "5"]);
        assert_eq!(freshness(None), [""; 2]);
        assert_eq!(
            freshness(Some(&pb::Freshness { overdue: Some(true), ..Default::default() })),
            ["", "true"]
        );
    }
}
