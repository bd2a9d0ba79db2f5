//! Times in the predecessor's JSON. Separate from the responses, because each of them and each failure has one.

/// A time as the predecessor wrote it: ISO 8601 without a zone, to the microsecond; in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NaiveDateTime(pub(super) jiff::Timestamp);

impl serde::Serialize for NaiveDateTime {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:.6}", jiff::tz::Offset::UTC.to_datetime(self.0)))
    }
}
