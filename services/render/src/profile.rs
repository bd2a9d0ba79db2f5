//! Size and freshness of a dataflow as cells; unknown values are empty.

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

#[cfg(test)]
mod tests {
    use super::*;

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
