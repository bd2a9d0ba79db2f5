//! Refused writes and uses of keys on the wire and in the store.

use std::time::SystemTime;

use dataflow_proto::config::v1 as pb;

use super::{invalid, timestamp};
use crate::Error;
use crate::bounded_log::Query;
use crate::refusal::{Refusal, Report};

/// The last second that JSON can state: the end of the year 9999.
const LAST_SECOND: i64 = 253_402_300_799;

/// The wire form of a refusal.
pub(crate) fn to_wire(refusal: &Refusal) -> pb::Refusal {
    let Refusal { time, subject, tenant, key_id, peer, request_id, method, code, reason, left_out } =
        refusal.clone();
    let (time, left_out) = (timestamp(time), i64::try_from(left_out).unwrap_or(i64::MAX));
    pb::Refusal { time, subject, tenant, key_id, peer, request_id, method, code, reason, left_out }
}

/// Reads a refusal. `index` is that in its report.
///
/// # Errors
///
/// [`Error::FieldInvalid`] if it has no time, or its count is negative.
pub(crate) fn from_wire(refusal: pb::Refusal, index: usize) -> Result<Refusal, Error> {
    let pb::Refusal { time, subject, tenant, key_id, peer, request_id, method, code, reason, left_out } =
        refusal;
    let field = |name: &str| format!("refusals[{index}].{name}");
    let time = required_time(time, &field("time"))?;
    let left_out = u64::try_from(left_out);
    let left_out = left_out.map_err(|_| invalid(&field("left_out"), "must not be negative"))?;
    Ok(Refusal { time, subject, tenant, key_id, peer, request_id, method, code, reason, left_out })
}

/// Reads a report.
///
/// # Errors
///
/// [`Error::FieldInvalid`].
pub(crate) fn report(request: pb::ReportRefusalsRequest) -> Result<Report, Error> {
    let pb::ReportRefusalsRequest { report_id: id, refusals } = request;
    let refusals = refusals.into_iter().enumerate();
    let refusals = refusals.map(|(index, refusal)| from_wire(refusal, index)).collect::<Result<_, _>>()?;
    Ok(Report { id, refusals })
}

/// The entries of a log that a caller of this tenant asks for.
///
/// # Errors
///
/// [`Error::FieldInvalid`] if a time is none, or no time is between the two.
pub(crate) fn query(
    tenant: String,
    subject: &str,
    start_time: Option<prost_types::Timestamp>,
    end_time: Option<prost_types::Timestamp>,
) -> Result<Query, Error> {
    let start = start_time.map(|start| time(start, "start_time")).transpose()?;
    let end = end_time.map(|end| time(end, "end_time")).transpose()?;
    if start.zip(end).is_some_and(|(start, end)| end <= start) {
        return Err(invalid("end_time", "must be after start_time"));
    }
    Ok(Query { tenant, subject: subject.to_owned(), start, end })
}

/// When a key was used.
///
/// # Errors
///
/// [`Error::FieldInvalid`] if the time is missing, or none.
pub(crate) fn key_use(used: pb::KeyUse, index: usize) -> Result<(String, SystemTime), Error> {
    Ok((used.key_id, required_time(used.use_time, &format!("uses[{index}].use_time"))?))
}

/// A time that must be given.
///
/// # Errors
///
/// [`Error::FieldInvalid`] if it is missing, or none.
pub(super) fn required_time(given: Option<prost_types::Timestamp>, field: &str) -> Result<SystemTime, Error> {
    time(given.ok_or_else(|| invalid(field, "must be set"))?, field)
}

fn time(given: prost_types::Timestamp, field: &str) -> Result<SystemTime, Error> {
    let is_time = (0..1_000_000_000).contains(&given.nanos) && (0..=LAST_SECOND).contains(&given.seconds);
    let read = is_time.then(|| SystemTime::try_from(given).ok()).flatten();
    read.ok_or_else(|| invalid(field, "must be a time between the years 1970 and 9999"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64, nanos: i32) -> Option<prost_types::Timestamp> {
        Some(prost_types::Timestamp { seconds, nanos })
    }

    /// The field that an error names.
    fn field<T>(result: Result<T, Error>) -> Option<String> {
        match result {
            Ok(_) => None,
            Err(Error::FieldInvalid { field, .. }) => Some(field),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn the_times_of_a_query_are_checked() {
        let check = |start_time, end_time, expected: Option<&str>| {
            let found = field(query(String::new(), "", start_time, end_time));
            assert_eq!(found.as_deref(), expected, "{start_time:?} {end_time:?}");
        };
        check(None, None, None);
        check(at(0, 0), at(LAST_SECOND, 0), None);
        check(at(5, 0), at(5, 1), None);
        check(at(5, 0), at(5, 0), Some("end_time"));
        check(at(5, 0), at(4, 0), Some("end_time"));
        check(at(-1, 0), None, Some("start_time"));
        check(at(0, -1), None, Some("start_time"));
        check(None, at(LAST_SECOND + 1, 0), Some("end_time"));
    }

    #[test]
    fn a_refusal_and_a_use_need_a_time() {
        let refusal = |time, left_out| {
            let refusals = vec![pb::Refusal { time, left_out, ..Default::default() }];
            field(report(pb::ReportRefusalsRequest { report_id: "a".to_owned(), refusals }))
        };
        assert_eq!(refusal(at(1, 0), 0), None);
        assert_eq!(refusal(None, 0).as_deref(), Some("refusals[0].time"));
        assert_eq!(refusal(at(i64::MAX, 0), 0).as_deref(), Some("refusals[0].time"));
        assert_eq!(refusal(at(1, 0), -1).as_deref(), Some("refusals[0].left_out"));
        let used = |use_time| field(key_use(pb::KeyUse { key_id: "k-1".to_owned(), use_time }, 2));
        assert_eq!(used(at(1, 0)), None);
        assert_eq!(used(None).as_deref(), Some("uses[2].use_time"));
        assert_eq!(used(at(-1, 0)).as_deref(), Some("uses[2].use_time"));
    }
}
